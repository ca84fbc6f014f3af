//! `upstreams` (entities.md §4.8).

use std::collections::BTreeMap;
use std::sync::Arc;

use kong_schema::address::Address;
use kong_schema::check::{distinct, when};
use kong_schema::{
    AsRecord, Choice, Choices, Entity, EntityCheck, FieldDef, Kind, Object, ReadHook, Record, Shorthand, shorthand,
    types,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::ForeignKey;

/// A virtual host name, behind which targets share the load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "upstreams", endpoint_key = "name", collection = "upstreams", core_cache)]
#[kong(checks = checks(), shorthands = shorthands(), on_read = normalise())]
pub struct Upstream {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Host name that services refer to.
    #[kong(kind = name(), required, unique)]
    pub name: String,
    /// Time of the last change, Unix seconds.
    #[kong(kind = "timestamp")]
    pub updated_at: i64,
    /// How a target is chosen.
    #[kong(default = "round-robin")]
    pub algorithm: Option<Algorithm>,
    /// What is hashed.
    #[kong(default = "none")]
    pub hash_on: Option<HashInput>,
    /// What is hashed when the first is absent.
    #[kong(default = "none")]
    pub hash_fallback: Option<HashInput>,
    /// Header to hash.
    #[kong(kind = "header_name")]
    pub hash_on_header: Option<String>,
    /// Header to hash when the first input is absent.
    #[kong(kind = "header_name")]
    pub hash_fallback_header: Option<String>,
    /// Cookie to hash, set where a request has none.
    #[kong(kind = "cookie_name")]
    pub hash_on_cookie: Option<String>,
    /// Path of the cookie.
    #[kong(kind = "path", default = "/")]
    pub hash_on_cookie_path: Option<String>,
    /// Query argument to hash.
    #[kong(len_min = 1)]
    pub hash_on_query_arg: Option<String>,
    /// Query argument to hash when the first input is absent.
    #[kong(len_min = 1)]
    pub hash_fallback_query_arg: Option<String>,
    /// Capture of the route's path to hash.
    #[kong(len_min = 1)]
    pub hash_on_uri_capture: Option<String>,
    /// Capture of the route's path to hash when the first input is absent.
    #[kong(len_min = 1)]
    pub hash_fallback_uri_capture: Option<String>,
    /// Slots of the ring.
    #[kong(default = 10000, between(10, 65536), not_null)]
    pub slots: u32,
    /// How the health of targets is found out.
    #[kong(default = (member_defaults(&Healthchecks::record(), &["threshold"])))]
    pub healthchecks: Healthchecks,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
    /// `Host` sent to the targets.
    #[kong(kind = "host_with_optional_port")]
    pub host_header: Option<String>,
    /// Certificate shown to the targets.
    #[kong(foreign = "certificates")]
    pub client_certificate: Option<ForeignKey>,
    /// Whether the name in an SRV record is sent as `Host`.
    #[kong(default = false)]
    pub use_srv_name: Option<bool>,
}

/// How a target is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Choice)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Algorithm {
    ConsistentHashing,
    LeastConnections,
    RoundRobin,
    Latency,
}

/// What is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Choice)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum HashInput {
    None,
    Consumer,
    Ip,
    Header,
    Cookie,
    Path,
    QueryArg,
    UriCapture,
}

/// How the health of targets is found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct Healthchecks {
    /// By requests of the gateway's own.
    #[kong(default = (member_defaults(&ActiveHealthchecks::record(), &[])))]
    pub active: ActiveHealthchecks,
    /// By watching proxied requests.
    #[kong(default = (member_defaults(&PassiveHealthchecks::record(), &[])))]
    pub passive: PassiveHealthchecks,
    /// Percentage of the weight that must be healthy.
    #[kong(default = 0, between(0, 100))]
    pub threshold: Option<f64>,
}

/// Protocol of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Choice)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum CheckType {
    Tcp,
    Http,
    Https,
    Grpc,
    Grpcs,
}

