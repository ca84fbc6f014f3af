//! The Admin and Status API of a node, and what they ask of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use kong_admin::{
    AdminApp, AdminContext, Cors, Counters, HeaderOptions, LogLevels, Memory, NodeInfo, PluginRoute, ServeOptions,
    Zone, entity_rules, serve as serve_listener, status_app,
};
use kong_cache::EntityCache;
use kong_config::Config;
use kong_config::log::{Level, LogHandle, handle as log_handle};
use kong_datastore::dao::Dao;
use kong_datastore::{BoxFuture, Datastore};
use kong_model::Registry;
use kong_model::declarative::EMPTY_HASH;
use kong_plugin::{AdminRoute, PluginEnv, PluginKind, Surface};
use kong_proxy::{Balancers, Totals, WorkerStats};
use kong_schema::Object;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::NodeError;
use crate::declarative::Documents;
use crate::listeners::ControlPort;
use crate::publisher::Publisher;
use crate::upstream_health::NodeBalancers;

/// What the APIs are made of.
pub(crate) struct AdminPlan {
    pub(crate) config: Arc<Config>,
    pub(crate) kinds: Vec<Arc<dyn PluginKind>>,
    pub(crate) env: PluginEnv,
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<dyn Datastore>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) balancers: Arc<Balancers>,
    pub(crate) cache: Arc<EntityCache>,
    pub(crate) stats: Arc<[Arc<WorkerStats>]>,
    pub(crate) draining: Arc<AtomicBool>,
    pub(crate) ready: Arc<AtomicBool>,
    /// The declarative configuration of a node without a database.
    pub(crate) documents: Option<Arc<Documents>>,
    pub(crate) admin: Vec<ControlPort>,
    pub(crate) admin_tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) status: Vec<ControlPort>,
    pub(crate) status_tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) stopped: watch::Receiver<bool>,
}

/// Serves both APIs on their ports. Must run inside the control runtime.
pub(crate) fn serve(plan: AdminPlan) -> Result<Vec<JoinHandle<()>>, NodeError> {
    let node_id = plan.env.node.id;
    let dao = Dao::new(
        plan.store.clone(),
        plan.registry.schemas().into(),
        node_id,
        plan.publisher.clone(),
    )
    .with_rules(entity_rules())
    .read_only(plan.documents.is_some());
    let hash = plan.documents.as_ref().map(|documents| documents.hash());
    let node = Arc::new(Info {
        configuration: configuration(&plan.config, &plan.registry),
        node_id,
        hostname: plan.env.node.hostname.clone(),
        cache: plan.cache.clone(),
        stats: plan.stats.clone(),
        draining: plan.draining.clone(),
        ready: plan.ready.clone(),
        log: log_handle().cloned().map(Log),
        hash: hash.clone(),
        cache_capacity: plan.config.cache.memory,
    });
    let balancers = NodeBalancers {
        balancers: plan.balancers.clone(),
        publisher: plan.publisher.clone(),
    };
    let tokens = &plan.config.proxy.headers;
    let mut context = AdminContext::new(dao, plan.registry.clone(), node);
    context.balancers = Some(Arc::new(balancers));
    context.headers = HeaderOptions {
        server: tokens.server,
        latency: tokens.admin_latency,
    };
    context.cors = Cors::new(plan.config.admin_gui_urls.iter().map(String::as_str));
    if let Some(limit) = plan.config.server.admin_max_body_size {
        context.max_body = usize::try_from(limit).unwrap_or(usize::MAX);
    }
    if let Some(documents) = plan.documents {
        context.declarative = Some(documents);
    }
    let routes: Vec<AdminRoute> = plan.kinds.iter().flat_map(|kind| kind.routes(&plan.env)).collect();
    let on = |surface: Surface| -> Vec<PluginRoute> {
        routes
            .iter()
            .filter(|route| route.surface == surface || route.surface == Surface::Both)
            .cloned()
            .map(plugin_route)
            .collect()
    };
    let mut status_context = context.clone();
    context.plugin_routes = on(Surface::Admin);
    status_context.plugin_routes = on(Surface::Status);
    let admin = AdminApp::new(context);
    let status = status_app(status_context);
    let mut serving = Vec::new();
    let ports = plan
        .admin
        .into_iter()
        .map(|port| (port, admin.clone(), plan.admin_tls.clone()));
    let ports = ports.chain(
        plan.status
            .into_iter()
            .map(|port| (port, status.clone(), plan.status_tls.clone())),
    );
    for (port, app, tls) in ports {
        let start = |source| NodeError::Start {
            what: "an Admin or Status listener",
            source,
        };
        port.socket.set_nonblocking(true).map_err(start)?;
        let socket = tokio::net::TcpListener::from_std(port.socket).map_err(start)?;
        let options = ServeOptions {
            tls: if port.is_tls { tls } else { None },
            ..ServeOptions::default()
        };
        serving.push(tokio::spawn(serve_listener(socket, app, options, plan.stopped.clone())));
    }
    Ok(serving)
}

