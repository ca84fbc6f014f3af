//! `GET /`: what this node is.

use std::collections::BTreeSet;
use std::sync::Arc;

use kong_datastore::{PageQuery, StoreResult};
use kong_schema::Object;
use serde_json::{Value, json};

use crate::app::Admin;
use crate::error::ApiResult;
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

pub(super) fn add(routes: &mut Routes) {
    routes.on("GET", "/", root);
    add_robots(routes);
}

pub(super) fn add_robots(routes: &mut Routes) {
    routes.on("GET", "/robots.txt", robots);
}

async fn root(admin: Arc<Admin>, _: AdminRequest) -> ApiResult {
    let node = &admin.node;
    let enabled = match configured_plugins(&admin).await {
        Ok(names) => names,
        Err(err) => {
            tracing::error!(%err, "configured plugins could not be read");
            return Ok(AdminResponse::message(500, "An unexpected error happened"));
        }
    };
    let available: Object = admin
        .registry
        .plugins()
        .iter()
        .map(|p| (p.name.clone(), json!({"version": p.version, "priority": p.priority})))
        .collect();
    let (pids, timers) = (node.pids(), node.timers());
    let mut configuration = node.configuration();
    if let Some(levels) = node.log_levels() {
        configuration.insert("log_level".to_owned(), Value::String(levels.level()));
    }
    Ok(AdminResponse::json(
        200,
        &json!({
            "tagline": "Welcome to kong",
            "version": node.version(),
            "edition": "community",
            "hostname": node.hostname(),
            "node_id": node.node_id(),
            "lua_version": "LuaJIT 2.1.0-20231117",
            "timers": {"running": timers.running, "pending": timers.pending},
            "pids": {"master": pids.master, "workers": pids.workers},
            "plugins": {"available_on_server": available, "enabled_in_cluster": enabled},
            "configuration": configuration,
        }),
    ))
}

/// Names of the plugins that have at least one instance.
async fn configured_plugins(admin: &Admin) -> StoreResult<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let Some(schema) = admin.registry.schema("plugins") else {
        return Ok(names);
    };
    let store = admin.dao.store();
    let mut query = PageQuery::all(schema, store.default_workspace(), 1000);
    loop {
        let page = store.page(&query).await?;
        names.extend(
            page.rows
                .iter()
                .filter_map(|row| Some(row.get("name")?.as_str()?.to_owned())),
        );
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(names),
        }
    }
}

async fn robots(_: Arc<Admin>, _: AdminRequest) -> ApiResult {
    Ok(AdminResponse::with_body(
        200,
        crate::message::TEXT,
        "User-agent: *\nDisallow: /",
    ))
}
