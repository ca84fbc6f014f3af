use crate::Drain;
use crate::ServerConfig;
use kong_message::{ConnInfo, Request, Response};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tower_service::Service;

/// How a port is opened.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Length of the accept queue of each worker's socket.
    pub backlog: i32,
    /// One socket per worker (`SO_REUSEPORT`); otherwise the workers share one.
    pub reuseport: bool,
    /// For IPv6 addresses: no IPv4-mapped connections.
    pub ipv6_only: bool,
    /// `SO_KEEPALIVE` on accepted connections.
    pub so_keepalive: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 16384,
            reuseport: true,
            ipv6_only: true,
            so_keepalive: false,
        }
    }
}

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another process, or another listener of ours, has the port.
    #[error("address {0} is already in use")]
    InUse(SocketAddr),
    /// A port below 1024 without the privilege.
    #[error("no permission to listen on {0}")]
    Denied(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {addr}: {source}")]
    Io {
        /// The address.
        addr: SocketAddr,
        /// The reason.
        source: io::Error,
    },
}

/// A bound socket of one worker; send it to the worker's thread and run it there.
#[derive(Debug)]
pub struct Listener {
    #[allow(dead_code)]
    socket: std::net::TcpListener,
}

/// Opens `addr` for `workers` workers.
///
/// # Errors
/// [`BindError`].
pub fn bind(_addr: SocketAddr, _workers: usize, _options: &ListenOptions) -> Result<Vec<Listener>, BindError> {
    unimplemented!()
}

/// What a worker's accept loop needs beside the service.
#[derive(Clone)]
pub struct AcceptOptions {
    /// Index of the worker.
    pub worker: usize,
    /// TLS settings, for `ssl` listeners.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Longest TLS handshake.
    pub handshake_timeout: Duration,
    /// Settings of the connections.
    pub server: Rc<ServerConfig>,
    /// `SO_KEEPALIVE` on accepted connections.
    pub so_keepalive: bool,
}

impl Listener {
    /// The bound address.
    ///
    /// # Errors
    /// What the kernel reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts and serves connections until the drain begins; returns when the last of them is closed. Must run inside
    /// a `LocalSet`. Each connection gets a service of its own from `make_service`.
    ///
    /// # Errors
    /// When the socket cannot be registered with the runtime.
    pub async fn run<S, M>(self, _options: AcceptOptions, _make_service: M, _drain: Drain) -> io::Result<()>
    where
        M: Fn(&Rc<ConnInfo>) -> S + 'static,
        S: Service<Request, Response = Response, Error = Infallible> + 'static,
    {
        unimplemented!()
    }
}
