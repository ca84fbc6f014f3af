//! `routes` (entities.md §4.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use kong_schema::{Choice, Entity, EntityCheck, FieldDef, Kind, Polymorphic, Record, Schema, Validator, check, types};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::ForeignKey;
use crate::route_rules::{self, Variant};
use crate::{RouterFlavor, route_path};

pub(crate) use crate::route_rules::RouteRules;

/// Protocols of routes, services and plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Choice)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Protocol {
    Grpc,
    Grpcs,
    Http,
    Https,
    Tcp,
    Tls,
    TlsPassthrough,
    Udp,
}

/// An address range and port of `sources` and `destinations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Record)]
#[kong(checks = [check::at_least_one_of(&["ip", "port"])])]
pub struct IpPort {
    /// Address or CIDR.
    #[kong(kind = "ip_or_cidr")]
    pub ip: Option<String>,
    /// Port, 0–65535.
    #[kong(kind = "port")]
    pub port: Option<u16>,
}

/// How the paths of service, route and request are joined.
pub type PathHandling = String;

/// A rule that sends matching requests to a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "routes", endpoint_key = "name", collection = "routes", core_cache, checks = checks())]
pub struct Route {
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
    /// Protocols that the route accepts.
    #[kong(set, required, default = ["http", "https"], len_min = 1)]
    #[kong(subsets(("http", "https"), ("tcp", "tls", "udp"), ("tls_passthrough"), ("grpc", "grpcs")))]
    pub protocols: Vec<Protocol>,
    /// Status of the answer to plain requests when only secure ones are accepted.
    #[kong(required, default = 426, one_of(426, 301, 302, 307, 308))]
    pub https_redirect_status_code: u16,
    /// Whether the matched prefix is removed from the path.
    #[kong(required, default = true)]
    pub strip_path: bool,
    /// Whether the client's `Host` is sent on.
    #[kong(required, default = false)]
    pub preserve_host: bool,
    /// Whether the request body is read before it is sent on.
    #[kong(required, default = true)]
    pub request_buffering: bool,
    /// Whether the response body is read before it is sent on.
    #[kong(required, default = true)]
    pub response_buffering: bool,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
    /// Where requests go; unset: a plugin answers them.
    #[kong(foreign = "services")]
    pub service: Option<ForeignKey>,
    /// Server names of the handshake.
    #[kong(set, elements(kind = "wildcard_host"))]
    pub snis: Option<Vec<String>>,
    /// Client addresses.
    #[kong(set)]
    pub sources: Option<Vec<IpPort>>,
    /// Addresses of the gateway.
    #[kong(set)]
    pub destinations: Option<Vec<IpPort>>,
    /// Request methods.
    #[kong(set, elements(kind = "http_method"))]
    pub methods: Option<Vec<String>>,
    /// Host names, with a wildcard label at either end.
    #[kong(elements(
        match_all(("^[^*]*%*?[^*]*$", "invalid wildcard: must have at most one wildcard")),
        match_any("^%*%.", "%.%*$", "^[^*]*$"),
        match_any_err = "invalid wildcard: must be placed at leftmost or rightmost label",
        custom = route_rules::check_host
    ))]
    pub hosts: Option<Vec<String>>,
    /// Path prefixes; after `~` regular expressions.
    #[kong(elements(
        match_none(("//", "must not have empty segments")),
        match_any("^/", "^~/"),
        match_any_err = "should start with: / (fixed path) or ~/ (regex path)",
        custom = route_path::check
    ))]
    pub paths: Option<Vec<String>>,
    /// Values of headers.
    #[kong(keys(
        kind = "header_name",
        match_none(("^[Hh][Oo][Ss][Tt]$", "cannot contain 'host' header, which must be specified in the 'hosts' attribute"))
    ))]
    pub headers: Option<BTreeMap<String, Vec<String>>>,
    /// Order among regular expressions: higher first.
    #[kong(default = 0)]
    pub regex_priority: Option<i64>,
    /// How the paths of service, route and request are joined.
    #[kong(default = "v0", one_of("v0", "v1"))]
    pub path_handling: Option<PathHandling>,
    /// Expression in place of the fields above; only in the flavor `expressions`.
    #[serde(default)]
    pub expression: Option<String>,
    /// Order among expressions: higher first; only in the flavor `expressions`.
    #[kong(kind = priority(), required, default = 0)]
    #[serde(default)]
    pub priority: Option<u64>,
}

