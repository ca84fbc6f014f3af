//! `/clustering/*`: refused unless the node is a control plane (admin-api.md §8.8).

use std::sync::Arc;

use crate::app::Admin;
use crate::error::ApiResult;
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

const REFUSAL: &str = "this endpoint is only available when Kong is configured to run as Control Plane for the cluster";

pub(super) fn add(routes: &mut Routes) {
    routes.on("GET", "/clustering/data-planes", refuse);
    routes.on("GET", "/clustering/status", refuse);
}

async fn refuse(_: Arc<Admin>, _: AdminRequest) -> ApiResult {
    Ok(AdminResponse::message(400, REFUSAL))
}
