//! Targets live below their upstream only, newest first, addressed by id or by `host:port` (admin-api.md §7.3).

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use kong_datastore::Row;
use kong_datastore::dao::{EntityKey, canonical_uuid, page_size};
use kong_model::Registry;
use kong_schema::Object;
use kong_schema::errors::ErrorObject;
use serde_json::{Value, json};

use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::generic::Relation;
use crate::generic::nested::{self, belongs, delete_child, id_key, parent_id, row_id};
use crate::generic::page::{Repeat, page_of, page_request};
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

const FIELD: &str = "upstream";

pub(super) fn add(routes: &mut Routes, registry: &Registry) {
    let (Some(parent), Some(child)) = (registry.schema("upstreams"), registry.schema("targets")) else {
        return;
    };
    let relation = Arc::new(Relation {
        parent: Arc::clone(parent),
        child: Arc::clone(child),
        field: FIELD.to_owned(),
    });
    let path = "/upstreams/{upstreams}/targets";
    let r = Arc::clone(&relation);
    routes.on("GET", path, move |admin, req| list(admin, req, Arc::clone(&r)));
    let r = Arc::clone(&relation);
    routes.on("POST", path, move |admin, req| {
        nested::create(admin, req, Arc::clone(&r))
    });
    let r = Arc::clone(&relation);
    routes.on("GET", &format!("{path}/all"), move |admin, req| {
        nested::list(admin, req, Arc::clone(&r))
    });
    let target = format!("{path}/{{targets}}");
    let r = Arc::clone(&relation);
    routes.on("GET", &target, move |admin, req| get(admin, req, Arc::clone(&r)));
    for method in ["PATCH", "PUT"] {
        let r = Arc::clone(&relation);
        routes.on(method, &target, move |admin, req| patch(admin, req, Arc::clone(&r)));
    }
    let r = Arc::clone(&relation);
    routes.on("DELETE", &target, move |admin, req| delete(admin, req, Arc::clone(&r)));
    for state in ["healthy", "unhealthy"] {
        for template in [format!("{target}/{state}"), format!("{target}/{{address}}/{state}")] {
            let r = Arc::clone(&relation);
            routes.on("PUT", &template, move |admin, req| {
                set_health(admin, req, Arc::clone(&r))
            });
        }
    }
    routes.on("GET", "/upstreams/{upstreams}/health", move |admin, req| {
        health(admin, req, Arc::clone(&relation))
    });
    routes.hide("/targets", &["GET", "POST"]);
    routes.hide("/targets/{targets}", &["GET", "PUT", "PATCH", "DELETE"]);
    routes.hide("/targets/{targets}/upstream", &["GET", "PUT", "PATCH", "DELETE"]);
}

async fn list(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let (data, offset) = newest_first(&admin, &req, &relation).await?;
    let path = req.path.strip_suffix('/').unwrap_or(&req.path);
    Ok(page_of(
        data,
        offset.as_deref(),
        path,
        &page_request(&req),
        Repeat::Nothing,
    ))
}

/// A page of the upstream's targets, one per address, and the decimal offset of the next page.
async fn newest_first(
    admin: &Admin,
    req: &AdminRequest,
    relation: &Relation,
) -> Result<(Vec<Value>, Option<String>), ApiError> {
    let request = page_request(req);
    let size = page_size(request.size.as_deref())?;
    let skip = match &request.offset {
        None => 0,
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| ErrorObject::invalid_offset(text, "bad base64 encoding"))?,
    };
    let parent = parent_id(admin, &relation.parent, req.param(0)).await?;
    let mut targets = shown_targets(admin, relation, &parent).await?;
    let mut seen = HashSet::new();
    targets.retain(|target| seen.insert(address(target).to_owned()));
    let end = skip.saturating_add(size);
    let offset = (end < targets.len()).then(|| end.to_string());
    Ok((
        targets.into_iter().skip(skip).take(size).map(Value::Object).collect(),
        offset,
    ))
}

