//! `/config`: the declarative document of a node without a database (admin-api.md §9.2, §9.3).

use std::sync::Arc;

use kong_datastore::BoxFuture;

use crate::app::Admin;
use crate::error::ApiResult;
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

const REFUSAL: &str = "this endpoint is only available when Kong is configured to not use a database";

/// Loads and shows declarative documents; the node that runs without a database provides it.
pub trait DeclarativeConfig: Send + Sync + 'static {
    /// `POST /config`.
    fn load(&self, request: AdminRequest) -> BoxFuture<'_, AdminResponse>;

    /// `GET /config`.
    fn show(&self) -> BoxFuture<'_, AdminResponse>;
}

pub(super) fn add(routes: &mut Routes) {
    routes.on("GET", "/config", show);
    routes.on("POST", "/config", load);
}

async fn show(admin: Arc<Admin>, _: AdminRequest) -> ApiResult {
    Ok(match &admin.declarative {
        Some(config) => config.show().await,
        None => AdminResponse::message(400, REFUSAL),
    })
}

async fn load(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    Ok(match &admin.declarative {
        Some(config) => config.load(req).await,
        None => AdminResponse::message(400, REFUSAL),
    })
}
