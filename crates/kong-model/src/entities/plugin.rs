//! `plugins` (entities.md §4.4). The variants, one per enabled plugin, are added by the registry.

use kong_schema::{Entity, Object};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ForeignKey, Protocol};

/// A configured instance of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "plugins", endpoint_key = "instance_name", collection = "plugins", core_cache)]
#[kong(cache_key("name", "route", "service", "consumer"))]
pub struct Plugin {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Which plugin.
    #[kong(required)]
    pub name: String,
    /// Unique name of the instance.
    #[kong(kind = "utf8_name")]
    pub instance_name: Option<String>,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Time of the last change, Unix seconds.
    #[kong(kind = "timestamp")]
    pub updated_at: i64,
    /// Only requests of this route.
    #[kong(foreign = "routes", on_delete = "cascade", default = null)]
    pub route: Option<ForeignKey>,
    /// Only requests of this service.
    #[kong(foreign = "services", on_delete = "cascade", default = null)]
    pub service: Option<ForeignKey>,
    /// Only requests of this consumer.
    #[kong(foreign = "consumers", on_delete = "cascade", default = null)]
    pub consumer: Option<ForeignKey>,
    /// Configuration, in the form that the plugin declares.
    #[kong(any)]
    pub config: Object,
    /// Only requests over these protocols.
    #[kong(kind = "protocols")]
    pub protocols: Vec<Protocol>,
    /// Whether the instance runs.
    #[kong(required, default = true)]
    pub enabled: bool,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
}
