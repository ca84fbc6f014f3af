//! `GET`, `PUT`, `PATCH` and `DELETE` of an entity.

use std::sync::Arc;

use kong_datastore::Row;
use kong_datastore::dao::EntityKey;
use kong_schema::{Object, Schema};
use serde_json::Value;

use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::message::{AdminRequest, AdminResponse, Input};
use crate::routes::Routes;

pub(super) fn add(routes: &mut Routes, path: &str, schema: &Arc<Schema>) {
    let s = Arc::clone(schema);
    routes.on("GET", path, move |admin, req| get(admin, req, Arc::clone(&s)));
    let s = Arc::clone(schema);
    routes.on("PUT", path, move |admin, req| put(admin, req, Arc::clone(&s)));
    let s = Arc::clone(schema);
    routes.on("PATCH", path, move |admin, req| patch(admin, req, Arc::clone(&s)));
    let s = Arc::clone(schema);
    routes.on("DELETE", path, move |admin, req| delete(admin, req, Arc::clone(&s)));
}

async fn get(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let key = admin.dao.key(&schema, req.param(0))?;
    let row = admin.dao.select(&schema, &key).await?.ok_or(ApiError::NotFound)?;
    Ok(admin.shown(&schema, &row))
}

async fn put(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let key = admin.dao.key(&schema, req.param(0))?;
    let row = admin.dao.upsert(&schema, &key, req.entity(&schema)).await?;
    Ok(admin.shown(&schema, &row))
}

async fn patch(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let key = admin.dao.key(&schema, req.param(0))?;
    let input = patch_input(&admin, &req, &schema, &key).await?;
    let row = admin.dao.update(&schema, &key, input).await?;
    Ok(admin.shown(&schema, &row))
}

async fn delete(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let key = admin.dao.key(&schema, req.param(0))?;
    admin.dao.delete(&schema, &key).await?;
    Ok(AdminResponse::empty(204))
}

/// The body of a PATCH. Types of form fields may depend on the variant of the stored entity.
async fn patch_input(
    admin: &Admin,
    req: &AdminRequest,
    schema: &Arc<Schema>,
    key: &EntityKey,
) -> Result<Object, ApiError> {
    if schema.polymorphic.is_some()
        && matches!(req.input, Input::Form(_))
        && let Some(stored) = admin.dao.select(schema, key).await?
    {
        return Ok(variant_input(req, schema, &stored));
    }
    Ok(req.entity(schema))
}

/// The body of a PATCH of this row: form fields are typed by the variant that the row is, unless the body names another.
pub(crate) fn variant_input(req: &AdminRequest, schema: &Schema, stored: &Row) -> Object {
    let (Input::Form(fields), Some(polymorphic)) = (&req.input, &schema.polymorphic) else {
        return req.entity(schema);
    };
    let named = fields
        .iter()
        .any(|(name, _)| name.split(['.', '[']).next() == Some(polymorphic.key.as_str()));
    let Some(variant @ Value::String(_)) = stored.get(&polymorphic.key).filter(|_| !named) else {
        return req.entity(schema);
    };
    let mut form = kong_schema::form::structure(fields.iter().cloned(), true);
    form.insert(polymorphic.key.clone(), variant.clone());
    let mut input = schema.coerce(form);
    input.remove(&polymorphic.key);
    input
}
