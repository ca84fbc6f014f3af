//! TLS settings on both sides. The crypto provider is aws-lc-rs, named explicitly: no process-wide default is needed.

use kong_message::TlsInfo;
use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::{DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The server side's settings: certificates come from a resolver, so that they can change at any time. ALPN offers
/// `http/1.1`. Sessions are resumed by tickets only, which need no state that workers would share.
///
/// # Errors
/// When the crypto provider supports none of the protocol versions.
pub fn server_tls(resolver: Arc<dyn ResolvesServerCert>) -> Result<Arc<rustls::ServerConfig>, rustls::Error> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}

/// Performs the handshake.
///
/// # Errors
/// When it fails or takes longer than `limit`.
pub async fn accept_tls(
    stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
    limit: Duration,
) -> io::Result<(tokio_rustls::server::TlsStream<TcpStream>, TlsInfo)> {
    let handshake = tokio_rustls::TlsAcceptor::from(config).accept(stream);
    let stream = crate::timeout(limit, handshake)
        .await
        .ok_or(io::ErrorKind::TimedOut)??;
    let (_, session) = stream.get_ref();
    let info = TlsInfo {
        sni: session.server_name().map(str::to_ascii_lowercase),
        alpn: session
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned()),
        version: match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "",
        },
        cipher: session
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default()
            .to_owned(),
    };
    Ok((stream, info))
}

/// Whether and against what an upstream's certificate is checked.
#[derive(Clone, Debug, Default)]
pub enum ClientVerify {
    /// Any certificate is accepted; the handshake's signatures are still checked.
    #[default]
    Off,
    /// The chain must end in one of these roots within `depth` intermediates and match the server name.
    Roots {
        /// Trusted certificates.
        roots: Arc<RootCertStore>,
        /// Greatest number of intermediate certificates.
        depth: usize,
    },
}

/// TLS settings towards upstreams; build once per service and share: sessions are resumed through it.
#[derive(Clone, Debug)]
pub struct ClientTls(pub(crate) Arc<rustls::ClientConfig>);

impl ClientTls {
    /// For connections that are not those of [`Client`](crate::Client).
    pub fn rustls(&self) -> Arc<rustls::ClientConfig> {
        self.0.clone()
    }

    /// Settings with this verification and client certificate.
    ///
    /// # Errors
    /// When the key does not fit the certificate, or the key cannot be used.
    pub fn new(
        verify: ClientVerify,
        identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Result<Self, rustls::Error> {
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        let chain = match verify {
            ClientVerify::Off => None,
            // An empty store trusts nobody: the handshake fails, as it must.
            ClientVerify::Roots { roots, depth } if roots.is_empty() => Some((None, depth)),
            ClientVerify::Roots { roots, depth } => {
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                    .build()
                    .map_err(|error| rustls::Error::General(error.to_string()))?;
                Some((Some(verifier), depth))
            }
        };
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { algorithms, chain }));
        let mut config = match identity {
            Some((certificates, key)) => builder.with_client_auth_cert(certificates, key)?,
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(256);
        Ok(Self(Arc::new(config)))
    }
}

/// Checks the chain if asked to, and the handshake's signatures always: the peer must hold the key of the certificate
/// it shows.
#[derive(Debug)]
struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    /// Absent: verification is off. Without a verifier: nothing is trusted.
    chain: Option<(Option<Arc<WebPkiServerVerifier>>, usize)>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.chain {
            None => Ok(ServerCertVerified::assertion()),
            Some((None, _)) => Err(rustls::CertificateError::UnknownIssuer.into()),
            Some((Some(verifier), depth)) => {
                // webpki has no limit on the depth: a path longer than allowed cannot be built from what is left.
                let intermediates = intermediates.get(..*depth).unwrap_or(intermediates);
                verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
