//! One struct per entity; everything else is derived from it.

mod consumer;
mod plugin;
mod route;
mod service;

pub use consumer::Consumer;
pub use plugin::Plugin;
pub use route::{IpPort, Protocol, Route};
pub use service::Service;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A reference to another entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its primary key.
    pub id: Uuid,
}