fn priority() -> FieldDef {
    FieldDef {
        kind: Kind::Integer,
        validators: vec![Validator::Between(0.0, 70_368_744_177_663.0)],
        ..FieldDef::default()
    }
}

/// Fields that the expression check reads.
const MATCHED_ON: [&str; 12] = [
    "id",
    "protocols",
    "snis",
    "sources",
    "destinations",
    "methods",
    "hosts",
    "paths",
    "headers",
    "expression",
    "regex_priority",
    "priority",
];

fn checks() -> Vec<EntityCheck> {
    let secure = FieldDef {
        validators: vec![Validator::NotOneOf(
            ["grpcs", "https", "tls", "tls_passthrough"].map(Value::from).to_vec(),
        )],
        ..FieldDef::default()
    };
    vec![
        check::when("protocols")
            .elements(secure)
            .then("snis")
            .len_eq(0)
            .err("'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'"),
        // The original only warns here.
        check::custom("path_handling", &["path_handling"], |_| Ok(())),
        check::custom("expression", &MATCHED_ON, |_| Ok(())).with_missing_fields(),
    ]
}

/// The schema of routes in a router flavor.
pub(crate) fn route_schema(rules: &RouteRules) -> Schema {
    let mut schema = (*Route::schema()).clone();
    let flavor = rules.flavor;
    if flavor != RouterFlavor::Expressions {
        schema.fields.retain(|f| f.name != "expression" && f.name != "priority");
    }
    for field in &mut schema.fields {
        match (field.name.as_str(), &mut field.def.kind) {
            ("snis", Kind::Set(elements)) if flavor == RouterFlavor::Traditional => **elements = types::sni(),
            _ => {}
        }
    }
    if flavor != RouterFlavor::Traditional {
        let rules = rules.clone();
        let last = schema.entity_checks.len() - 1;
        schema.entity_checks[last] =
            check::custom("expression", &MATCHED_ON, move |route| rules.check_expression(route)).with_missing_fields();
    }
    let variant = |kind: Variant| Arc::new(variant_schema(kind, flavor));
    let (http, grpc, stream) = (variant(Variant::Http), variant(Variant::Grpc), variant(Variant::Stream));
    schema.polymorphic = Some(Polymorphic {
        key: "protocols".into(),
        variants: [
            ("http", &http),
            ("https", &http),
            ("grpc", &grpc),
            ("grpcs", &grpc),
            ("tcp", &stream),
            ("tls", &stream),
            ("udp", &stream),
            ("tls_passthrough", &stream),
        ]
        .map(|(name, schema)| (name.to_owned(), schema.clone()))
        .to_vec(),
        unknown: None,
    });
    schema
}

fn variant_schema(variant: Variant, flavor: RouterFlavor) -> Schema {
    let base = Route::schema();
    let with_addresses = flavor == RouterFlavor::Expressions;
    let mut fields = Vec::new();
    let mut forbid = |names: &[&str], when: &str| {
        for field in base.fields.iter().filter(|f| names.contains(&f.name.as_str())) {
            let mut field = field.clone();
            field.def.validators.insert(0, Validator::Eq(Value::Null));
            field.def.err = Some(format!("cannot set '{}' when 'protocols' is {when}", field.name));
            fields.push(field);
        }
    };
    match variant {
        Variant::Http if !with_addresses => forbid(&["sources", "destinations"], "'http' or 'https'"),
        Variant::Http => {}
        Variant::Grpc => {
            forbid(&["methods"], "'grpc' or 'grpcs'");
            if !with_addresses {
                forbid(&["sources", "destinations"], "'grpc' or 'grpcs'");
            }
            for field in base.fields.iter().filter(|f| f.name == "strip_path") {
                let mut field = field.clone();
                field.def.default = Some(false.into());
                field.def.validators = vec![Validator::Ne(true.into())];
                field.def.err = Some("cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'".into());
                fields.push(field);
            }
        }
        Variant::Stream => {
            forbid(
                &["methods", "hosts", "paths", "headers"],
                "'tcp', 'tls', 'tls_passthrough' or 'udp'",
            );
        }
    }
    Schema {
        name: variant.name().into(),
        fields,
        entity_checks: vec![route_rules::must_set_one(variant, flavor)],
        ..Schema::default()
    }
}
