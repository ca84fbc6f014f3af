//! What the Admin API asks of the balancers of a node.

use std::net::IpAddr;

use kong_datastore::BoxFuture;

/// Balancers of a node, for `/upstreams/{upstream}/health` and for setting health by hand.
pub trait UpstreamHealth: Send + Sync {
    /// Health of an upstream; `None`: it has no balancer.
    fn report(&self, upstream_id: &str) -> Option<HealthReport>;

    /// Sets the health of the addresses of a target, and tells the other nodes.
    fn set<'a>(&'a self, change: HealthChange<'a>) -> BoxFuture<'a, Result<(), HealthRefusal>>;
}

/// Which addresses, and what they are from now on.
#[derive(Debug, Clone, Copy)]
pub struct HealthChange<'a> {
    /// Id of the upstream.
    pub upstream_id: &'a str,
    /// Its name.
    pub upstream_name: &'a str,
    /// Host of the target.
    pub host: &'a str,
    /// Port of the target.
    pub port: u16,
    /// Only this address.
    pub address: Option<(IpAddr, u16)>,
    /// What it is.
    pub is_healthy: bool,
}

/// Why health cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthRefusal {
    /// The upstream has no balancer.
    NoBalancer,
    /// Its health checks are off.
    NoHealthChecks,
}

/// Health of an upstream.
#[derive(Debug, Clone)]
pub struct HealthReport {
    /// Health checks can take targets out.
    pub checks_are_on: bool,
    /// Enough weight is available.
    pub is_healthy: bool,
    /// Weights of all targets.
    pub weight: WeightReport,
    /// Targets, oldest first.
    pub hosts: Vec<HostReport>,
}

/// Weights.
#[derive(Debug, Clone, Copy, Default)]
pub struct WeightReport {
    /// Of all addresses.
    pub total: u64,
    /// Of the healthy ones.
    pub available: u64,
}

/// Health of a target.
#[derive(Debug, Clone)]
pub struct HostReport {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Type of the records that its name has, or why it has none.
    pub dns: String,
    /// Its weight.
    pub node_weight: u32,
    /// Weights of its addresses.
    pub weight: WeightReport,
    /// Its addresses.
    pub addresses: Vec<AddressReport>,
}

/// Health of an address.
#[derive(Debug, Clone)]
pub struct AddressReport {
    /// Address.
    pub ip: IpAddr,
    /// Port.
    pub port: u16,
    /// Weight.
    pub weight: u32,
    /// Requests may go there.
    pub is_healthy: bool,
}
