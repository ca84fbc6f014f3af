//! `filter_chains` (entities.md §4.13): stored, not run.

use kong_schema::{Entity, EntityCheck, Record, check};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::ForeignKey;

/// WebAssembly filters of a service or a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(
    name = "filter_chains",
    endpoint_key = "name",
    collection = "filter-chains",
    nested = "filter-chains"
)]
#[kong(cache_key("route", "service"), checks = checks())]
pub struct FilterChain {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Unique name.
    #[kong(kind = "utf8_name")]
    pub name: Option<String>,
    /// Whether the chain runs.
    #[kong(required, default = true)]
    pub enabled: bool,
    /// The route.
    #[kong(foreign = "routes", on_delete = "cascade", unique, default = null)]
    pub route: Option<ForeignKey>,
    /// The service.
    #[kong(foreign = "services", on_delete = "cascade", unique, default = null)]
    pub service: Option<ForeignKey>,
    /// The filters, in order.
    #[kong(required, len_min = 1)]
    pub filters: Vec<Filter>,
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

/// One filter of a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct Filter {
    /// Which filter. None is installed.
    #[kong(required, one_of(), err = "no such filter")]
    pub name: String,
    /// Whether the filter runs.
    #[kong(required, default = true)]
    pub enabled: bool,
    /// Configuration, checked by the filter's JSON schema.
    #[kong(json, optional, annotate("json_schema", {
        "default": { "$schema": "http://json-schema.org/draft-04/schema#", "type": ["string", "null"] },
        "namespace": "proxy-wasm-filters",
        "parent_subschema_key": "name",
        "optional": true
    }))]
    pub config: Value,
}

fn checks() -> Vec<EntityCheck> {
    vec![
        check::mutually_exclusive(&["service", "route"]),
        check::at_least_one_of(&["service", "route"]),
        // Whatever it would say of a filter is said by the name, of which there are none.
        check::custom("filters", &["filters"], |_| Ok(())).with_invalid_fields(),
    ]
}
