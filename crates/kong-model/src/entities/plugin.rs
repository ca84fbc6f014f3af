//! `plugins` (entities.md §4.4).

use kong_schema::Object;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ForeignKey, Protocol};

/// A configured instance of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Plugin {
    pub id: Uuid,
    pub name: String,
    pub instance_name: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    pub route: Option<ForeignKey>,
    pub service: Option<ForeignKey>,
    pub consumer: Option<ForeignKey>,
    pub config: Object,
    pub protocols: Vec<Protocol>,
    pub enabled: bool,
    pub tags: Option<Vec<String>>,
}
