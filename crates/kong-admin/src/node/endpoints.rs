//! `GET /endpoints`: every path template.

use std::sync::Arc;

use serde_json::json;

use crate::app::Admin;
use crate::error::ApiResult;
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

pub(super) fn add(routes: &mut Routes) {
    routes.on("GET", "/endpoints", endpoints);
}

async fn endpoints(admin: Arc<Admin>, _: AdminRequest) -> ApiResult {
    let mut templates = admin.table.templates();
    templates.retain(|t| t != "/robots.txt");
    Ok(AdminResponse::json(200, &json!({ "data": templates })))
}
