//! `/cache` and `/cache/{key}`: the node's entity caches (admin-api.md §8.6).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

pub(super) fn add(routes: &mut Routes) {
    routes.on("DELETE", "/cache", purge);
    routes.on("GET", "/cache/{key}", get);
    routes.on("DELETE", "/cache/{key}", invalidate);
}

async fn get(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    match admin.node.cached(req.raw_param(0)).await {
        Some(object @ Value::Object(_)) => Ok(AdminResponse::json(200, &object)),
        Some(scalar) => Ok(AdminResponse::json(200, &json!({ "message": scalar }))),
        None => Err(ApiError::NotFound),
    }
}

async fn invalidate(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    admin.node.invalidate(req.raw_param(0)).await;
    Ok(AdminResponse::empty(204))
}

async fn purge(admin: Arc<Admin>, _: AdminRequest) -> ApiResult {
    admin.node.purge_caches().await;
    Ok(AdminResponse::empty(204))
}
