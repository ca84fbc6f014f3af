//! `kong hybrid gen_cert`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use rcgen::{CertificateParams, DnType, IsCa, KeyPair, PKCS_ECDSA_P384_SHA384};
use time::{Duration, OffsetDateTime};

use crate::cli::HybridCommand;

pub(crate) fn hybrid(command: &HybridCommand) -> anyhow::Result<()> {
    let HybridCommand::GenCert { certificate, key, days } = command;
    for path in [certificate, key] {
        if path.exists() {
            bail!("file already exists: {}", path.display());
        }
    }
    let key_pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "kong_clustering");
    parameters.not_before = OffsetDateTime::now_utc() - Duration::minutes(5);
    parameters.not_after = parameters.not_before + Duration::days(i64::from(*days));
    parameters.is_ca = IsCa::ExplicitNoCa;
    let made = parameters.self_signed(&key_pair)?;
    write_new(key, &key_pair.serialize_pem(), 0o600)?;
    write_new(certificate, &made.pem(), 0o644)?;
    println!(
        "Successfully generated certificate/key pairs, they have been written to: '{}' and '{}'.",
        certificate.display(),
        key.display()
    );
    Ok(())
}

fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}
