//! `targets` (entities.md §4.9).

use std::sync::Arc;

use kong_schema::address::Address;
use kong_schema::{Entity, FieldDef, ReadHook, types};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::ForeignKey;

/// Port of targets that name none.
const DEFAULT_PORT: u16 = 8000;

/// An address behind an upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "targets", endpoint_key = "target", nested = "targets", core_cache, on_read = normalise())]
#[kong(cache_key("upstream", "target"))]
pub struct Target {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds with fraction.
    #[kong(kind = "timestamp_ms")]
    pub created_at: f64,
    /// Time of the last change, Unix seconds with fraction.
    #[kong(kind = "timestamp_ms")]
    pub updated_at: f64,
    /// The upstream.
    #[kong(foreign = "upstreams", on_delete = "cascade", required)]
    pub upstream: ForeignKey,
    /// Host name or address, and port.
    #[kong(kind = target(), required)]
    pub target: String,
    /// Share of the load; 0: none.
    #[kong(default = 100, between(0, 65535), not_null)]
    pub weight: u32,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
}

fn target() -> FieldDef {
    types::checked("target", |text| match Address::parse(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("Invalid target ('{text}'); not a valid hostname or ip address")),
    })
}

/// A target as it is stored on insert and shown on read: with port, IPv6 written out. `None`: it is none.
pub fn normalised_target(text: &str) -> Option<String> {
    let mut address = Address::parse(text).ok()?;
    address.port.get_or_insert(DEFAULT_PORT);
    Some(address.to_string())
}

fn normalise() -> ReadHook {
    ReadHook {
        name: "normalised_target".into(),
        apply: Arc::new(|row| {
            if let Some(normal) = row.get("target").and_then(Value::as_str).and_then(normalised_target) {
                row.insert("target".into(), normal.into());
            }
        }),
    }
}
