//! `GET /timers`.

use std::sync::Arc;

use serde_json::json;

use crate::app::Admin;
use crate::error::ApiResult;
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

pub(super) fn add(routes: &mut Routes) {
    routes.on("GET", "/timers", timers);
}

async fn timers(admin: Arc<Admin>, _: AdminRequest) -> ApiResult {
    let timers = admin.node.timers();
    let total = timers.running + timers.pending;
    Ok(AdminResponse::json(
        200,
        &json!({
            "worker": {"id": 0, "count": admin.node.pids().workers.len().max(1)},
            "stats": {
                "flamegraph": {"running": "", "pending": "", "elapsed_time": ""},
                "sys": {"total": total, "runs": 0, "running": timers.running, "pending": timers.pending, "waiting": 0},
                "timers": {},
            },
        }),
    ))
}
