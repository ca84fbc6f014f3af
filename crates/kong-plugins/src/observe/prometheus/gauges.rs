//! Figures of the node, shown whether or not an instance is configured.

use kong_plugin::PluginEnv;

use super::exposition::{Exposition, Kind, Labels};
use super::series::CAPACITY;

pub(super) async fn write(out: &mut Exposition, env: &PluginEnv, used: usize) {
    let node_id = env.node.id.to_string();
    let version = env.node.server_token.trim_start_matches("kong/");
    let figures = env.status.figures();
    let reachable = env.status.is_store_reachable().await;
    let gauge = |out: &mut Exposition, name: &str, help: &str| out.family(name, Kind::Gauge, help);

    gauge(
        out,
        "datastore_reachable",
        "Datastore reachable from Kong, 0 is unreachable",
    );
    out.sample("datastore_reachable", &Labels::default(), u8::from(reachable));

    let pid = std::process::id().to_string();
    let dict = [
        ("node_id", &*node_id),
        ("shared_dict", "prometheus_metrics"),
        ("kong_subsystem", "http"),
    ];
    gauge(
        out,
        "memory_lua_shared_dict_bytes",
        "Allocated slabs in bytes in a shared_dict",
    );
    out.sample("memory_lua_shared_dict_bytes", &Labels::new(&dict), used);
    gauge(
        out,
        "memory_lua_shared_dict_total_bytes",
        "Total capacity in bytes of a shared_dict",
    );
    out.sample("memory_lua_shared_dict_total_bytes", &Labels::new(&dict), CAPACITY);
    gauge(out, "memory_workers_lua_vms_bytes", "Allocated bytes in worker Lua VM");
    let labels = Labels::new(&[("node_id", &node_id), ("pid", &pid), ("kong_subsystem", "http")]);
    // The workers are threads of one process: its memory is that of all of them.
    out.sample("memory_workers_lua_vms_bytes", &labels, resident_bytes());

    gauge(out, "nginx_connections_total", "Number of connections by subsystem");
    for (state, value) in [
        ("accepted", figures.accepted),
        ("active", figures.active),
        ("handled", figures.accepted),
        ("reading", 0),
        ("total", figures.requests),
        ("waiting", figures.active.saturating_sub(figures.in_flight)),
        ("writing", figures.in_flight),
    ] {
        let labels = Labels::new(&[("node_id", &node_id), ("subsystem", "http"), ("state", state)]);
        out.sample("nginx_connections_total", &labels, value);
    }
    gauge(out, "nginx_requests_total", "Number of requests total");
    let labels = Labels::new(&[("node_id", &node_id), ("subsystem", "http")]);
    out.sample("nginx_requests_total", &labels, figures.requests);
    gauge(out, "nginx_timers", "Number of nginx timers");
    // There are no timers of that kind; dashboards expect the series.
    for state in ["pending", "running"] {
        out.sample("nginx_timers", &Labels::new(&[("state", state)]), 0);
    }
    gauge(out, "node_info", "Kong Node metadata information");
    out.sample(
        "node_info",
        &Labels::new(&[("node_id", &node_id), ("version", version)]),
        1,
    );
}

/// Resident memory of the process.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
