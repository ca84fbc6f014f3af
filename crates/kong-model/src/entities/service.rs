//! `services` (entities.md §4.1).

use kong_schema::{Entity, EntityCheck, Object, Shorthand, check, shorthand, url};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ForeignKey, Protocol};

/// An upstream API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "services", endpoint_key = "name", collection = "services", core_cache)]
#[kong(checks = checks(), shorthands = [url_shorthand()])]
pub struct Service {
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
    #[kong(kind = "utf8_name")]
    pub name: Option<String>,
    /// Further attempts after a failed one.
    #[kong(default = 5, between(0, 32767))]
    pub retries: Option<u32>,
    /// How the upstream API is spoken to.
    #[kong(required, default = "http")]
    pub protocol: Protocol,
    /// Host name, address, or the name of an upstream.
    #[kong(kind = "host", required)]
    pub host: String,
    /// Port.
    #[kong(kind = "port", required, default = 80)]
    pub port: u16,
    /// Path before that of the request.
    #[kong(kind = "path")]
    pub path: Option<String>,
    /// Milliseconds to connect.
    #[kong(default = 60000, between(1, 2147483646))]
    pub connect_timeout: Option<u64>,
    /// Milliseconds between two writes.
    #[kong(default = 60000, between(1, 2147483646))]
    pub write_timeout: Option<u64>,
    /// Milliseconds between two reads.
    #[kong(default = 60000, between(1, 2147483646))]
    pub read_timeout: Option<u64>,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
    /// Certificate shown to the upstream API.
    #[kong(foreign = "certificates")]
    pub client_certificate: Option<ForeignKey>,
    /// Whether the certificate of the upstream API is verified; unset: as the node is configured.
    pub tls_verify: Option<bool>,
    /// Longest chain of certificates of the upstream API.
    #[kong(default = null, between(0, 64))]
    pub tls_verify_depth: Option<u8>,
    /// Authorities that vouch for the upstream API.
    pub ca_certificates: Option<Vec<Uuid>>,
    /// Whether routes of the service match.
    #[kong(required, default = true)]
    pub enabled: bool,
}

fn checks() -> Vec<EntityCheck> {
    let mut checks = vec![
        check::when("protocol")
            .one_of(&["tcp", "tls", "udp", "grpc", "grpcs"])
            .then("path")
            .eq(Value::Null),
    ];
    for field in [
        "client_certificate",
        "tls_verify",
        "tls_verify_depth",
        "ca_certificates",
    ] {
        checks.push(
            check::when("protocol")
                .not_one_of(&["https", "tls"])
                .then(field)
                .eq(Value::Null),
        );
    }
    checks
}

/// `url` stands for protocol, host, port and path, all four.
fn url_shorthand() -> Shorthand {
    shorthand::plain("url", Default::default(), |value| {
        // What the original makes of null is no address either; the errors are those of its parts.
        let Some(text) = value.as_str() else {
            return members(json!({"protocol": "null", "host": null, "port": 80, "path": "null"}));
        };
        let url = url::parse(text);
        let port = url.port.and_then(|port| port.parse::<u32>().ok());
        let protocol = match (url.scheme, port) {
            (Some(scheme), _) => scheme,
            (None, Some(443)) => "https",
            (None, _) => "http",
        };
        let port = port.unwrap_or(if protocol == "https" { 443 } else { 80 });
        members(json!({"protocol": protocol, "host": url.host, "port": port, "path": url.path}))
    })
}

fn members(value: Value) -> Object {
    match value {
        Value::Object(members) => members,
        _ => Object::new(),
    }
}
