//! `/debug/…/log-level`: the log level can be changed for a while (admin-api.md §8.7).

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::NodeInfo;
use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

const LEVELS: [&str; 8] = ["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"];
const DEFAULT_TIMEOUT: f64 = 60.0;
/// Channel on which nodes tell each other of a new level.
const CHANNEL: &str = "log_level";

pub(super) fn add(routes: &mut Routes) {
    routes.on("GET", "/debug/node/log-level", get);
    routes.on("PUT", "/debug/node/log-level/{log_level}", set);
    routes.on("PUT", "/debug/cluster/log-level/{log_level}", set_cluster);
}

async fn get(admin: Arc<Admin>, _: AdminRequest) -> ApiResult {
    let levels = admin.node.log_levels().ok_or(ApiError::NotFound)?;
    Ok(AdminResponse::message(200, &format!("log level: {}", levels.level())))
}

async fn set(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let (level, timeout) = match wanted(&admin, &req) {
        Ok(wanted) => wanted,
        Err(refusal) => return Ok(refusal),
    };
    Ok(change(&admin, level, timeout))
}

async fn set_cluster(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let (level, timeout) = match wanted(&admin, &req) {
        Ok(wanted) => wanted,
        Err(refusal) => return Ok(refusal),
    };
    // Nodes number the levels from 1, the most severe, to 8.
    let number = LEVELS.iter().rev().position(|l| *l == level).map(|at| at + 1);
    let event = json!({"log_level": number, "timeout": timeout.as_secs()});
    admin.dao.announce(CHANNEL, &event.to_string()).await?;
    change(&admin, level, timeout);
    Ok(AdminResponse::message(200, "log level changed"))
}

fn change(admin: &Admin, level: &'static str, timeout: Duration) -> AdminResponse {
    if admin.log_level.set(&admin.node, level, timeout) {
        AdminResponse::message(200, "log level changed")
    } else {
        AdminResponse::message(200, &format!("log level is already {level}"))
    }
}

fn wanted(admin: &Admin, req: &AdminRequest) -> Result<(&'static str, Duration), AdminResponse> {
    if admin.dao.is_read_only() {
        return Err(AdminResponse::message(
            405,
            "cannot change log level when not using a database",
        ));
    }
    let name = req.param(0);
    let Some(level) = LEVELS.iter().find(|l| **l == name) else {
        return Err(AdminResponse::message(400, &format!("unknown log level: {name}")));
    };
    let seconds = match req.parameters().get("timeout") {
        Some(Value::Number(n)) => n.as_f64(),
        Some(Value::String(text)) => text.trim().parse::<f64>().ok().filter(|n| n.is_finite()),
        _ => None,
    };
    let seconds = seconds.unwrap_or(DEFAULT_TIMEOUT);
    if seconds < 0.0 {
        return Err(AdminResponse::message(
            400,
            "timeout must be greater than or equal to 0",
        ));
    }
    // A hundred years are as good as for ever, and no arithmetic on them overflows.
    Ok((level, Duration::from_secs(seconds.ceil().min(3.2e9) as u64)))
}

/// Remembers the configured level while another one is in force.
#[derive(Debug, Default)]
pub(crate) struct LogLevelSwitch {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    configured: Option<String>,
    generation: u64,
}

impl LogLevelSwitch {
    /// Sets the level until the timeout ends; false when it is that level already.
    fn set(&self, node: &Arc<dyn NodeInfo>, level: &str, timeout: Duration) -> bool {
        let Some(levels) = node.log_levels() else { return false };
        let current = levels.level();
        if current == level {
            return false;
        }
        let generation = {
            let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
            state.configured.get_or_insert(current);
            state.generation += 1;
            state.generation
        };
        levels.set_level(level);
        let (state, node) = (Arc::clone(&self.state), Arc::clone(node));
        tokio::spawn(async move {
            tokio::time::sleep(timeout).await;
            let configured = {
                let mut state = state.lock().unwrap_or_else(|e| e.into_inner());
                // A later change has its own timer.
                if state.generation == generation {
                    state.configured.take()
                } else {
                    None
                }
            };
            if let (Some(level), Some(levels)) = (configured, node.log_levels()) {
                levels.set_level(&level);
            }
        });
        true
    }
}
