use crate::ClientTls;
use kong_message::{HeaderBlock, Method};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a worker's client. The defaults are the gateway's (`upstream_keepalive_*`).
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Idle connections kept per pool; 0 turns reuse off.
    pub pool_size: usize,
    /// Requests per connection; 0 for no limit.
    pub max_requests: u64,
    /// How long a connection may lie idle; zero for no limit.
    pub idle_timeout: Duration,
    /// Longest head of a response.
    pub max_head: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            pool_size: 512,
            max_requests: 10_000,
            idle_timeout: Duration::from_secs(60),
            max_head: 8 * 1024,
        }
    }
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The address.
    pub addr: SocketAddr,
    /// Present for TLS upstreams.
    pub tls: Option<TlsTarget>,
    /// What separates pools of one address beside the address itself: the host (as sent) and the client certificate,
    /// for TLS. Connections are shared by all endpoints with the same address and the same pool.
    pub pool: Option<Arc<str>>,
}

impl Endpoint {
    /// A plain-text endpoint.
    pub fn plain(addr: SocketAddr) -> Self {
        Self {
            addr,
            tls: None,
            pool: None,
        }
    }
}

/// How to speak TLS with an upstream.
#[derive(Clone, Debug)]
pub struct TlsTarget {
    /// The name sent as SNI and, if verification is on, checked; an IP literal is not sent.
    pub server_name: String,
    /// Verification and client certificate.
    pub config: ClientTls,
}

/// The head of an upstream request. The client writes `Host`, `Connection`, `Upgrade` (if asked for) and the framing lines
/// itself and leaves out those among `headers`.
///
/// A body that is empty is announced by `Content-Length: 0` if `headers` has a `Content-Length` or `Transfer-Encoding`
/// line, that is if the client announced one; otherwise it is not mentioned.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The request target: path and query, already escaped.
    pub target: &'a [u8],
    /// Value of `Host`; not sent if `None`.
    pub host: Option<&'a [u8]>,
    /// The other lines.
    pub headers: &'a HeaderBlock,
    /// Ask for a switch to WebSocket: `Connection: keep-alive, Upgrade` and `Upgrade: websocket`.
    pub upgrade: bool,
}

/// Limits on the time an upstream may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the TCP connection and the TLS handshake together.
    pub connect: Duration,
    /// Longest gap between two writes.
    pub write: Duration,
    /// Longest gap between two reads.
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            connect: minute,
            write: minute,
            read: minute,
        }
    }
}
