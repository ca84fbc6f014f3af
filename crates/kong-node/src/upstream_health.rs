//! The node's balancers as the Admin API sees them.

use std::sync::Arc;

use kong_admin::{AddressReport, HealthChange, HealthRefusal, HealthReport, HostReport, UpstreamHealth, WeightReport};
use kong_balancer::{HostSummary, Weight};
use kong_datastore::BoxFuture;
use kong_proxy::{Balancers, SetHealthError};
use uuid::Uuid;

use crate::publisher::Publisher;

/// See the module.
pub(crate) struct NodeBalancers {
    pub(crate) balancers: Arc<Balancers>,
    pub(crate) publisher: Arc<Publisher>,
}

impl UpstreamHealth for NodeBalancers {
    fn report(&self, upstream_id: &str) -> Option<HealthReport> {
        let (checks_are_on, summary) = self.balancers.summary(upstream_id.parse().ok()?)?;
        Some(HealthReport {
            checks_are_on,
            is_healthy: summary.is_healthy,
            weight: weight(summary.weight),
            hosts: summary.hosts.iter().map(host).collect(),
        })
    }

    fn set<'a>(&'a self, change: HealthChange<'a>) -> BoxFuture<'a, Result<(), HealthRefusal>> {
        Box::pin(async move {
            let HealthChange {
                upstream_id,
                upstream_name,
                host,
                port,
                address,
                is_healthy,
            } = change;
            let id: Uuid = upstream_id.parse().map_err(|_| HealthRefusal::NoBalancer)?;
            self.balancers
                .set_health(id, host, port, address, is_healthy)
                .map_err(|refusal| match refusal {
                    SetHealthError::NoBalancer => HealthRefusal::NoBalancer,
                    SetHealthError::NoHealthChecks => HealthRefusal::NoHealthChecks,
                })?;
            let (ip, port) = address.map_or((String::new(), port), |(ip, port)| (ip.to_string(), port));
            let health = u8::from(is_healthy);
            let data = format!("{host}|{ip}|{port}|{health}|{upstream_id}|{upstream_name}");
            if let Err(error) = self.publisher.announce_health(data).await {
                tracing::error!("other nodes could not be told of the health of {host}: {error}");
            }
            Ok(())
        })
    }
}

fn host(host: &HostSummary) -> HostReport {
    let addresses = host.addresses.iter().map(|(address, weight)| AddressReport {
        ip: address.socket().ip(),
        port: address.socket().port(),
        weight: *weight,
        is_healthy: address.condition().is_available(),
    });
    HostReport {
        host: host.target.host.to_string(),
        port: host.target.port,
        dns: host.resolution.label(),
        node_weight: host.target.weight,
        weight: weight(host.weight),
        addresses: addresses.collect(),
    }
}

fn weight(weight: Weight) -> WeightReport {
    WeightReport {
        total: weight.total,
        available: weight.available,
    }
}