/// A plugin's endpoint in the Admin API's own terms.
fn plugin_route(route: AdminRoute) -> PluginRoute {
    let handler = route.handler;
    PluginRoute {
        method: route.method.to_owned(),
        path: route.path,
        handler: Arc::new(
            move |request: kong_admin::AdminRequest| -> BoxFuture<'static, kong_admin::AdminResponse> {
                let answer = handler(kong_plugin::AdminRequest {
                    method: request.method.as_str().to_owned(),
                    parameters: request.params.iter().map(|param| param.raw.clone()).collect(),
                    arguments: request.parameters(),
                });
                Box::pin(async move {
                    let answer = answer.await;
                    kong_admin::AdminResponse {
                        status: answer.status,
                        content_type: answer.content_type.map(Into::into),
                        headers: Vec::new(),
                        body: answer.body,
                    }
                })
            },
        ),
    }
}

/// `configuration` of `GET /`, but for the log level, which may change.
fn configuration(config: &Config, registry: &Registry) -> Object {
    let mut members: Object = config
        .effective()
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value)))
        .collect();
    let loaded: BTreeMap<_, _> = registry
        .plugins()
        .iter()
        .map(|plugin| (plugin.name.as_str(), true))
        .collect();
    members.insert("loaded_plugins".to_owned(), serde_json::json!(loaded));
    members.insert("loaded_vaults".to_owned(), serde_json::json!({ "env": true }));
    members
}

struct Info {
    configuration: Object,
    node_id: Uuid,
    hostname: String,
    cache: Arc<EntityCache>,
    stats: Arc<[Arc<WorkerStats>]>,
    draining: Arc<AtomicBool>,
    ready: Arc<AtomicBool>,
    log: Option<Log>,
    /// Hash of the running document, on a node without a database.
    hash: Option<Arc<ArcSwap<String>>>,
    cache_capacity: u64,
}

impl NodeInfo for Info {
    fn node_id(&self) -> Uuid {
        self.node_id
    }

    fn hostname(&self) -> String {
        self.hostname.clone()
    }

    fn configuration(&self) -> Object {
        let mut members = self.configuration.clone();
        if let Some(log) = &self.log {
            members.insert("log_level".to_owned(), Value::String(log.level()));
        }
        members
    }

    fn counters(&self) -> Counters {
        let totals: Totals = self.stats.iter().map(|stats| stats.read()).sum();
        Counters {
            accepted: totals.accepted,
            active: totals.active,
            handled: totals.accepted,
            reading: 0,
            waiting: totals.active.saturating_sub(totals.in_flight),
            writing: totals.in_flight,
            requests: totals.requests,
        }
    }

    fn memory(&self) -> Memory {
        // One process where the original has several: its memory is shown once.
        let workers = vec![(std::process::id(), resident_bytes())];
        let names = [
            "kong",
            "kong_locks",
            "kong_healthchecks",
            "kong_cluster_events",
            "kong_rate_limiting_counters",
            "kong_core_db_cache",
            "kong_core_db_cache_miss",
            "kong_db_cache",
            "kong_db_cache_miss",
            "kong_secrets",
        ];
        let zones = names
            .into_iter()
            .map(|name| Zone {
                name: name.to_owned(),
                allocated: 0,
                capacity: self.cache_capacity,
            })
            .collect();
        Memory { workers, zones }
    }

    fn configuration_hash(&self) -> Option<String> {
        self.hash.as_ref().map(|hash| hash.load().to_string())
    }

    fn readiness(&self) -> Result<(), String> {
        if self.draining.load(Ordering::Relaxed) {
            return Err("draining".to_owned());
        }
        if !self.ready.load(Ordering::Relaxed) {
            return Err("router builds not yet complete".to_owned());
        }
        if self
            .hash
            .as_ref()
            .is_some_and(|hash| hash.load().as_str() == EMPTY_HASH)
        {
            return Err("no configuration available (empty configuration present)".to_owned());
        }
        Ok(())
    }

    fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn log_levels(&self) -> Option<&dyn LogLevels> {
        self.log.as_ref().map(|log| log as &dyn LogLevels)
    }

    fn invalidate<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        self.cache.invalidate(key);
        Box::pin(std::future::ready(()))
    }

    fn purge_caches(&self) -> BoxFuture<'_, ()> {
        self.cache.purge();
        Box::pin(std::future::ready(()))
    }
}

struct Log(LogHandle);

impl LogLevels for Log {
    fn level(&self) -> String {
        self.0.level().name().to_owned()
    }

    fn set_level(&self, level: &str) {
        if let Ok(level) = level.parse::<Level>() {
            self.0.set_level(level);
        }
    }
}

/// Resident memory of this process; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    // The page size is 4 KiB wherever the gateway runs; the figure is informational.
    pages.unwrap_or(0) * 4096
}
