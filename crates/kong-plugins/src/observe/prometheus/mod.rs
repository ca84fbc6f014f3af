//! `prometheus`: metrics to be scraped from the Admin and the Status API (plugins-transform-observe.md §10.3).
//!
//! On the request path: one hash and one lock that only a scrape contends for: every worker counts for itself.

mod exposition;
mod gauges;
mod series;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use kong_plugin::context::Log;
use kong_plugin::{
    AdminHandler, AdminRequest, AdminResponse, AdminRoute, Exchange, Instance, Phases, Plugin, PluginDefinition,
    PluginEnv, PluginError, Source, Surface,
};
use kong_schema::{ALL_PROTOCOLS, Record};
use serde::Deserialize;

use self::exposition::Exposition;
pub use self::series::Metrics;
use self::series::{Observation, RequestKey};

/// Configuration of `prometheus`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Tell consumers apart.
    #[kong(default = false)]
    pub per_consumer: Option<bool>,
    /// Count requests by status.
    #[kong(default = false)]
    pub status_code_metrics: Option<bool>,
    /// Metrics of AI plugins; this version has none to show.
    #[kong(default = false)]
    pub ai_metrics: Option<bool>,
    /// Histograms of latencies.
    #[kong(default = false)]
    pub latency_metrics: Option<bool>,
    /// Count bytes in both directions.
    #[kong(default = false)]
    pub bandwidth_metrics: Option<bool>,
    /// Health of targets; shown once this version has balancers.
    #[kong(default = false)]
    pub upstream_health_metrics: Option<bool>,
}

/// See the module.
pub struct Prometheus {
    per_consumer: bool,
    statuses: bool,
    latencies: bool,
    bandwidth: bool,
    state: Arc<State>,
}

/// What outlives instances.
#[derive(Default)]
pub struct State {
    metrics: Metrics,
    /// Some instance is enabled.
    is_enabled: AtomicBool,
}

impl PluginDefinition for Prometheus {
    const NAME: &'static str = "prometheus";
    const PRIORITY: i32 = 13;
    const PHASES: Phases = Phases::LOG;
    const OBSERVES_INSTANCES: bool = true;
    const PROTOCOLS: &'static [&'static str] = ALL_PROTOCOLS;

    type Config = Config;
    type State = State;

    fn new(config: Config, _instance: Instance, state: &Arc<State>, _env: &PluginEnv) -> Result<Self, PluginError> {
        Ok(Prometheus {
            per_consumer: config.per_consumer.unwrap_or(false),
            statuses: config.status_code_metrics.unwrap_or(false),
            latencies: config.latency_metrics.unwrap_or(false),
            bandwidth: config.bandwidth_metrics.unwrap_or(false),
            state: state.clone(),
        })
    }

    fn configure(state: &Arc<State>, instances: &[Instance], _env: &PluginEnv) {
        state.is_enabled.store(!instances.is_empty(), Ordering::Relaxed);
    }

    fn routes(state: &Arc<State>, env: &PluginEnv) -> Vec<AdminRoute> {
        let (state, env) = (state.clone(), env.clone());
        let handler: AdminHandler = Arc::new(move |_request: AdminRequest| {
            let (state, env) = (state.clone(), env.clone());
            Box::pin(async move { scrape(&state, &env).await })
        });
        vec![AdminRoute {
            surface: Surface::Both,
            method: "GET",
            path: "/metrics".to_owned(),
            handler,
        }]
    }
}

async fn scrape(state: &State, env: &PluginEnv) -> AdminResponse {
    let mut out = Exposition::default();
    gauges::write(&mut out, env, state.metrics.bytes()).await;
    if state.is_enabled.load(Ordering::Relaxed) {
        state.metrics.write(&mut out);
    }
    AdminResponse {
        status: 200,
        content_type: Some("text/plain; charset=UTF-8".to_owned()),
        body: Bytes::from(out.into_text()),
    }
}

impl Plugin for Prometheus {
    fn log(&self, cx: &mut Log<'_>) -> Result<(), PluginError> {
        let exchange: &Exchange = cx;
        // Requests that matched no route are not told apart by anything.
        let Some(route) = &exchange.route else { return Ok(()) };
        let key = RequestKey {
            route: (route.id, route.updated_at),
            service: exchange
                .service
                .as_ref()
                .map(|service| (service.id, service.updated_at)),
            consumer: exchange
                .consumer
                .as_ref()
                .filter(|_| self.per_consumer)
                .map(|c| (c.id, c.updated_at)),
            status: exchange
                .status()
                .unwrap_or(if exchange.is_client_gone { 499 } else { 0 }),
            is_service: exchange.source == Source::Service,
        };
        let latencies = exchange.latencies();
        let observation = Observation {
            counts_status: self.statuses,
            bytes: self.bandwidth.then_some((exchange.bytes_received, exchange.bytes_sent)),
            latencies: self.latencies.then(|| match exchange.source {
                Source::Service => (latencies.proxy.unwrap_or(0), latencies.upstream, latencies.total),
                _ => (latencies.total, latencies.upstream, latencies.total),
            }),
        };
        self.state.metrics.observe(key, &observation, exchange);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
