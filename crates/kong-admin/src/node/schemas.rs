//! `/schemas/*`: what entities and plugin configurations look like (admin-api.md §8.4).

use std::sync::Arc;

use kong_datastore::unix_now;
use kong_schema::{Operation, Schema, errors::ErrorObject};
use serde_json::json;

use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

pub(super) fn add(routes: &mut Routes) {
    routes.on("GET", "/schemas/{name}", entity);
    routes.on("POST", "/schemas/{db_entity_name}/validate", validate);
    routes.on("GET", "/schemas/plugins/{name}", plugin);
    routes.on("POST", "/schemas/plugins/validate", validate_plugin);
    routes.on("GET", "/schemas/vaults/{name}", vault);
    routes.on("POST", "/schemas/vaults/validate", validate_vault);
    routes.on("GET", "/schemas/filters/{name}", filter);
    routes.on("GET", "/plugins/enabled", enabled);
    routes.on("GET", "/plugins/schema/{name}", plugin_config);
}

async fn entity(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let name = req.raw_param(0);
    let schema = admin.registry.schema(name).ok_or_else(|| no_entity(name))?;
    Ok(AdminResponse::json(200, &schema.document()))
}

async fn plugin(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let name = req.raw_param(0);
    let plugin = admin.registry.plugin(name).ok_or_else(|| no_plugin(name))?;
    Ok(AdminResponse::json(200, &plugin.schema.document()))
}

async fn vault(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let name = req.raw_param(0);
    let vaults = admin.registry.schema("vaults").and_then(|s| s.polymorphic.as_ref());
    let variant = vaults.and_then(|p| p.variants.iter().find(|(n, _)| n == name));
    match variant {
        Some((_, schema)) => Ok(AdminResponse::json(200, &schema.document())),
        None => Err(ApiError::message(404, format!("No vault named '{name}'"))),
    }
}

async fn filter(_: Arc<Admin>, req: AdminRequest) -> ApiResult {
    Err(ApiError::message(
        404,
        format!("Filter '{}' not found", req.raw_param(0)),
    ))
}

async fn enabled(admin: Arc<Admin>, _: AdminRequest) -> ApiResult {
    let names: Vec<&str> = admin.registry.plugins().iter().map(|p| p.name.as_str()).collect();
    Ok(AdminResponse::json(200, &json!({ "enabled_plugins": names })))
}

/// Deprecated: only the `config` record of the plugin.
async fn plugin_config(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let name = req.raw_param(0);
    let plugin = admin.registry.plugin(name).ok_or_else(|| no_plugin(name))?;
    let document = plugin.schema.document();
    let config = document["fields"]
        .as_array()
        .and_then(|fields| fields.iter().find_map(|f| f.get("config")))
        .cloned()
        .unwrap_or_default();
    let checks = config.get("entity_checks").cloned().unwrap_or_else(|| json!([]));
    let fields = config.get("fields").cloned().unwrap_or_else(|| json!([]));
    Ok(AdminResponse::json(
        200,
        &json!({"entity_checks": checks, "fields": fields}),
    ))
}

async fn validate(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let name = req.raw_param(0);
    let schema = admin.registry.schema(name).ok_or_else(|| no_entity(name))?;
    check(schema, &req)
}

async fn validate_plugin(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let schema = admin.registry.schema("plugins").ok_or_else(|| no_entity("plugins"))?;
    check(schema, &req)
}

async fn validate_vault(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let schema = admin.registry.schema("vaults").ok_or_else(|| no_entity("vaults"))?;
    check(schema, &req)
}

/// Defaults, then validation as for POST, without the store: uniqueness and references are not looked at.
fn check(schema: &Schema, req: &AdminRequest) -> ApiResult {
    let input = req.parameters();
    let entity = schema
        .process(Operation::Insert, &input, None, unix_now())
        .map_err(ErrorObject::schema_violation)?;
    schema
        .validate(&entity, Operation::Insert, &input)
        .map_err(ErrorObject::schema_violation)?;
    Ok(AdminResponse::message(200, "schema validation successful"))
}

fn no_entity(name: &str) -> ApiError {
    ApiError::message(404, format!("No entity named '{name}'"))
}

fn no_plugin(name: &str) -> ApiError {
    ApiError::message(404, format!("No plugin named '{name}'"))
}
