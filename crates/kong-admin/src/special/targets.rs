//! Targets live below their upstream only, newest first, addressed by id or by `host:port` (admin-api.md §7.3).

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use kong_datastore::Row;
use kong_datastore::dao::{EntityKey, canonical_uuid, page_size};
use kong_model::Registry;
use kong_schema::Object;
use kong_schema::errors::ErrorObject;
use serde_json::Value;

use super::health;

use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::generic::Relation;
use crate::generic::nested::{self, belongs, delete_child, id_key, parent_id, row_id};
use crate::generic::page::{Repeat, page_of, page_request};
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

const FIELD: &str = "upstream";

const PATH: &str = "/upstreams/{upstreams}/targets";

fn relation(registry: &Registry) -> Option<Arc<Relation>> {
    Some(Arc::new(Relation {
        parent: Arc::clone(registry.schema("upstreams")?),
        child: Arc::clone(registry.schema("targets")?),
        field: FIELD.to_owned(),
    }))
}

/// What only reads: all that the Status API has.
pub(super) fn add_reading(routes: &mut Routes, registry: &Registry) {
    let Some(relation) = relation(registry) else { return };
    let r = Arc::clone(&relation);
    routes.on("GET", PATH, move |admin, req| list(admin, req, Arc::clone(&r)));
    let r = Arc::clone(&relation);
    routes.on("GET", &format!("{PATH}/all"), move |admin, req| {
        nested::list(admin, req, Arc::clone(&r))
    });
    let r = Arc::clone(&relation);
    routes.on("GET", &format!("{PATH}/{{targets}}"), move |admin, req| {
        get(admin, req, Arc::clone(&r))
    });
    routes.on("GET", "/upstreams/{upstreams}/health", move |admin, req| {
        health::show(admin, req, Arc::clone(&relation))
    });
}

pub(super) fn add(routes: &mut Routes, registry: &Registry) {
    let Some(relation) = relation(registry) else { return };
    add_reading(routes, registry);
    let r = Arc::clone(&relation);
    routes.on("POST", PATH, move |admin, req| {
        nested::create(admin, req, Arc::clone(&r))
    });
    let target = format!("{PATH}/{{targets}}");
    for method in ["PATCH", "PUT"] {
        let r = Arc::clone(&relation);
        routes.on(method, &target, move |admin, req| patch(admin, req, Arc::clone(&r)));
    }
    let r = Arc::clone(&relation);
    routes.on("DELETE", &target, move |admin, req| delete(admin, req, Arc::clone(&r)));
    for (state, is_healthy) in [("healthy", true), ("unhealthy", false)] {
        for (template, has_address) in [
            (format!("{target}/{state}"), false),
            (format!("{target}/{{address}}/{state}"), true),
        ] {
            let r = Arc::clone(&relation);
            routes.on("PUT", &template, move |admin, req| {
                health::set(admin, req, Arc::clone(&r), has_address, is_healthy)
            });
        }
    }
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
pub(super) async fn newest_first(
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

/// The target that the path names, by id or by its address.
pub(super) async fn find(admin: &Admin, req: &AdminRequest, relation: &Relation) -> Result<Row, ApiError> {
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

pub(super) fn address(target: &Object) -> &str {
    target.get("target").and_then(Value::as_str).unwrap_or_default()
}
