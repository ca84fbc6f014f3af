//! Entities below a parent: `/services/{services}/routes` and `/services/{services}/routes/{routes}`
//! (admin-api.md §3.6, §3.7).

use std::sync::Arc;

use kong_datastore::Row;
use kong_datastore::dao::EntityKey;
use kong_schema::Schema;
use serde_json::{Value, json};

use super::Relation;
use super::entity::variant_input;
use super::page::{Repeat, entity_page, page_request};
use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

pub(super) fn add(routes: &mut Routes, path: &str, relation: &Arc<Relation>) {
    let r = Arc::clone(relation);
    routes.on("GET", path, move |admin, req| list(admin, req, Arc::clone(&r)));
    let r = Arc::clone(relation);
    routes.on("POST", path, move |admin, req| create(admin, req, Arc::clone(&r)));
    let path = format!("{path}/{{{}}}", relation.child.name);
    let r = Arc::clone(relation);
    routes.on("GET", &path, move |admin, req| get(admin, req, Arc::clone(&r)));
    let r = Arc::clone(relation);
    routes.on("PUT", &path, move |admin, req| put(admin, req, Arc::clone(&r)));
    let r = Arc::clone(relation);
    routes.on("PATCH", &path, move |admin, req| patch(admin, req, Arc::clone(&r)));
    let r = Arc::clone(relation);
    routes.on("DELETE", &path, move |admin, req| delete(admin, req, Arc::clone(&r)));
}

pub(crate) async fn list(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let parent = parent_id(&admin, &relation.parent, req.param(0)).await?;
    let mut request = page_request(&req);
    request.tags = None;
    let page = admin
        .dao
        .page(&relation.child, Some((relation.field.clone(), parent)), &request)
        .await?;
    let path = req.path.strip_suffix('/').unwrap_or(&req.path);
    Ok(entity_page(
        &admin,
        &relation.child,
        &page,
        path,
        &request,
        Repeat::Nothing,
    ))
}

pub(crate) async fn create(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let parent = parent_id(&admin, &relation.parent, req.param(0)).await?;
    let mut input = req.entity(&relation.child);
    input.insert(relation.field.clone(), json!({ "id": parent }));
    let row = admin.dao.insert(&relation.child, input).await?;
    Ok(AdminResponse::json(201, &admin.view(&relation.child, &row)))
}

async fn get(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let (_, _, row) = child(&admin, &req, &relation).await?;
    Ok(admin.shown(&relation.child, &row))
}

async fn put(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let parent = parent_id(&admin, &relation.parent, req.param(0)).await?;
    let key = admin.dao.key(&relation.child, req.param(1))?;
    put_child(&admin, &req, &relation, parent, &key).await
}

pub(crate) async fn put_child(
    admin: &Admin,
    req: &AdminRequest,
    relation: &Relation,
    parent: String,
    key: &EntityKey,
) -> ApiResult {
    let mut input = req.entity(&relation.child);
    input.insert(relation.field.clone(), json!({ "id": parent }));
    let row = admin.dao.upsert(&relation.child, key, input).await?;
    Ok(admin.shown(&relation.child, &row))
}

async fn patch(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let (parent, key, row) = child(&admin, &req, &relation).await?;
    patch_child(&admin, &req, &relation, parent, &key, &row).await
}

pub(crate) async fn patch_child(
    admin: &Admin,
    req: &AdminRequest,
    relation: &Relation,
    parent: String,
    key: &EntityKey,
    row: &Row,
) -> ApiResult {
    let mut input = variant_input(req, &relation.child, row);
    input
        .entry(relation.field.clone())
        .or_insert_with(|| json!({ "id": parent }));
    let row = admin.dao.update(&relation.child, key, input).await?;
    Ok(admin.shown(&relation.child, &row))
}

async fn delete(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let (_, key, _) = child(&admin, &req, &relation).await?;
    delete_child(&admin, &relation, &key).await
}

pub(crate) async fn delete_child(admin: &Admin, relation: &Relation, key: &EntityKey) -> ApiResult {
    admin.dao.delete(&relation.child, key).await?;
    Ok(AdminResponse::empty(204))
}

/// Id of the parent that a path segment names.
pub(crate) async fn parent_id(admin: &Admin, parent: &Arc<Schema>, segment: &str) -> Result<String, ApiError> {
    let key = admin.dao.key(parent, segment)?;
    let row = admin.dao.select(parent, &key).await?.ok_or(ApiError::NotFound)?;
    row_id(&row)
}

/// The parent's id, the child's key as given, and the child; a child of another parent is not found.
pub(crate) async fn child(
    admin: &Admin,
    req: &AdminRequest,
    relation: &Relation,
) -> Result<(String, EntityKey, Row), ApiError> {
    let parent = parent_id(admin, &relation.parent, req.param(0)).await?;
    let key = admin.dao.key(&relation.child, req.param(1))?;
    let row = admin
        .dao
        .select(&relation.child, &key)
        .await?
        .ok_or(ApiError::NotFound)?;
    if belongs(&row, relation, &parent) {
        Ok((parent, key, row))
    } else {
        Err(ApiError::NotFound)
    }
}

pub(crate) fn belongs(row: &Row, relation: &Relation, parent: &str) -> bool {
    row.get(&relation.field)
        .and_then(|f| f.get("id"))
        .and_then(Value::as_str)
        == Some(parent)
}

/// Id of a row that was read.
pub(crate) fn row_id(row: &Row) -> Result<String, ApiError> {
    row.get("id")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or(ApiError::NotFound)
}

pub(crate) fn id_key(row: &Row) -> Result<EntityKey, ApiError> {
    row_id(row).map(EntityKey::Id)
}
