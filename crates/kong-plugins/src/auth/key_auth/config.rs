//! Configuration and credential of `key-auth`.

use kong_model::ForeignKey;
use kong_schema::{Entity, Record};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Configuration of `key-auth`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Names of the header, query argument or body member that hold the key, in order of preference.
    #[kong(required, default = ["apikey"], elements(kind = "header_name"))]
    pub key_names: Vec<String>,
    /// Remove the key from the request that the service gets.
    #[kong(required, default = false)]
    pub hide_credentials: bool,
    /// Id or username of the consumer that requests without a valid key count as; unset: they are refused.
    pub anonymous: Option<String>,
    /// Look for the key in headers.
    #[kong(required, default = true)]
    pub key_in_header: bool,
    /// Look for the key in the query.
    #[kong(required, default = true)]
    pub key_in_query: bool,
    /// Look for the key in form, JSON and multipart bodies.
    #[kong(required, default = false)]
    pub key_in_body: bool,
    /// Also authenticate `OPTIONS` requests.
    #[kong(required, default = true)]
    pub run_on_preflight: bool,
    /// Realm shown in `WWW-Authenticate`.
    #[kong(optional)]
    pub realm: Option<String>,
}

/// A consumer's key.
#[derive(Debug, Clone, Serialize, Deserialize, Entity)]
#[kong(
    name = "keyauth_credentials",
    cache_key("key"),
    endpoint_key = "key",
    collection = "key-auths",
    nested = "key-auth",
    ttl
)]
pub struct KeyauthCredential {
    /// Primary key.
    #[kong(auto, uuid)]
    pub id: Uuid,
    /// Unix seconds.
    #[kong(auto, timestamp)]
    pub created_at: i64,
    /// Who holds the key.
    #[kong(foreign = "consumers", on_delete = "cascade", required)]
    pub consumer: ForeignKey,
    /// The key; made by the gateway if not given.
    #[kong(optional, auto, unique)]
    pub key: Option<String>,
    /// Tags.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
}
