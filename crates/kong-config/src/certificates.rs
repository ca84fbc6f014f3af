//! Self-signed certificates for TLS listeners that have none configured.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, RsaKeySize, SerialNumber,
};
use time::{Duration, OffsetDateTime};

/// Whose certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Family {
    Proxy,
    Admin,
    AdminGui,
    Status,
}

impl Family {
    fn file_prefix(self) -> &'static str {
        match self {
            Self::Proxy => "",
            Self::Admin => "admin-",
            Self::AdminGui => "admin-gui-",
            Self::Status => "status-",
        }
    }
}

/// Files of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM.
    pub certificate: PathBuf,
    /// PEM, readable by its owner only.
    pub key: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// One file of a pair is there and the other is not: writing a new one would replace somebody's work.
    #[error("{} exists, {} does not: remove the first or restore the second", present.display(), absent.display())]
    Half {
        /// The file that is there.
        present: PathBuf,
        /// The file that is not.
        absent: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key or certificate could not be made.
    #[error("cannot generate a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// The system has no random numbers.
    #[error("cannot generate a certificate: {0}")]
    Random(String),
}

/// The RSA and the ECDSA certificate of a family under `<prefix>/ssl`, made if they are not there.
pub fn ensure(prefix: &Path, family: Family) -> Result<[CertificateFiles; 2], CertificateError> {
    let rsa = ensure_one(prefix, family, "", || {
        KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
    })?;
    let ecdsa = ensure_one(prefix, family, "-ecdsa", || {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
    })?;
    Ok([rsa, ecdsa])
}

fn ensure_one(
    prefix: &Path,
    family: Family,
    suffix: &str,
    key_pair: impl FnOnce() -> Result<KeyPair, rcgen::Error>,
) -> Result<CertificateFiles, CertificateError> {
    let file = |extension: &str| prefix.join(format!("ssl/{}kong-default{suffix}.{extension}", family.file_prefix()));
    let files = CertificateFiles {
        certificate: file("crt"),
        key: file("key"),
    };
    match (files.certificate.exists(), files.key.exists()) {
        (true, true) => return Ok(files),
        (true, false) => {
            return Err(CertificateError::Half {
                present: files.certificate,
                absent: files.key,
            });
        }
        (false, true) => {
            return Err(CertificateError::Half {
                present: files.key,
                absent: files.certificate,
            });
        }
        (false, false) => {}
    }
    let key_pair = key_pair()?;
    let certificate = parameters()?.self_signed(&key_pair)?;
    // The certificate last: a pair is complete when it is there.
    write(&files.key, &key_pair.serialize_pem(), 0o600)?;
    write(&files.certificate, &certificate.pem(), 0o644)?;
    Ok(files)
}

/// The subject, times and extensions that clients of the original see.
fn parameters() -> Result<CertificateParams, CertificateError> {
    let mut name = DistinguishedName::new();
    for (kind, value) in [
        (DnType::CountryName, "US"),
        (DnType::StateOrProvinceName, "California"),
        (DnType::LocalityName, "San Francisco"),
        (DnType::OrganizationName, "Kong"),
        (DnType::OrganizationalUnitName, "IT Department"),
        (DnType::CommonName, "localhost"),
    ] {
        name.push(kind, value);
    }
    let mut serial = [0u8; 16];
    getrandom::fill(&mut serial).map_err(|error| CertificateError::Random(error.to_string()))?;
    // A serial number is positive, and its first byte not zero, so that it keeps its 16 bytes.
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = name;
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    // A client whose clock is a little behind accepts it too.
    parameters.not_before = OffsetDateTime::now_utc() - Duration::minutes(5);
    parameters.not_after = parameters.not_before + Duration::days(20 * 365);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(parameters)
}

/// Writes beside the target and renames, so that no half-written file is ever read.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let fail = |source| CertificateError::Write {
        path: path.to_owned(),
        source,
    };
    let temporary = path.with_extension(format!("new{}", std::process::id()));
    let result = (|| {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result.map_err(fail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn both_certificates_are_made_once_and_their_keys_are_private() {
        let prefix = tempfile::tempdir().unwrap();
        let files = ensure(prefix.path(), Family::Admin).unwrap();
        let names = ["admin-kong-default", "admin-kong-default-ecdsa"];
        for (files, name) in files.iter().zip(names) {
            assert_eq!(files.certificate, prefix.path().join(format!("ssl/{name}.crt")));
            assert_eq!(files.key, prefix.path().join(format!("ssl/{name}.key")));
            assert_eq!(fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let before = fs::read(&files[0].certificate).unwrap();
        assert_eq!(ensure(prefix.path(), Family::Admin).unwrap(), files);
        assert_eq!(fs::read(&files[0].certificate).unwrap(), before);
        fs::remove_file(&files[1].key).unwrap();
        assert!(matches!(
            ensure(prefix.path(), Family::Admin),
            Err(CertificateError::Half { .. })
        ));
    }
}