async fn get(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let row = find(&admin, &req, &relation).await?;
    Ok(admin.shown(&relation.child, &row))
}

async fn patch(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let row = find(&admin, &req, &relation).await?;
    let key = EntityKey::Id(row_id(&row)?);
    let row = admin
        .dao
        .update(&relation.child, &key, req.entity(&relation.child))
        .await?;
    // The address is shown as it was sent; only later reads normalise it.
    let mut shown = admin.view(&relation.child, &row);
    if let Some(target) = row.get("target") {
        shown.insert("target".to_owned(), target.clone());
    }
    Ok(AdminResponse::json(200, &shown))
}

async fn delete(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let row = find(&admin, &req, &relation).await?;
    delete_child(&admin, &relation, &id_key(&row)?).await
}

/// Balancers are not part of this node yet, so no upstream has one.
async fn set_health(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let key = admin.dao.key(&relation.parent, req.param(0))?;
    let upstream = admin
        .dao
        .select(&relation.parent, &key)
        .await?
        .ok_or(ApiError::NotFound)?;
    find(&admin, &req, &relation).await?;
    let name = upstream.get("name").and_then(Value::as_str).unwrap_or_default();
    Err(ApiError::message(400, format!("Upstream {name} has no balancer")))
}

/// Without balancer information the targets are listed without their health.
async fn health(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let node_id = admin.node.node_id();
    if req.query_text("balancer_health").as_deref() == Some("1") {
        parent_id(&admin, &relation.parent, req.param(0)).await?;
        return Ok(AdminResponse::json(200, &json!({"next": null, "node_id": node_id})));
    }
    let (data, offset) = newest_first(&admin, &req, &relation).await?;
    let path = req.path.strip_suffix('/').unwrap_or(&req.path);
    let mut body = json!({"data": data, "next": null, "node_id": node_id});
    if let Some(offset) = offset {
        body["next"] = Value::String(format!("{path}?offset={offset}"));
        body["offset"] = Value::String(offset);
    }
    Ok(AdminResponse::json(200, &body))
}

/// The target that the path names, by id or by its address.
async fn find(admin: &Admin, req: &AdminRequest, relation: &Relation) -> Result<Row, ApiError> {
    let parent = parent_id(admin, &relation.parent, req.param(0)).await?;
    let segment = req.param(1);
    if let Some(id) = canonical_uuid(segment) {
        let row = admin.dao.select(&relation.child, &EntityKey::Id(id)).await?;
        return row
            .filter(|row| belongs(row, relation, &parent))
            .ok_or(ApiError::NotFound);
    }
    let targets = shown_targets(admin, relation, &parent).await?;
    let found = targets
        .iter()
        .find(|target| address(target) == segment)
        .ok_or(ApiError::NotFound)?;
    admin
        .dao
        .select(&relation.child, &EntityKey::Id(row_id(found)?))
        .await?
        .ok_or(ApiError::NotFound)
}

/// All targets of an upstream as clients see them, newest first.
async fn shown_targets(admin: &Admin, relation: &Relation, parent: &str) -> Result<Vec<Object>, ApiError> {
    let rows = admin.dao.children(&relation.child, &relation.field, parent).await?;
    let mut targets: Vec<Object> = rows.iter().map(|row| admin.view(&relation.child, row)).collect();
    targets.sort_by(|a, b| newer(b, a));
    Ok(targets)
}

fn newer(a: &Object, b: &Object) -> Ordering {
    let created = |target: &Object| target.get("created_at").and_then(Value::as_f64).unwrap_or_default();
    let id = |target: &Object| target.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    created(a).total_cmp(&created(b)).then_with(|| id(a).cmp(&id(b)))
}

fn address(target: &Object) -> &str {
    target.get("target").and_then(Value::as_str).unwrap_or_default()
}
