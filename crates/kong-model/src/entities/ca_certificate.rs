//! `ca_certificates` (entities.md §4.7).

use std::sync::Arc;

use kong_schema::{CheckError, Entity, EntityCheck, Object, Transformation, check};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::pem;

/// A certificate authority that upstream APIs or clients may be verified with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "ca_certificates", collection = "ca_certificates", core_cache, global)]
#[kong(checks = [authority()], transformations = [digest()])]
pub struct CaCertificate {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Time of the last change, Unix seconds.
    #[kong(kind = "timestamp")]
    pub updated_at: i64,
    /// Certificate in PEM.
    #[kong(kind = pem::certificate(), required)]
    pub cert: String,
    /// SHA-256 of the certificate, computed when it is written.
    #[kong(unique)]
    pub cert_digest: Option<String>,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
}

fn authority() -> EntityCheck {
    check::custom("certificate_authority", &["cert"], |entity| {
        match entity.get("cert").and_then(Value::as_str) {
            Some(cert) => pem::check_authority(cert).map_err(CheckError::entity),
            None => Ok(()),
        }
    })
}

fn digest() -> Transformation {
    Transformation {
        name: "cert_digest".into(),
        input: vec!["cert".into()],
        needs: Vec::new(),
        apply: Arc::new(|entity| {
            let cert = entity.get("cert").and_then(Value::as_str).unwrap_or_default();
            let mut derived = Object::new();
            derived.insert("cert_digest".into(), pem::digest(cert)?.into());
            Ok(derived)
        }),
    }
}
