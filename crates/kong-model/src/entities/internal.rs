//! Entities without an Admin API of their own (entities.md §4.14–4.17).

use std::collections::BTreeMap;

use kong_schema::{Choice, Entity, FieldDef, Kind, Object, Record};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A row of the view `tags`: one entity and one of its labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "tags", primary_key("tag"), endpoint_key = "tag", hidden)]
pub struct TagRow {
    /// The label.
    #[kong(kind = "tag", required)]
    pub tag: String,
    /// Table of the entity.
    #[kong(required)]
    pub entity_name: String,
    /// Primary key of the entity.
    #[kong(kind = "uuid", required)]
    pub entity_id: Uuid,
}

/// A workspace. There is one, `default`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "workspaces", endpoint_key = "name", cache_key("name"), global, hidden)]
pub struct Workspace {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Unique name, not that of an entity.
    #[kong(kind = "utf8_name", required, len_min = 1)]
    #[kong(not_one_of(
        "workspaces",
        "consumers",
        "certificates",
        "services",
        "routes",
        "snis",
        "upstreams",
        "targets",
        "plugins",
        "tags",
        "ca_certificates",
        "clustering_data_planes",
        "parameters",
        "vaults",
        "key_sets",
        "keys",
        "filter_chains"
    ))]
    pub name: String,
    /// Free text.
    pub comment: Option<String>,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Time of the last change, Unix seconds.
    #[kong(kind = "timestamp")]
    pub updated_at: i64,
    /// No members.
    #[kong(kind = empty_record())]
    pub meta: Object,
    /// No members.
    #[kong(kind = empty_record())]
    pub config: Object,
}

fn empty_record() -> FieldDef {
    FieldDef {
        kind: Kind::Record(Box::default()),
        required: true,
        ..FieldDef::default()
    }
}

/// A value of the cluster as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "parameters", primary_key("key"), endpoint_key = "key", global, hidden)]
pub struct Parameter {
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Name.
    #[kong(required, unique)]
    pub key: String,
    /// Value.
    #[kong(required)]
    pub value: String,
}

/// A data plane that reported to this control plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "clustering_data_planes", global, hidden, ttl)]
pub struct ClusteringDataPlane {
    /// Primary key.
    #[kong(kind = "uuid", required)]
    pub id: Uuid,
    /// Last report, Unix seconds.
    #[kong(kind = "timestamp")]
    pub last_seen: Option<i64>,
    /// Time of the last change, Unix seconds.
    #[kong(kind = "timestamp")]
    pub updated_at: i64,
    /// Address.
    #[kong(kind = "ip", required)]
    pub ip: String,
    /// Hash of the configuration that it runs.
    #[kong(len_eq = 32)]
    pub config_hash: Option<String>,
    /// Host name.
    #[kong(kind = "host", required)]
    pub hostname: String,
    /// Version of the gateway.
    #[kong(match_any("^%d+[%.%d]*$", "^%d+[%.%d]*%-?.*$"))]
    #[kong(match_any_err = "invalid version number: must be in format of X.Y.Z")]
    #[kong(match_none(("%.%.", "must not have empty version segments")))]
    pub version: Option<String>,
    /// Whether it can run this configuration.
    #[kong(required, default = "unknown")]
    pub sync_status: SyncStatus,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Its certificate.
    pub cert_details: DataPlaneCertificate,
    /// Calls that it understands.
    #[kong(set)]
    pub rpc_capabilities: Option<Vec<String>>,
}

/// Whether a data plane can run the control plane's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Choice)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum SyncStatus {
    Unknown,
    Normal,
    KongVersionIncompatible,
    PluginSetIncompatible,
    PluginVersionIncompatible,
    FilterSetIncompatible,
}

/// What is known of a data plane's certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct DataPlaneCertificate {
    /// When it expires, Unix seconds.
    #[kong(optional, timestamp)]
    pub expiry_timestamp: Option<f64>,
}
