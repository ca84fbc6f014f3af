//! `/status`: memory, connections, the database; readiness on the Status API (admin-api.md §8.3).

use std::sync::Arc;
use std::time::Duration;

use kong_schema::Object;
use serde_json::{Value, json};

use super::NodeInfo;
use crate::app::Admin;
use crate::error::ApiResult;
use crate::message::{AdminRequest, AdminResponse, Input};
use crate::routes::Routes;

/// A database that does not answer in this time counts as unreachable.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn add(routes: &mut Routes) {
    routes.on("GET", "/status", status);
    routes.on("GET", "/status/dns", dns);
}

/// Readiness is asked of the Status API only.
pub(super) fn add_readiness(routes: &mut Routes) {
    routes.on("GET", "/status/ready", ready);
    routes.on("POST", "/status/ready", set_ready);
}

async fn status(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let unit = match Unit::from_parameters(&req.parameters()) {
        Ok(unit) => unit,
        Err(message) => return Ok(AdminResponse::message(400, &message)),
    };
    let mut body = json!({
        "memory": memory(admin.node.as_ref(), &unit),
        "server": server(admin.node.as_ref()),
    });
    match admin.node.configuration_hash() {
        Some(hash) => body["configuration_hash"] = Value::String(hash),
        None => {
            let ping = tokio::time::timeout(PING_TIMEOUT, admin.dao.store().ping()).await;
            body["database"] = json!({"reachable": matches!(ping, Ok(Ok(())))});
        }
    }
    Ok(AdminResponse::json(200, &body))
}

async fn dns(_: Arc<Admin>, _: AdminRequest) -> ApiResult {
    Ok(AdminResponse::message(
        501,
        "not implemented with the legacy DNS client",
    ))
}

async fn ready(admin: Arc<Admin>, _: AdminRequest) -> ApiResult {
    if let Err(reason) = admin.node.readiness() {
        return Ok(AdminResponse::message(503, &reason));
    }
    if admin.node.configuration_hash().is_none() {
        let ping = tokio::time::timeout(PING_TIMEOUT, admin.dao.store().ping()).await;
        if !matches!(ping, Ok(Ok(()))) {
            return Ok(AdminResponse::message(503, "failed to connect to database"));
        }
    }
    Ok(AdminResponse::message(200, "ready"))
}

async fn set_ready(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let draining = match &req.input {
        Input::Json(body) => body.get("status").and_then(Value::as_str) == Some("draining"),
        Input::Form(fields) => fields
            .iter()
            .any(|(name, value)| name == "status" && value == "draining"),
        _ => false,
    };
    let draining = draining || req.query_text("status").as_deref() == Some("draining");
    if !draining {
        return Ok(AdminResponse::page(400, "Bad Request"));
    }
    admin.node.start_draining();
    Ok(AdminResponse::empty(204))
}

fn server(node: &dyn NodeInfo) -> Value {
    let c = node.counters();
    json!({
        "connections_accepted": c.accepted,
        "connections_active": c.active,
        "connections_handled": c.handled,
        "connections_reading": c.reading,
        "connections_waiting": c.waiting,
        "connections_writing": c.writing,
        "total_requests": c.requests,
    })
}

fn memory(node: &dyn NodeInfo, unit: &Unit) -> Value {
    let mut memory = node.memory();
    memory.workers.sort_unstable();
    let workers: Vec<Value> = memory
        .workers
        .iter()
        .map(|(pid, bytes)| json!({"http_allocated_gc": unit.format(*bytes), "pid": pid}))
        .collect();
    let zones: Object = memory
        .zones
        .iter()
        .map(|z| {
            let figures = json!({"allocated_slabs": unit.format(z.allocated), "capacity": unit.format(z.capacity)});
            (z.name.clone(), figures)
        })
        .collect();
    json!({"workers_lua_vms": workers, "lua_shared_dicts": zones})
}

/// How memory figures are written.
#[derive(Debug)]
struct Unit {
    divisor: f64,
    suffix: &'static str,
    scale: usize,
}

/// More digits than this say nothing about a byte count.
const MAX_SCALE: usize = 30;

impl Unit {
    fn from_parameters(parameters: &Object) -> Result<Self, String> {
        let unit = match parameters.get("unit") {
            Some(Value::String(unit)) => unit.as_str(),
            Some(Value::Null) | None => "m",
            Some(_) => "",
        };
        let (divisor, suffix) = match unit {
            "b" | "B" => (1.0, ""),
            "k" | "K" => (1024.0, "KiB"),
            "m" | "M" => (1024.0 * 1024.0, "MiB"),
            "g" | "G" => (1024.0 * 1024.0 * 1024.0, "GiB"),
            _ => return Err(format!("invalid unit '{unit}' (expected 'k/K', 'm/M', or 'g/G')")),
        };
        let scale = match parameters.get("scale") {
            Some(Value::String(text)) => text.trim().parse::<f64>().ok().filter(|n| n.is_finite()),
            Some(value) => value.as_f64(),
            None => None,
        };
        let scale = scale.unwrap_or(2.0);
        if scale < 0.0 {
            return Err("scale must be equal or greater than 0".to_owned());
        }
        Ok(Self {
            divisor,
            suffix,
            scale: (scale as usize).min(MAX_SCALE),
        })
    }

    fn format(&self, bytes: u64) -> Value {
        if self.suffix.is_empty() {
            return Value::from(bytes);
        }
        let figure = bytes as f64 / self.divisor;
        Value::String(format!("{figure:.*} {}", self.scale, self.suffix))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn memory_figures_follow_unit_and_scale() {
        for (parameters, want) in [
            (json!({}), Ok(json!("8.00 MiB"))),
            (json!({"unit": "k", "scale": "0"}), Ok(json!("8192 KiB"))),
            (json!({"unit": "K", "scale": "4"}), Ok(json!("8192.0000 KiB"))),
            (json!({"unit": "g"}), Ok(json!("0.01 GiB"))),
            (json!({"unit": "b"}), Ok(json!(8388608))),
            (json!({"scale": "abc"}), Ok(json!("8.00 MiB"))),
            (
                json!({"unit": "x"}),
                Err("invalid unit 'x' (expected 'k/K', 'm/M', or 'g/G')"),
            ),
            (json!({"scale": "-1"}), Err("scale must be equal or greater than 0")),
        ] {
            let got = Unit::from_parameters(parameters.as_object().unwrap()).map(|u| u.format(8 << 20));
            assert_eq!(got, want.map_err(str::to_owned), "{parameters}");
        }
    }
}
