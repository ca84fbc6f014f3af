//! The entity that a foreign field points to: `/routes/{routes}/service` (admin-api.md §3.8).

use std::sync::Arc;

use kong_datastore::Row;
use kong_datastore::dao::{EntityKey, Verb};
use kong_schema::Schema;
use serde_json::{Value, json};
use uuid::Uuid;

use super::entity::variant_input;
use super::nested::id_key;
use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::message::AdminRequest;
use crate::routes::Routes;

/// A foreign field seen as an endpoint.
pub(crate) struct Reference {
    pub(crate) schema: Arc<Schema>,
    pub(crate) field: String,
    pub(crate) target: Arc<Schema>,
}

pub(super) fn add(routes: &mut Routes, path: &str, schema: &Arc<Schema>, field: &str, target: &Arc<Schema>) {
    let reference = Arc::new(Reference {
        schema: Arc::clone(schema),
        field: field.to_owned(),
        target: Arc::clone(target),
    });
    let r = Arc::clone(&reference);
    routes.on("GET", path, move |admin, req| get(admin, req, Arc::clone(&r)));
    let r = Arc::clone(&reference);
    routes.on("PUT", path, move |admin, req| put(admin, req, Arc::clone(&r)));
    let r = Arc::clone(&reference);
    routes.on("PATCH", path, move |admin, req| patch(admin, req, Arc::clone(&r)));
    routes.on("DELETE", path, move |admin, req| {
        delete(admin, req, Arc::clone(&reference))
    });
}

async fn get(admin: Arc<Admin>, req: AdminRequest, reference: Arc<Reference>) -> ApiResult {
    let (_, row) = referenced(&admin, &req, &reference).await?;
    Ok(admin.shown(&reference.target, &row))
}

async fn put(admin: Arc<Admin>, req: AdminRequest, reference: Arc<Reference>) -> ApiResult {
    let target = &reference.target;
    let row = referring(&admin, &req, &reference).await?;
    if let Some(key) = target_key(&row, &reference.field) {
        let row = admin.dao.upsert(target, &key, req.entity(target)).await?;
        return Ok(admin.shown(target, &row));
    }
    let id = Uuid::new_v4().to_string();
    let created = admin
        .dao
        .prepare_upsert(target, &EntityKey::Id(id.clone()), req.entity(target))
        .await?;
    admin.dao.writable(Verb::Upsert, target, None)?;
    let link = link(&admin, &reference, row, &id).await?;
    admin.dao.commit(vec![created.write, link]).await?;
    Ok(admin.shown(target, &created.row))
}

/// The write that makes a row refer to the entity with this id.
pub(crate) async fn link(
    admin: &Admin,
    reference: &Reference,
    row: Row,
    id: &str,
) -> Result<kong_datastore::Write, ApiError> {
    let key = id_key(&row)?;
    let change = kong_schema::Object::from_iter([(reference.field.clone(), json!({ "id": id }))]);
    Ok(admin
        .dao
        .prepare_update_of(&reference.schema, &key, row, change)
        .await?
        .write)
}

async fn patch(admin: Arc<Admin>, req: AdminRequest, reference: Arc<Reference>) -> ApiResult {
    let (key, row) = referenced(&admin, &req, &reference).await?;
    let input = variant_input(&req, &reference.target, &row);
    let row = admin.dao.update(&reference.target, &key, input).await?;
    Ok(admin.shown(&reference.target, &row))
}

async fn delete(admin: Arc<Admin>, req: AdminRequest, reference: Arc<Reference>) -> ApiResult {
    referenced(&admin, &req, &reference).await?;
    Err(ApiError::MethodNotAllowed)
}

/// The entity with the foreign field.
pub(crate) async fn referring(admin: &Admin, req: &AdminRequest, reference: &Reference) -> Result<Row, ApiError> {
    let key = admin.dao.key(&reference.schema, req.param(0))?;
    admin
        .dao
        .select(&reference.schema, &key)
        .await?
        .ok_or(ApiError::NotFound)
}

/// The entity that the field points to.
async fn referenced(admin: &Admin, req: &AdminRequest, reference: &Reference) -> Result<(EntityKey, Row), ApiError> {
    let row = referring(admin, req, reference).await?;
    let key = target_key(&row, &reference.field).ok_or(ApiError::NotFound)?;
    let row = admin
        .dao
        .select(&reference.target, &key)
        .await?
        .ok_or(ApiError::NotFound)?;
    Ok((key, row))
}

/// Key of the entity that a field points to, unless it is null.
pub(crate) fn target_key(row: &Row, field: &str) -> Option<EntityKey> {
    row.get(field)?
        .get("id")
        .and_then(Value::as_str)
        .map(|id| EntityKey::Id(id.to_owned()))
}
