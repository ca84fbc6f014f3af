//! The certificates that listeners serve.

use std::sync::Arc;

use arc_swap::ArcSwap;
use kong_config::certificates::Family;
use kong_config::{CertificatePair, Config, PemSource};
use kong_proxy::Snapshot;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::NodeError;

/// A family's default certificates: the first whose key the client can use is served.
#[derive(Debug)]
pub(crate) struct DefaultCertificates {
    keys: Vec<Arc<CertifiedKey>>,
}

impl DefaultCertificates {
    /// The configured certificates, or the self-signed ones under the prefix.
    pub(crate) fn load(config: &Config, family: Family) -> Result<Arc<Self>, NodeError> {
        let pairs = config.tls.certificates(&config.prefix, family)?;
        let keys = pairs.iter().map(certified).collect::<Result<_, _>>()?;
        Ok(Arc::new(DefaultCertificates { keys }))
    }
}

fn certified(pair: &CertificatePair) -> Result<Arc<CertifiedKey>, NodeError> {
    let bad = |source: &PemSource, reason: String| NodeError::Pem {
        path: format!("{source:?}"),
        reason,
    };
    let text = |source: &PemSource| source.read().map_err(|error| bad(source, error.to_string()));
    kong_proxy::certified_key(&text(&pair.certificate)?, &text(&pair.key)?)
        .map(Arc::new)
        .map_err(|reason| bad(&pair.certificate, reason))
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
