//! The sub-schema of a plugin: what it makes of the scopes, the protocols and `config` of the `plugins` entity.

use serde_json::Value;

use crate::{EntityCheck, Field, FieldDef, Foreign, Kind, OnDelete, Record, Schema, Validator, types};

/// The scopes to which an instance of a plugin may be bound; `false` forbids one (`value must be null`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginScopes {
    /// `consumer` may be set.
    pub consumer: bool,
    /// `service` may be set.
    pub service: bool,
    /// `route` may be set.
    pub route: bool,
}

impl PluginScopes {
    /// Every scope.
    pub const ALL: Self = Self {
        consumer: true,
        service: true,
        route: true,
    };
    /// Every scope but the consumer: what runs before a consumer is known.
    pub const NO_CONSUMER: Self = Self {
        consumer: false,
        ..Self::ALL
    };
    /// Global only.
    pub const GLOBAL: Self = Self {
        consumer: false,
        service: false,
        route: false,
    };
}

/// Protocols of the HTTP subsystem, the default of every plugin.
pub const HTTP_PROTOCOLS: &[&str] = &["grpc", "grpcs", "http", "https"];
/// All protocols.
pub const ALL_PROTOCOLS: &[&str] = &["grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp"];

/// The sub-schema of the plugin `name`. `protocols` are those an instance may list, `default_protocols` those it lists
/// by default; checks name their fields from the plugin's root (`config.redis.host`).
pub fn plugin_schema(
    name: &str,
    config: Record,
    scopes: PluginScopes,
    protocols: &[&str],
    default_protocols: &[&str],
    entity_checks: Vec<EntityCheck>,
) -> Schema {
    let mut fields = Vec::new();
    for (allowed, scope, reference) in [
        (scopes.consumer, "consumer", "consumers"),
        (scopes.service, "service", "services"),
        (scopes.route, "route", "routes"),
    ] {
        if !allowed {
            fields.push(Field {
                name: scope.into(),
                def: forbidden_scope(reference),
            });
        }
    }
    fields.push(Field {
        name: "protocols".into(),
        def: FieldDef {
            kind: Kind::Set(Box::new(types::one_of(protocols))),
            required: true,
            default: Some(default_protocols.into()),
            ..FieldDef::default()
        },
    });
    fields.push(Field {
        name: "config".into(),
        def: FieldDef {
            kind: Kind::Record(Box::new(config)),
            required: true,
            ..FieldDef::default()
        },
    });
    Schema {
        name: name.into(),
        fields,
        entity_checks,
        ..Schema::default()
    }
}

fn forbidden_scope(reference: &str) -> FieldDef {
    FieldDef {
        kind: Kind::Foreign(Foreign {
            reference: reference.into(),
            on_delete: OnDelete::Restrict,
            target: None,
        }),
        validators: vec![Validator::Eq(Value::Null)],
        ..FieldDef::default()
    }
}
