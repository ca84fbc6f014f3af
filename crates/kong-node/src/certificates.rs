//! The certificates that listeners serve.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use kong_config::certificates::{Family, ensure};
use kong_config::{CertificatePair, PemSource};
use kong_proxy::Snapshot;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::NodeError;

/// A family's default certificates: the first whose key the client can use is served.
#[derive(Debug)]
pub(crate) struct DefaultCertificates {
    keys: Vec<Arc<CertifiedKey>>,
}

impl DefaultCertificates {
    /// The configured certificates, or the self-signed ones under the prefix.
    pub(crate) fn load(configured: &[CertificatePair], prefix: &Path, family: Family) -> Result<Arc<Self>, NodeError> {
        let mut keys = Vec::new();
        for pair in configured {
            let text = |source: &PemSource| {
                source.read().map_err(|e| NodeError::Pem {
                    path: format!("{source:?}"),
                    reason: e.to_string(),
                })
            };
            keys.push(certified(
                &text(&pair.certificate)?,
                &text(&pair.key)?,
                "a configured certificate",
            )?);
        }
        if configured.is_empty() {
            // ECDSA first: cheaper for everyone who can use it.
            for files in ensure(prefix, family)?.into_iter().rev() {
                let path = files.certificate.display().to_string();
                let text = |path: &Path| {
                    std::fs::read_to_string(path).map_err(|e| NodeError::Pem {
                        path: path.display().to_string(),
                        reason: e.to_string(),
                    })
                };
                keys.push(certified(&text(&files.certificate)?, &text(&files.key)?, &path)?);
            }
        }
        Ok(Arc::new(DefaultCertificates { keys }))
    }
}

fn certified(certificate: &str, key: &str, path: &str) -> Result<Arc<CertifiedKey>, NodeError> {
    let bad = |reason: String| NodeError::Pem {
        path: path.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| bad(error.to_string()))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider)?))
}

/// The certificates of the configuration by server name, before the defaults.
#[derive(Debug)]
pub(crate) struct ConfiguredCertificates {
    pub(crate) snapshots: Snapshots,
    pub(crate) defaults: Arc<DefaultCertificates>,
}

/// Where the current snapshot is.
pub(crate) struct Snapshots(pub(crate) Arc<ArcSwap<Snapshot>>);

impl std::fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshots")
    }
}

impl ResolvesServerCert for ConfiguredCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let snapshot = self.snapshots.0.load();
        let Some(keys) = snapshot.certified_keys(hello.server_name()) else {
            return self.defaults.resolve(hello);
        };
        usable(keys, &hello)
    }
}

/// The first key whose type the client can use, else the first.
fn usable(keys: &[Arc<CertifiedKey>], hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
    keys.iter()
        .find(|key| key.key.choose_scheme(hello.signature_schemes()).is_some())
        .or_else(|| keys.first())
        .cloned()
}

impl ResolvesServerCert for DefaultCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        usable(&self.keys, &hello)
    }
}
