//! Configuration of `proxy-cache`.

use kong_schema::{CheckError, Choice, EntityCheck, Record, check};
use serde::Deserialize;

/// Configuration of `proxy-cache`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Statuses of responses that are stored.
    #[kong(required, default = [200, 301, 404], len_min = 1, elements(between(100, 900)))]
    pub response_code: Vec<u16>,
    /// Methods of requests whose responses are stored.
    #[kong(
        required,
        default = ["GET", "HEAD"],
        elements(one_of("HEAD", "GET", "POST", "PATCH", "PUT"))
    )]
    pub request_method: Vec<String>,
    /// Types of responses that are stored, with `*` for any.
    #[kong(required, default = ["text/plain", "application/json"])]
    pub content_type: Vec<String>,
    /// Seconds for which a stored response is fresh.
    #[kong(default = 300, gt = 0)]
    pub cache_ttl: Option<u64>,
    /// Where responses are stored.
    #[kong(required)]
    pub strategy: Strategy,
    /// Heed the `Cache-Control` of requests and responses.
    #[kong(required, default = false)]
    pub cache_control: bool,
    /// Paths that differ only in case are the same.
    #[kong(optional, default = false)]
    pub ignore_uri_case: Option<bool>,
    /// Seconds for which a response stays in the store, fresh or not; unset: as long as it is fresh.
    pub storage_ttl: Option<u64>,
    /// The store in memory.
    pub memory: Memory,
    /// Query arguments that tell requests apart; unset: all.
    pub vary_query_params: Option<Vec<String>>,
    /// Headers that tell requests apart.
    pub vary_headers: Option<Vec<String>>,
    /// Headers that tell clients of the cache.
    pub response_headers: ResponseHeaders,
}

/// Where responses are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Choice)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// In the memory of the node.
    Memory,
}

/// The store in memory.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Memory {
    /// Name of the store.
    #[kong(required, default = "kong_db_cache")]
    pub dictionary_name: String,
}

/// Headers that tell clients of the cache.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct ResponseHeaders {
    /// Send `Age`.
    #[kong(default = true)]
    pub age: Option<bool>,
    /// Send `X-Cache-Status`.
    #[kong(default = true)]
    #[serde(rename = "X-Cache-Status")]
    pub status: Option<bool>,
    /// Send `X-Cache-Key`.
    #[kong(default = true)]
    #[serde(rename = "X-Cache-Key")]
    pub key: Option<bool>,
}

/// Stores that may be named, as in the original.
const STORES: [&str; 11] = [
    "kong",
    "kong_locks",
    "kong_healthchecks",
    "kong_cluster_events",
    "kong_rate_limiting_counters",
    "kong_core_db_cache",
    "kong_core_db_cache_miss",
    "kong_db_cache",
    "kong_db_cache_miss",
    "kong_secrets",
    "prometheus_metrics",
];

/// Checks of the whole plugin.
pub fn checks() -> Vec<EntityCheck> {
    vec![check::custom("store_exists", &["config"], |plugin| {
        let name = plugin
            .get("config")
            .and_then(|c| c.pointer("/memory/dictionary_name"))
            .and_then(|n| n.as_str());
        match name {
            Some(name) if !STORES.contains(&name) => Err(CheckError::entity(format!("missing shared dict '{name}'"))),
            _ => Ok(()),
        }
    })]
}
