use kong_message::TlsInfo;
use rustls::RootCertStore;
use rustls::server::ResolvesServerCert;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// The server side's settings: certificates come from a resolver, so that they can change at any time. ALPN offers
/// `http/1.1`.
///
/// # Errors
/// When the crypto provider supports none of the protocol versions.
pub fn server_tls(_resolver: Arc<dyn ResolvesServerCert>) -> Result<Arc<rustls::ServerConfig>, rustls::Error> {
    unimplemented!()
}

/// Performs the handshake.
///
/// # Errors
/// When it fails or takes longer than `limit`.
pub async fn accept_tls(
    _stream: TcpStream,
    _config: Arc<rustls::ServerConfig>,
    _limit: Duration,
) -> io::Result<(tokio_rustls::server::TlsStream<TcpStream>, TlsInfo)> {
    unimplemented!()
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
    /// Settings with this verification and client certificate.
    ///
    /// # Errors
    /// When the key does not fit the certificate.
    pub fn new(
        _verify: ClientVerify,
        _identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Result<Self, rustls::Error> {
        unimplemented!()
    }
}
