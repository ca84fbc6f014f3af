//! `keys` and `key_sets` (entities.md §4.11, §4.12).

use kong_schema::{CheckError, Entity, EntityCheck, Object, Record, check};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::ForeignKey;
use crate::{jwk, pem};

/// A named collection of keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "key_sets", endpoint_key = "name", collection = "key-sets", core_cache)]
pub struct KeySet {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Unique name.
    #[kong(optional, unique)]
    pub name: Option<String>,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Time of the last change, Unix seconds.
    #[kong(kind = "timestamp")]
    pub updated_at: i64,
}

/// A public or private key, as JWK or PEM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(
    name = "keys",
    endpoint_key = "name",
    collection = "keys",
    nested = "keys",
    core_cache
)]
#[kong(cache_key("kid", "set"), cache_key_form = "Short", checks = checks())]
pub struct Key {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Set that the key belongs to.
    #[kong(foreign = "key_sets", on_delete = "cascade", optional)]
    pub set: Option<ForeignKey>,
    /// Unique name.
    #[kong(optional, unique)]
    pub name: Option<String>,
    /// Id of the key, unique in its set.
    #[kong(required, annotate("unique", false))]
    pub kid: String,
    /// The key as JSON text.
    #[kong(encrypted, referenceable)]
    pub jwk: Option<String>,
    /// The key as PEM.
    #[kong(optional)]
    pub pem: Option<PemPair>,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Time of the last change, Unix seconds.
    #[kong(kind = "timestamp")]
    pub updated_at: i64,
}

/// A key in PEM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Record)]
#[kong(checks = [check::at_least_one_of(&["private_key", "public_key"])])]
pub struct PemPair {
    /// Private part.
    #[kong(optional, encrypted, referenceable)]
    pub private_key: Option<String>,
    /// Public part.
    #[kong(optional, referenceable)]
    pub public_key: Option<String>,
}

fn checks() -> Vec<EntityCheck> {
    vec![
        check::mutually_exclusive(&["jwk", "pem"]),
        check::at_least_one_of(&["jwk", "pem"]),
        check::custom("key_material", &["jwk", "pem", "kid"], key_material),
    ]
}

fn key_material(entity: &Object) -> Result<(), CheckError> {
    let text = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str).filter(|text| !text.is_empty());
        text.filter(|text| !text.starts_with("{vault://")).map(str::to_owned)
    };
    if let Some(jwk) = text(entity.get("jwk")) {
        let kid = entity.get("kid").and_then(Value::as_str).unwrap_or_default();
        jwk::check(&jwk, kid).map_err(CheckError::entity)?;
    }
    let Some(pem) = entity.get("pem").and_then(Value::as_object) else {
        return Ok(());
    };
    let refuse = |error: String| CheckError::field("pem", error);
    let public = text(pem.get("public_key"))
        .map(|key| pem::public_key(&key).map_err(|_| refuse("could not load public key".into())))
        .transpose()?;
    let private = text(pem.get("private_key"))
        .map(|key| {
            pem::private_key_public_part(&key).map_err(|error| refuse(format!("could not load private key{error}")))
        })
        .transpose()?;
    match (public, private) {
        (Some(public), Some(private)) if public != private => {
            Err(refuse("public key does not match private key".into()))
        }
        _ => Ok(()),
    }
}
