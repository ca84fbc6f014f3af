use super::endpoint::{Endpoint, TlsTarget};
use super::error::{Failure, Stage, UpstreamError};
use super::pool::PoolKey;
use super::stream::Stream;
use crate::Timer;
use crate::timer::Tick;
use rustls_pki_types::ServerName;
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// A connection to an upstream.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) key: PoolKey,
    /// For whatever is waited for at the moment; only one thing is.
    pub(super) timer: Timer,
    /// Requests answered so far.
    pub(super) requests: u64,
    pub(super) idle_since: Tick,
}

/// Opens a connection within `limit`.
pub(super) async fn connect(endpoint: &Endpoint, limit: Duration) -> Result<Box<Connection>, UpstreamError> {
    let stage = Cell::new(Stage::Connect);
    let opened = crate::timeout(limit, async {
        let stream = TcpStream::connect(endpoint.addr).await?;
        // Without it small requests wait for acknowledgements; failing is no reason to give up.
        let _ = stream.set_nodelay(true);
        match &endpoint.tls {
            None => Ok(Stream::Plain(stream)),
            Some(target) => {
                stage.set(Stage::Handshake);
                let connector = tokio_rustls::TlsConnector::from(target.config.0.clone());
                let stream = connector.connect(server_name(target, endpoint.addr), stream).await?;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    });
    let failure = match opened.await {
        Some(Ok(stream)) => {
            return Ok(Box::new(Connection {
                stream,
                key: PoolKey::of(endpoint),
                timer: Timer::new(),
                requests: 0,
                idle_since: Tick::now(),
            }));
        }
        Some(Err(error)) => Failure::Io(error),
        None => Failure::Timeout,
    };
    Err(UpstreamError {
        stage: stage.get(),
        failure,
        request_sent: false,
        body_consumed: false,
        reused: false,
    })
}

/// The name to send and to verify. What is no DNS name is not sent; the address stands in for it.
fn server_name(target: &TlsTarget, addr: SocketAddr) -> ServerName<'static> {
    let name = target.server_name.strip_suffix('.').unwrap_or(&target.server_name);
    ServerName::try_from(name.to_owned()).unwrap_or_else(|_| ServerName::from(addr.ip()))
}