/// Requests of the gateway's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct ActiveHealthchecks {
    /// Protocol.
    #[serde(rename = "type")]
    #[kong(default = "http")]
    pub check_type: Option<CheckType>,
    /// Seconds.
    #[kong(default = 1, between(0, 65535))]
    pub timeout: Option<f64>,
    /// Checks at a time.
    #[kong(default = 10, between(1, 2147483648u64))]
    pub concurrency: Option<u32>,
    /// Path of the request.
    #[kong(kind = "path", default = "/")]
    pub http_path: Option<String>,
    /// Server name in the handshake.
    #[kong(kind = "sni", optional)]
    pub https_sni: Option<String>,
    /// Whether the target's certificate is verified.
    #[kong(required, default = true)]
    pub https_verify_certificate: bool,
    /// Further headers.
    #[kong(kind = "headers", optional)]
    pub headers: Option<BTreeMap<String, Vec<String>>>,
    /// What makes a target healthy.
    #[kong(default = (member_defaults(&ActiveHealthy::record(), &[])))]
    pub healthy: ActiveHealthy,
    /// What makes a target unhealthy.
    #[kong(default = (member_defaults(&ActiveUnhealthy::record(), &[])))]
    pub unhealthy: ActiveUnhealthy,
}

/// What makes a target healthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct ActiveHealthy {
    /// Seconds between checks of healthy targets; 0: none.
    #[kong(default = 0, between(0, 65535))]
    pub interval: Option<f64>,
    /// Statuses that are successes.
    #[kong(default = [200, 302], elements(between(100, 999)))]
    pub http_statuses: Option<Vec<u16>>,
    /// Successes in a row; 0: never.
    #[kong(default = 0, between(0, 255))]
    pub successes: Option<u8>,
}

/// What makes a target unhealthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct ActiveUnhealthy {
    /// Seconds between checks of unhealthy targets; 0: none.
    #[kong(default = 0, between(0, 65535))]
    pub interval: Option<f64>,
    /// Statuses that are failures.
    #[kong(default = [429, 404, 500, 501, 502, 503, 504, 505], elements(between(100, 999)))]
    pub http_statuses: Option<Vec<u16>>,
    /// Failed connections in a row; 0: never.
    #[kong(default = 0, between(0, 255))]
    pub tcp_failures: Option<u8>,
    /// Timeouts in a row; 0: never.
    #[kong(default = 0, between(0, 255))]
    pub timeouts: Option<u8>,
    /// Failure statuses in a row; 0: never.
    #[kong(default = 0, between(0, 255))]
    pub http_failures: Option<u8>,
}

/// Watching proxied requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct PassiveHealthchecks {
    /// Protocol.
    #[serde(rename = "type")]
    #[kong(default = "http")]
    pub check_type: Option<CheckType>,
    /// What makes a target healthy.
    #[kong(default = (member_defaults(&PassiveHealthy::record(), &[])))]
    pub healthy: PassiveHealthy,
    /// What makes a target unhealthy.
    #[kong(default = (member_defaults(&PassiveUnhealthy::record(), &[])))]
    pub unhealthy: PassiveUnhealthy,
}

/// What makes a target healthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct PassiveHealthy {
    /// Statuses that are successes.
    #[kong(default = [200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308])]
    #[kong(elements(between(100, 999)))]
    pub http_statuses: Option<Vec<u16>>,
    /// Successes in a row; 0: never.
    #[kong(default = 0, between(0, 255))]
    pub successes: Option<u8>,
}

/// What makes a target unhealthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
pub struct PassiveUnhealthy {
    /// Statuses that are failures.
    #[kong(default = [429, 500, 503], elements(between(100, 999)))]
    pub http_statuses: Option<Vec<u16>>,
    /// Failed connections in a row; 0: never.
    #[kong(default = 0, between(0, 255))]
    pub tcp_failures: Option<u8>,
    /// Timeouts in a row; 0: never.
    #[kong(default = 0, between(0, 255))]
    pub timeouts: Option<u8>,
    /// Failure statuses in a row; 0: never.
    #[kong(default = 0, between(0, 255))]
    pub http_failures: Option<u8>,
}

/// Defaults of a record's members; those without one are left out.
fn member_defaults(record: &kong_schema::Record, except: &[&str]) -> Value {
    let mut defaults = Object::new();
    for field in record.fields.iter().filter(|f| !except.contains(&f.name.as_str())) {
        let default = match (&field.def.default, &field.def.kind) {
            (Some(default), _) => default.clone(),
            (None, Kind::Record(inner)) if field.def.required => member_defaults(inner, &[]),
            (None, _) => continue,
        };
        defaults.insert(field.name.clone(), default);
    }
    Value::Object(defaults)
}

