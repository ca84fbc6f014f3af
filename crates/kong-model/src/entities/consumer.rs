//! `consumers` (entities.md §4.3).

use kong_schema::{Entity, check};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A user of the APIs behind the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "consumers", endpoint_key = "username", collection = "consumers")]
#[kong(checks = [check::at_least_one_of(&["custom_id", "username"])])]
pub struct Consumer {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Time of the last change, Unix seconds.
    #[kong(kind = "timestamp")]
    pub updated_at: i64,
    /// Unique name.
    #[kong(unique)]
    pub username: Option<String>,
    /// Unique id of the consumer in another system.
    #[kong(unique)]
    pub custom_id: Option<String>,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
}
