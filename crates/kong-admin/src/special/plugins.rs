//! PATCH of a plugin that does not say which one it is reads the stored plugin first (admin-api.md §7.2).

use std::sync::Arc;

use kong_model::Registry;
use kong_schema::Schema;

use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::generic::collection_path;
use crate::generic::entity::variant_input;
use crate::message::{AdminRequest, Input};
use crate::routes::Routes;

pub(super) fn add(routes: &mut Routes, registry: &Registry) {
    let Some(schema) = registry.schema("plugins") else {
        return;
    };
    let Some(path) = collection_path(schema) else { return };
    let s = Arc::clone(schema);
    routes.on("PATCH", &format!("{path}/{{{}}}", schema.name), move |admin, req| {
        patch(admin, req, Arc::clone(&s))
    });
}

async fn patch(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let key = admin.dao.key(&schema, req.param(0))?;
    let named = match &req.input {
        Input::Json(body) => body.contains_key("name"),
        Input::Form(fields) => fields.iter().any(|(name, _)| name == "name"),
        Input::None | Input::Text(_) => false,
    };
    let input = match admin.dao.select(&schema, &key).await? {
        Some(stored) => variant_input(&req, &schema, &stored),
        None if named => req.entity(&schema),
        None => return Err(ApiError::NotFound),
    };
    let row = admin.dao.update(&schema, &key, input).await?;
    Ok(admin.shown(&schema, &row))
}