fn name() -> FieldDef {
    types::checked("upstream_name", |text| match Address::parse(text) {
        Err(_) => Err(format!("Invalid name ('{text}'); must be a valid hostname")),
        Ok(address) if address.is_ip() => Err(format!("Invalid name ('{text}'); no ip addresses allowed")),
        Ok(address) if address.port.is_some() => Err(format!("Invalid name ('{text}'); no port allowed")),
        Ok(_) => Ok(()),
    })
}

fn checks() -> Vec<EntityCheck> {
    let hash_on = |value: &str| when("hash_on").pattern(&format!("^{value}$"));
    let fallback = |value: &str| when("hash_fallback").pattern(&format!("^{value}$"));
    vec![
        hash_on("header").then("hash_on_header").required(),
        fallback("header").then("hash_fallback_header").required(),
        hash_on("cookie").then("hash_on_cookie").required(),
        fallback("cookie").then("hash_on_cookie").required(),
        hash_on("none").then("hash_fallback").one_of(&["none"]),
        hash_on("cookie").then("hash_fallback").one_of(&["none"]),
        hash_on("consumer").then("hash_fallback").one_of(&[
            "none",
            "ip",
            "header",
            "cookie",
            "path",
            "query_arg",
            "uri_capture",
        ]),
        hash_on("ip").then("hash_fallback").one_of(&[
            "none",
            "consumer",
            "header",
            "cookie",
            "path",
            "query_arg",
            "uri_capture",
        ]),
        hash_on("path").then("hash_fallback").one_of(&[
            "none",
            "consumer",
            "header",
            "cookie",
            "query_arg",
            "ip",
            "uri_capture",
        ]),
        distinct(&["hash_on_header", "hash_fallback_header"]),
        hash_on("query_arg").then("hash_on_query_arg").required(),
        fallback("query_arg").then("hash_fallback_query_arg").required(),
        distinct(&["hash_on_query_arg", "hash_fallback_query_arg"]),
        hash_on("uri_capture").then("hash_on_uri_capture").required(),
        fallback("uri_capture").then("hash_fallback_uri_capture").required(),
        distinct(&["hash_on_uri_capture", "hash_fallback_uri_capture"]),
    ]
}

fn pair(algorithm: Option<&str>, hash_on: Option<Value>) -> Object {
    let mut members = Object::new();
    if let Some(algorithm) = algorithm {
        members.insert("algorithm".into(), algorithm.into());
    }
    if let Some(hash_on) = hash_on {
        members.insert("hash_on".into(), hash_on);
    }
    members
}

/// Writing one of algorithm and hash_on sets the other.
fn shorthands() -> Vec<Shorthand> {
    vec![
        shorthand::plain("algorithm", types::one_of(Algorithm::CHOICES), |value| {
            let without_hash = matches!(value.as_str(), Some("least-connections" | "latency"));
            let mut members = pair(None, without_hash.then_some(Value::Null));
            members.insert("algorithm".into(), value.clone());
            members
        }),
        shorthand::plain("hash_on", types::one_of(HashInput::CHOICES), |value| {
            match value.as_str() {
                None => pair(None, Some("none".into())),
                Some("none") => pair(Some("round-robin"), Some("none".into())),
                Some(_) => pair(Some("consistent-hashing"), Some(value.clone())),
            }
        }),
    ]
}

/// What is read always obeys the rule, however the row came to be.
fn normalise() -> ReadHook {
    ReadHook {
        name: "upstream_hashing".into(),
        apply: Arc::new(|row| {
            let algorithm = row.get("algorithm").and_then(Value::as_str);
            let hash_on = row.get("hash_on").and_then(Value::as_str).unwrap_or("none").to_owned();
            match algorithm {
                Some("least-connections" | "latency") => row.extend(pair(None, Some("none".into()))),
                _ if hash_on == "none" => row.extend(pair(Some("round-robin"), Some("none".into()))),
                _ => row.extend(pair(Some("consistent-hashing"), None)),
            }
        }),
    }
}
