//! Certificates and keys in PEM.

use kong_schema::{FieldDef, types};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};

/// A field that holds a certificate.
pub(crate) fn certificate() -> FieldDef {
    types::checked("certificate", |text| match first_certificate(text) {
        Ok(der) => parse(&der)
            .map(drop)
            .map_err(|error| format!("invalid certificate: {error}")),
        Err(error) => Err(format!("invalid certificate: {error}")),
    })
}

/// A field that holds a private key.
pub(crate) fn key() -> FieldDef {
    types::checked("key", |text| match private_key_public_part(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("invalid key: {error}")),
    })
}

fn first_certificate(text: &str) -> Result<CertificateDer<'static>, String> {
    CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| error.to_string())
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|error| error.to_string())
}

/// DER of the public key inside a certificate.
fn certificate_public_key(text: &str) -> Result<Vec<u8>, String> {
    let der = first_certificate(text)?;
    Ok(parse(&der)?.public_key().raw.to_vec())
}

/// DER of the public key that belongs to a private key.
pub(crate) fn private_key_public_part(text: &str) -> Result<Vec<u8>, String> {
    let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| error.to_string())?;
    let key = any_supported_type(&der).map_err(|error| error.to_string())?;
    key.public_key()
        .map(|public| public.as_ref().to_vec())
        .ok_or_else(|| "no public part".to_owned())
}

/// DER of a public key.
pub(crate) fn public_key(text: &str) -> Result<Vec<u8>, String> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()).map_err(|error| error.to_string())?;
    let (_, info) = SubjectPublicKeyInfo::from_der(&der).map_err(|error| error.to_string())?;
    info.parsed().map_err(|error| error.to_string())?;
    Ok(info.raw.to_vec())
}

/// Whether the private key belongs to the certificate.
pub(crate) fn is_pair(certificate: &str, key: &str) -> bool {
    match (certificate_public_key(certificate), private_key_public_part(key)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Object identifier of the key's algorithm (RSA, EC, …).
pub(crate) fn key_algorithm(certificate: &str) -> Option<String> {
    let der = first_certificate(certificate).ok()?;
    let certificate = parse(&der).ok()?;
    Some(certificate.public_key().algorithm.algorithm.to_id_string())
}

/// One certificate, of an authority, not expired.
pub(crate) fn check_authority(text: &str) -> Result<(), String> {
    if text.matches("BEGIN CERTIFICATE").count() > 1 {
        return Err("please submit only one certificate at a time".into());
    }
    let der = first_certificate(text)?;
    let certificate = parse(&der)?;
    if certificate.validity().not_after < x509_parser::time::ASN1Time::now() {
        return Err("certificate expired, \"Not After\" time is in the past".into());
    }
    let is_authority = certificate
        .basic_constraints()
        .ok()
        .flatten()
        .is_some_and(|constraints| constraints.value.ca);
    if !is_authority {
        let text = "certificate does not appear to be a CA because it is missing the \"CA\" basic constraint";
        return Err(text.into());
    }
    Ok(())
}

/// Lower-case hexadecimal SHA-256 of the certificate.
pub(crate) fn digest(text: &str) -> Result<String, String> {
    let der = first_certificate(text)?;
    Ok(Sha256::digest(&der).iter().map(|byte| format!("{byte:02x}")).collect())
}
