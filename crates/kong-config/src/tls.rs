//! Certificates, keys and TLS properties of the listeners.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificates::{self, CertificateError, Family};
use crate::checks::Reader;
use crate::prefix::Prefix;

/// TLS properties.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Configured certificates of the proxy listeners; empty: generated ones.
    pub proxy: Vec<CertificatePair>,
    /// Of the Admin API.
    pub admin: Vec<CertificatePair>,
    /// Of the Manager UI.
    pub admin_gui: Vec<CertificatePair>,
    /// Of the Status API.
    pub status: Vec<CertificatePair>,
    /// Whether only TLS 1.3 is spoken (`ssl_cipher_suite = modern`).
    pub only_tls13: bool,
    /// `ssl_session_tickets`
    pub session_tickets: bool,
    /// `ssl_session_timeout`
    pub session_timeout: Duration,
    /// `ssl_session_cache_size`, bytes.
    pub session_cache_size: u64,
}

/// A certificate (chain) and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePair {
    /// PEM with one or more certificates, the server's first.
    pub certificate: PemSource,
    /// PEM with the private key.
    pub key: PemSource,
}

/// Where PEM text is.
#[derive(Clone, PartialEq, Eq)]
pub enum PemSource {
    /// In this file.
    File(PathBuf),
    /// Here.
    Text(String),
}

impl std::fmt::Debug for PemSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Text(_) => f.write_str("(PEM text)"), // may be a key
        }
    }
}

impl PemSource {
    /// Reads a certificate property: PEM text, base64 of PEM text, or else a path.
    pub fn new(text: &str) -> Self {
        if text.contains("-----BEGIN") {
            return Self::Text(text.to_owned());
        }
        let decoded = STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded {
            Some(pem) if pem.contains("-----BEGIN") => Self::Text(pem),
            _ => Self::File(PathBuf::from(text)),
        }
    }

    /// The PEM text.
    pub fn read(&self) -> std::io::Result<String> {
        match self {
            Self::File(path) => std::fs::read_to_string(path),
            Self::Text(text) => Ok(text.clone()),
        }
    }

    fn holds_certificate(&self) -> bool {
        let Ok(pem) = self.read() else { return false };
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        certificates.is_ok_and(|certificates| !certificates.is_empty())
    }

    fn holds_key(&self) -> bool {
        self.read()
            .is_ok_and(|pem| PrivateKeyDer::from_pem_slice(pem.as_bytes()).is_ok())
    }
}

/// Properties that hold a path, PEM text, or base64 of it, in the form `.kong_env` can keep on one line.
pub(crate) fn on_one_line(text: &str) -> String {
    if text.contains('\n') && text.contains("-----BEGIN") {
        STANDARD.encode(text)
    } else {
        text.to_owned()
    }
}

impl Tls {
    /// The certificates that listeners of a family present, the preferred one first: the configured ones, else generated
    /// ones under the prefix.
    ///
    /// # Errors
    /// When there are none yet and they cannot be written.
    pub fn certificates(&self, prefix: &Prefix, family: Family) -> Result<Vec<CertificatePair>, CertificateError> {
        let configured = match family {
            Family::Proxy => &self.proxy,
            Family::Admin => &self.admin,
            Family::AdminGui => &self.admin_gui,
            Family::Status => &self.status,
        };
        if !configured.is_empty() {
            return Ok(configured.clone());
        }
        // ECDSA first: cheaper for everyone who can use it.
        let [rsa, ecdsa] = certificates::ensure(&prefix.path, family)?;
        Ok([ecdsa, rsa]
            .map(|files| CertificatePair {
                certificate: PemSource::File(files.certificate),
                key: PemSource::File(files.key),
            })
            .to_vec())
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let values = reader.values;
        let proxy = pairs(reader, "", values.list("ssl_cert"), values.list("ssl_cert_key"));
        let mut family = |prefix: &str| {
            let lists = (
                values.list(&format!("{prefix}ssl_cert")),
                values.list(&format!("{prefix}ssl_cert_key")),
            );
            pairs(reader, prefix, lists.0, lists.1)
        };
        let (admin, admin_gui, status) = (family("admin_"), family("admin_gui_"), family("status_"));
        if values.is_on("client_ssl") {
            let lists = ["client_ssl_cert", "client_ssl_cert_key"].map(|name| values.owned(name).into_iter().collect());
            let [certificates, keys] = lists;
            pairs(reader, "client_", certificates, keys);
        }
        Self {
            proxy,
            admin,
            admin_gui,
            status,
            only_tls13: values.text("ssl_cipher_suite") == Some("modern"),
            session_tickets: values.is_on("ssl_session_tickets"),
            session_timeout: reader
                .duration("ssl_session_timeout")
                .unwrap_or(Duration::from_secs(86_400)),
            session_cache_size: reader.size("ssl_session_cache_size").unwrap_or(10 << 20),
        }
    }
}

fn pairs(reader: &mut Reader<'_>, prefix: &str, certificates: Vec<String>, keys: Vec<String>) -> Vec<CertificatePair> {
    match (certificates.len(), keys.len()) {
        (0, 0) => return Vec::new(),
        (_, 0) => reader.invalid(format!("{prefix}ssl_cert_key must be specified")),
        (0, _) => reader.invalid(format!("{prefix}ssl_cert must be specified")),
        (n, m) if n != m => reader.invalid(format!(
            "{prefix}ssl_cert was specified {n} times while {prefix}ssl_cert_key was specified {m} times"
        )),
        _ => {}
    }
    let shown = |source: &PemSource, text: &str| match source {
        PemSource::File(_) => text.to_owned(),
        PemSource::Text(_) => "(PEM text)".to_owned(), // the original prints it, which would log a key
    };
    let certificates: Vec<_> = certificates
        .iter()
        .map(|text| {
            let source = PemSource::new(text);
            if !source.holds_certificate() {
                let shown = shown(&source, text);
                reader.invalid(format!("{prefix}ssl_cert: failed loading certificate from {shown}"));
            }
            source
        })
        .collect();
    let keys: Vec<_> = keys
        .iter()
        .map(|text| {
            let source = PemSource::new(text);
            if !source.holds_key() {
                let shown = shown(&source, text);
                reader.invalid(format!("{prefix}ssl_cert_key: failed loading key from {shown}"));
            }
            source
        })
        .collect();
    certificates
        .into_iter()
        .zip(keys)
        .map(|(certificate, key)| CertificatePair { certificate, key })
        .collect()
}
