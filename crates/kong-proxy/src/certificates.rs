//! Certificates of the configuration: those that listeners serve by server name, and those that are used towards
//! upstreams (routing.md §14, upstream.md §5).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kong_http::{ClientTls, ClientVerify};
use kong_model::{CaCertificate, Certificate, Service, Sni};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use uuid::Uuid;

/// Certificates by server name, immutable.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerNames {
    names: Arc<HashMap<String, Arc<Keys>>>,
}

/// The keys of a certificate entity: the main one and the alternative of another type.
type Keys = Vec<Arc<CertifiedKey>>;

impl ServerNames {
    /// Keys for a server name: exact, then `*.rest`, then `first.*`, then `*`.
    pub(crate) fn find(&self, name: Option<&str>) -> Option<&Keys> {
        if self.names.is_empty() {
            return None;
        }
        let name = name?;
        let get = |name: &str| self.names.get(name);
        let right = || name.split_once('.').and_then(|(_, rest)| get(&format!("*.{rest}")));
        let left = || name.rsplit_once('.').and_then(|(first, _)| get(&format!("{first}.*")));
        get(name)
            .or_else(right)
            .or_else(left)
            .or_else(|| get("*"))
            .map(|keys| &**keys)
    }
}

/// The rows that certificates are made of.
#[derive(Default)]
pub(crate) struct CertificateTable {
    certificates: BTreeMap<Uuid, Arc<Certificate>>,
    keys: HashMap<Uuid, Arc<Keys>>,
    snis: BTreeMap<Uuid, Sni>,
    authorities: BTreeMap<Uuid, CaCertificate>,
}

impl CertificateTable {
    pub(crate) fn put_certificate(&mut self, certificate: Certificate) {
        let id = certificate.id;
        let mut keys = Vec::new();
        let pairs = [
            (Some(&certificate.cert), Some(&certificate.key)),
            (certificate.cert_alt.as_ref(), certificate.key_alt.as_ref()),
        ];
        for (cert, key) in pairs {
            let (Some(cert), Some(key)) = (cert, key) else { continue };
            match certified_key(cert, key) {
                Ok(key) => keys.push(Arc::new(key)),
                Err(reason) => tracing::error!("certificate {id} cannot be used: {reason}"),
            }
        }
        self.keys.insert(id, Arc::new(keys));
        self.certificates.insert(id, Arc::new(certificate));
    }

    pub(crate) fn remove_certificate(&mut self, id: Uuid) {
        self.keys.remove(&id);
        self.certificates.remove(&id);
    }

    pub(crate) fn put_sni(&mut self, sni: Sni) {
        self.snis.insert(sni.id, sni);
    }

    pub(crate) fn remove_sni(&mut self, id: Uuid) {
        self.snis.remove(&id);
    }

    pub(crate) fn put_authority(&mut self, authority: CaCertificate) {
        self.authorities.insert(authority.id, authority);
    }

    pub(crate) fn remove_authority(&mut self, id: Uuid) {
        self.authorities.remove(&id);
    }

    pub(crate) fn ids(&self, entity: &str) -> Vec<Uuid> {
        match entity {
            "certificates" => self.certificates.keys().copied().collect(),
            "snis" => self.snis.keys().copied().collect(),
            "ca_certificates" => self.authorities.keys().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// The table by server name.
    pub(crate) fn server_names(&self) -> ServerNames {
        let names = self
            .snis
            .values()
            .filter_map(|sni| {
                Some((
                    sni.name.to_ascii_lowercase(),
                    self.keys.get(&sni.certificate.id)?.clone(),
                ))
            })
            .filter(|(_, keys)| !keys.is_empty())
            .collect();
        ServerNames { names: Arc::new(names) }
    }

    /// How to speak TLS with a service; `None`: as the node does by default, without verification and identity.
    ///
    /// What should be verified and cannot be is refused at the handshake, never let through.
    pub(crate) fn client_tls(&self, service: &Service) -> Option<UpstreamTls> {
        let verifies = service.tls_verify.unwrap_or(false);
        if !verifies && service.client_certificate.is_none() {
            return None;
        }
        let mut roots = RootCertStore::empty();
        for id in service.ca_certificates.iter().flatten() {
            let Some(authority) = self.authorities.get(id) else {
                tracing::error!("CA certificate {id} of service {} does not exist", service.id);
                continue;
            };
            for certificate in CertificateDer::pem_slice_iter(authority.cert.as_bytes()).flatten() {
                if let Err(error) = roots.add(certificate) {
                    tracing::error!("CA certificate {id} cannot be used: {error}");
                }
            }
        }
        let verify = match verifies {
            true => ClientVerify::Roots {
                roots: Arc::new(roots),
                depth: usize::from(service.tls_verify_depth.unwrap_or(1)),
            },
            false => ClientVerify::Off,
        };
        let identity = service.client_certificate.and_then(|key| {
            let certificate = self.certificates.get(&key.id)?;
            match pem_pair(&certificate.cert, &certificate.key) {
                Ok(pair) => Some(pair),
                Err(reason) => {
                    tracing::error!("client certificate {} cannot be used: {reason}", key.id);
                    None
                }
            }
        });
        let identity_name = service
            .client_certificate
            .map_or_else(String::new, |key| key.id.to_string());
        let tls = ClientTls::new(verify.clone(), identity).or_else(|error| {
            tracing::error!("client certificate of service {} cannot be used: {error}", service.id);
            ClientTls::new(verify, None)
        });
        match tls {
            // Connections are shared by what was verified and what was presented, so that a service which verifies
            // never gets one that another opened without.
            Ok(tls) => Some(UpstreamTls {
                tls,
                pool: format!(
                    "|{identity_name}|{}",
                    if verifies {
                        service.id.to_string()
                    } else {
                        String::new()
                    }
                ),
            }),
            Err(error) => {
                tracing::error!("TLS of service {} cannot be set up: {error}", service.id);
                None
            }
        }
    }
}

/// TLS towards a service.
#[derive(Clone)]
pub(crate) struct UpstreamTls {
    pub(crate) tls: ClientTls,
    /// Completes the name of the connection pool.
    pub(crate) pool: String,
}

type PemPair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn pem_pair(certificate: &str, key: &str) -> Result<PemPair, String> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| error.to_string())?;
    Ok((chain, key))
}

/// The key to serve for a certificate (chain) and its private key, both PEM text.
///
/// # Errors
/// When either is not PEM, or they do not belong together.
pub fn certified_key(certificate: &str, key: &str) -> Result<CertifiedKey, String> {
    let (chain, key) = pem_pair(certificate, key)?;
    let provider: CryptoProvider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_names_are_looked_up_from_exact_to_any() {
        let keys = |n: usize| Arc::new(Vec::with_capacity(n));
        let names: HashMap<String, Arc<Keys>> = [("a.b.c", 1), ("*.b.c", 2), ("x.*", 3), ("*", 4)]
            .into_iter()
            .map(|(name, n)| (name.to_owned(), keys(n)))
            .collect();
        let table = ServerNames { names: Arc::new(names) };
        let rows = [("a.b.c", 1), ("z.b.c", 2), ("x.org", 3), ("other.org", 4), ("b.c", 4)];
        for (name, n) in rows {
            assert_eq!(table.find(Some(name)).map(Vec::capacity), Some(n), "{name}");
        }
        assert!(table.find(None).is_none());
    }
}
