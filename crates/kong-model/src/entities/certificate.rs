//! `certificates` (entities.md §4.5).

use kong_schema::{CheckError, Entity, EntityCheck, Object, check};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::pem;

/// A certificate and its private key, chosen by the names attached to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "certificates", collection = "certificates", core_cache, checks = checks())]
pub struct Certificate {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Time of the last change, Unix seconds.
    #[kong(kind = "timestamp")]
    pub updated_at: i64,
    /// Certificate in PEM, its chain after it.
    #[kong(kind = pem::certificate(), required, referenceable)]
    pub cert: String,
    /// Private key in PEM.
    #[kong(kind = pem::key(), required, encrypted, referenceable)]
    pub key: String,
    /// Second certificate, with a key of another type.
    #[kong(kind = pem::certificate(), optional, referenceable)]
    pub cert_alt: Option<String>,
    /// Private key of the second certificate.
    #[kong(kind = pem::key(), optional, encrypted, referenceable)]
    pub key_alt: Option<String>,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
    /// Names attached to the certificate.
    #[kong(optional, transient, elements(kind = "wildcard_host"))]
    #[serde(default)]
    pub snis: Option<Vec<String>>,
}

fn checks() -> Vec<EntityCheck> {
    vec![
        check::mutually_required(&["cert_alt", "key_alt"]),
        key_pair("cert", "key", "certificate does not match key"),
        key_pair("cert_alt", "key_alt", "alternative certificate does not match key"),
        check::custom("different_key_types", &["cert", "cert_alt"], |entity| {
            let (Some(cert), Some(alternative)) = (text(entity, "cert"), text(entity, "cert_alt")) else {
                return Ok(());
            };
            if pem::key_algorithm(cert) != pem::key_algorithm(alternative) {
                return Ok(());
            }
            Err(CheckError::entity(
                "certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), the \
                 provided certificates were both of the same type",
            ))
        }),
    ]
}

fn text<'a>(entity: &'a Object, field: &str) -> Option<&'a str> {
    entity.get(field).and_then(Value::as_str)
}

fn key_pair(cert: &'static str, key: &'static str, error: &'static str) -> EntityCheck {
    check::custom(error, &[cert, key], move |entity| {
        match (text(entity, cert), text(entity, key)) {
            (Some(cert), Some(key)) if !pem::is_pair(cert, key) => Err(CheckError::entity(error)),
            _ => Ok(()),
        }
    })
}
