//! Health of upstreams and targets: shown, and set by hand (admin-api.md §7.4).

use std::net::IpAddr;
use std::sync::Arc;

use kong_datastore::Row;
use kong_schema::Object;
use kong_schema::address::{Address, Host};
use serde_json::{Value, json};

use super::targets::{address, find, newest_first};
use crate::app::Admin;
use crate::balancers::{HealthChange, HealthRefusal, HealthReport, HostReport, WeightReport};
use crate::error::{ApiError, ApiResult};
use crate::generic::Relation;
use crate::generic::nested::row_id;
use crate::message::{AdminRequest, AdminResponse};

/// Port of an address that names none.
const DEFAULT_PORT: u16 = 8000;

/// `PUT /upstreams/{upstream}/targets/{target}[/{address}]/healthy|unhealthy`.
pub(super) async fn set(
    admin: Arc<Admin>,
    req: AdminRequest,
    relation: Arc<Relation>,
    has_address: bool,
    is_healthy: bool,
) -> ApiResult {
    let upstream = upstream(&admin, &req, &relation).await?;
    let target = find(&admin, &req, &relation).await?;
    let target = admin.view(&relation.child, &target);
    let name = upstream.get("name").and_then(Value::as_str).unwrap_or_default();
    let upstream_id = row_id(&upstream)?;
    // The address is shown normalised: with a port.
    let (host, port) = address(&target).rsplit_once(':').ok_or(ApiError::NotFound)?;
    let only = match has_address {
        true => match resolved_address(req.param(2)) {
            Some(address) => Some(address),
            // No address of any target: nothing is changed.
            None => return Ok(AdminResponse::empty(204)),
        },
        false => None,
    };
    let refusal = match &admin.balancers {
        None => Err(HealthRefusal::NoBalancer),
        Some(balancers) => {
            let change = HealthChange {
                upstream_id: &upstream_id,
                upstream_name: name,
                host,
                port: port.parse().unwrap_or(DEFAULT_PORT),
                address: only,
                is_healthy,
            };
            balancers.set(change).await
        }
    };
    match refusal {
        Ok(()) => Ok(AdminResponse::empty(204)),
        Err(HealthRefusal::NoBalancer) => Err(ApiError::message(400, format!("Upstream {name} has no balancer"))),
        Err(HealthRefusal::NoHealthChecks) => Err(ApiError::message(400, format!("no healthchecker found for {name}"))),
    }
}

/// `ip[:port]`.
fn resolved_address(text: &str) -> Option<(IpAddr, u16)> {
    let address = Address::parse(text).ok()?;
    let ip = match address.host {
        Host::V4(ip) => IpAddr::V4(ip),
        Host::V6(ip) => IpAddr::V6(ip),
        Host::Name(_) => return None,
    };
    Some((ip, address.port.unwrap_or(DEFAULT_PORT)))
}

async fn upstream(admin: &Admin, req: &AdminRequest, relation: &Relation) -> Result<Row, ApiError> {
    let key = admin.dao.key(&relation.parent, req.param(0))?;
    let row = admin.dao.select(&relation.parent, &key).await?;
    row.ok_or(ApiError::NotFound)
}

/// `GET /upstreams/{upstream}/health`. Without balancer information the targets are listed without their health.
pub(super) async fn show(admin: Arc<Admin>, req: AdminRequest, relation: Arc<Relation>) -> ApiResult {
    let node_id = admin.node.node_id();
    let upstream = upstream(&admin, &req, &relation).await?;
    let id = row_id(&upstream)?;
    let report = admin.balancers.as_ref().and_then(|balancers| balancers.report(&id));
    if req.query_text("balancer_health").as_deref() == Some("1") {
        let mut body = json!({"next": null, "node_id": node_id});
        if let Some(report) = report {
            body["data"] = overall(&id, &report);
        }
        return Ok(AdminResponse::json(200, &body));
    }
    let (mut data, offset) = newest_first(&admin, &req, &relation).await?;
    if let Some(report) = &report {
        for target in data.iter_mut().filter_map(Value::as_object_mut) {
            add_health(target, report);
        }
    }
    let path = req.path.strip_suffix('/').unwrap_or(&req.path);
    let mut body = json!({"data": data, "next": null, "node_id": node_id});
    if let Some(offset) = offset {
        body["next"] = Value::String(format!("{path}?offset={offset}"));
        body["offset"] = Value::String(offset);
    }
    Ok(AdminResponse::json(200, &body))
}

fn add_health(target: &mut Object, report: &HealthReport) {
    let text = address(target);
    let Some(host) = report
        .hosts
        .iter()
        .find(|host| text.rsplit_once(':') == Some((host.host.as_str(), host.port.to_string().as_str())))
    else {
        return;
    };
    let is_off = !report.checks_are_on || host.node_weight == 0;
    let word = |is_healthy: bool| match (is_off, is_healthy) {
        (true, _) => "HEALTHCHECKS_OFF",
        (false, true) => "HEALTHY",
        (false, false) => "UNHEALTHY",
    };
    let health = match host.addresses.is_empty() {
        // A target that is out is not asked for.
        true if is_off && host.node_weight == 0 => "HEALTHCHECKS_OFF",
        true => "DNS_ERROR",
        false => word(host.addresses.iter().any(|address| address.is_healthy)),
    };
    let data = host_of(host, |address| ("health", json!(word(address))));
    target.insert("health".to_owned(), json!(health));
    target.insert("data".to_owned(), data);
}

fn overall(id: &str, report: &HealthReport) -> Value {
    let word = if report.is_healthy { "HEALTHY" } else { "UNHEALTHY" };
    let hosts: Vec<Value> = report
        .hosts
        .iter()
        .map(|host| host_of(host, |is_healthy| ("healthy", json!(is_healthy))))
        .collect();
    json!({
        "id": id,
        "health": if report.checks_are_on { word } else { "HEALTHCHECKS_OFF" },
        "balancer_health": word,
        "details": {"healthy": report.is_healthy, "weight": weight(report.weight), "hosts": hosts},
    })
}

fn host_of(host: &HostReport, health: impl Fn(bool) -> (&'static str, Value)) -> Value {
    let addresses: Vec<Value> = host
        .addresses
        .iter()
        .map(|address| {
            let (member, value) = health(address.is_healthy);
            let ip = Address {
                host: match address.ip {
                    IpAddr::V4(ip) => Host::V4(ip),
                    IpAddr::V6(ip) => Host::V6(ip),
                },
                port: None,
            };
            json!({"ip": ip.to_string(), "port": address.port, "weight": address.weight, member: value})
        })
        .collect();
    json!({
        "host": host.host,
        "port": host.port,
        "dns": host.dns,
        "nodeWeight": host.node_weight,
        "weight": weight(host.weight),
        "addresses": addresses,
    })
}

fn weight(weight: WeightReport) -> Value {
    json!({
        "total": weight.total,
        "available": weight.available,
        "unavailable": weight.total.saturating_sub(weight.available),
    })
}
