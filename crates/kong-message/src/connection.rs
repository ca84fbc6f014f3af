use std::net::SocketAddr;

/// What is known of the client connection a request came on.
#[derive(Clone, Debug)]
pub struct ConnInfo {
    /// Address of the direct peer.
    pub peer: SocketAddr,
    /// Our address on this connection: the listener's port.
    pub local: SocketAddr,
    /// Present on TLS connections.
    pub tls: Option<TlsInfo>,
    /// Index of the worker that serves the connection.
    pub worker: usize,
    /// Serial number of the connection, unique in the process.
    pub serial: u64,
}

impl ConnInfo {
    /// `https` on TLS connections, else `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// What the TLS handshake told.
#[derive(Clone, Debug, Default)]
pub struct TlsInfo {
    /// Server name the client asked for, lower-case.
    pub sni: Option<String>,
    /// Negotiated protocol, e.g. `http/1.1`.
    pub alpn: Option<String>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// IANA name of the cipher suite.
    pub cipher: String,
}
