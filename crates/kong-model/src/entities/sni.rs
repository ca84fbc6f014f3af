//! `snis` (entities.md §4.6).

use kong_schema::Entity;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ForeignKey;

/// A server name and the certificate shown for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(
    name = "snis",
    endpoint_key = "name",
    collection = "snis",
    core_cache,
    cache_key("name")
)]
pub struct Sni {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// The name; its first or last character may be `*`.
    #[kong(kind = "wildcard_host", required, unique = "global")]
    pub name: String,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Time of the last change, Unix seconds.
    #[kong(kind = "timestamp")]
    pub updated_at: i64,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
    /// The certificate.
    #[kong(foreign = "certificates", required)]
    pub certificate: ForeignKey,
}
