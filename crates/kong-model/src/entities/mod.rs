//! One struct per entity; everything else is derived from it.

mod ca_certificate;
mod certificate;
mod consumer;
pub mod credentials;
mod filter_chain;
mod internal;
mod key;
mod plugin;
mod route;
mod service;
mod sni;
mod target;
mod upstream;
mod vault;

pub use ca_certificate::CaCertificate;
pub use certificate::Certificate;
pub use consumer::Consumer;
pub use filter_chain::{Filter, FilterChain};
pub use internal::{ClusteringDataPlane, DataPlaneCertificate, Parameter, SyncStatus, TagRow, Workspace};
pub use key::{Key, KeySet, PemPair};
pub use plugin::Plugin;
pub use route::{IpPort, PathHandling, Protocol, Route};
pub use service::Service;
pub use sni::Sni;
pub use target::{Target, normalised_target};
pub use upstream::{
    ActiveHealthchecks, ActiveHealthy, ActiveUnhealthy, Algorithm, CheckType, HashInput, Healthchecks,
    PassiveHealthchecks, PassiveHealthy, PassiveUnhealthy, Upstream,
};
pub use vault::{EnvVault, Vault};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use route::{RouteRules, route_schema};

/// A reference to another entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its primary key.
    pub id: Uuid,
}
