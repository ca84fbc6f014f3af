//! `vaults` (entities.md §4.10).

use kong_schema::{Entity, Object, Record};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A configured place that secrets come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(
    name = "vaults",
    table = "sm_vaults",
    endpoint_key = "prefix",
    collection = "vaults",
    core_cache
)]
#[kong(cache_key("prefix"))]
pub struct Vault {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Name in references: `{vault://<prefix>/…}`.
    #[kong(required, unique = "global", not_one_of("env"), matches = "^[a-z][a-z%d-]-[a-z%d]+$")]
    pub prefix: String,
    /// Which vault.
    #[kong(required)]
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Configuration, in the form that the vault declares.
    #[kong(any)]
    pub config: Object,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Time of the last change, Unix seconds.
    #[kong(kind = "timestamp")]
    pub updated_at: i64,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
}

/// Configuration of the vault `env`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct EnvVault {
    /// Begins the name of every variable.
    #[kong(matches = "^[%a_-][%a%d_-]*$")]
    pub prefix: Option<String>,
}
