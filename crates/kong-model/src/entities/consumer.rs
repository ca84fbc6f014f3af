//! `consumers` (entities.md §4.3).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A user of the APIs behind the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Consumer {
    pub id: Uuid,
    pub created_at: i64,
    pub updated_at: i64,
    pub username: Option<String>,
    pub custom_id: Option<String>,
    pub tags: Option<Vec<String>>,
}
