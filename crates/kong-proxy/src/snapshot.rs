//! What the request path knows of the configuration: immutable, shared by all workers, replaced by one pointer swap.

use std::sync::Arc;
use std::time::Duration;

use kong_model::{Protocol, Route, Service};
use kong_plugin::{Plan, UpstreamTimeouts};
use kong_router::Router;
use rustls::sign::CertifiedKey;
use uuid::Uuid;

use crate::certificates::{ServerNames, UpstreamTls};
use crate::shard_map::ShardMap;
use crate::upstream_names::UpstreamNames;

/// A compiled configuration.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) router: Router<Arc<RouteEntry>>,
    pub(crate) services: ShardMap<Arc<ServiceEntry>>,
    pub(crate) upstreams: UpstreamNames,
    pub(crate) plans: Plans,
    pub(crate) server_names: ServerNames,
}

impl Snapshot {
    /// Certified keys of the configuration for the server name of a handshake.
    pub fn certified_keys(&self, server_name: Option<&str>) -> Option<&Vec<Arc<CertifiedKey>>> {
        self.server_names.find(server_name)
    }

    /// The service of a route, unless it has none.
    pub(crate) fn service_of(&self, route: &RouteEntry) -> Option<&Arc<ServiceEntry>> {
        self.services.get(&route.route.service?.id)
    }
}

/// A route with what is derived from it.
pub(crate) struct RouteEntry {
    pub(crate) route: Arc<Route>,
    /// Only HTTPS is allowed: plaintext requests are refused or redirected (routing.md §8).
    pub(crate) is_https_only: bool,
    /// Protocols contain `grpc` or `grpcs`.
    pub(crate) is_grpc: bool,
}

impl RouteEntry {
    pub(crate) fn new(route: Arc<Route>) -> Self {
        let has = |protocol| route.protocols.contains(&protocol);
        RouteEntry {
            is_https_only: has(Protocol::Https) && !has(Protocol::Http),
            is_grpc: has(Protocol::Grpc) || has(Protocol::Grpcs),
            route,
        }
    }
}

/// A service with what is derived from it.
pub(crate) struct ServiceEntry {
    pub(crate) service: Arc<Service>,
    pub(crate) scheme: &'static str,
    pub(crate) timeouts: UpstreamTimeouts,
    pub(crate) retries: u32,
    /// Verification and client certificate, where the service asks for either.
    pub(crate) tls: Option<UpstreamTls>,
}

impl ServiceEntry {
    pub(crate) fn new(service: Arc<Service>, tls: Option<UpstreamTls>) -> Self {
        let millis = |value: Option<u64>| Duration::from_millis(value.unwrap_or(60_000));
        let scheme = match service.protocol {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::Grpc => "grpc",
            Protocol::Grpcs => "grpcs",
            // Stream protocols: a route of the http subsystem treats the service as absent.
            _ => "",
        };
        ServiceEntry {
            scheme,
            timeouts: UpstreamTimeouts {
                connect: millis(service.connect_timeout),
                write: millis(service.write_timeout),
                read: millis(service.read_timeout),
            },
            retries: service.retries.unwrap_or(5),
            tls,
            service,
        }
    }

    /// Belongs to the http subsystem.
    pub(crate) fn is_http(&self) -> bool {
        !self.scheme.is_empty()
    }
}

/// Plans by scope. Routes and services without plugins of their own share the plan of the wider scope.
#[derive(Clone, Default)]
pub(crate) struct Plans {
    pub(crate) global: Arc<Plan>,
    pub(crate) by_service: ShardMap<Arc<Plan>>,
    pub(crate) by_route: ShardMap<Arc<Plan>>,
}

impl Plans {
    pub(crate) fn of(&self, route: Uuid, service: Option<Uuid>) -> &Arc<Plan> {
        self.by_route
            .get(&route)
            .or_else(|| service.and_then(|service| self.by_service.get(&service)))
            .unwrap_or(&self.global)
    }
}
