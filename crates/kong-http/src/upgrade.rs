use kong_message::Response;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// A two-way byte stream.
pub trait Duplex: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> Duplex for T {}

/// What became of a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunnelReport {
    /// Bytes sent to the client.
    pub to_client: u64,
    /// Bytes received from the client.
    pub from_client: u64,
    /// A side was idle for too long, or failed.
    pub aborted: bool,
}

type Takeover = Box<dyn FnOnce(Pin<Box<dyn Duplex>>) -> Pin<Box<dyn Future<Output = TunnelReport>>>>;

/// What takes over the client's connection after a `101`.
pub struct Upgrade(#[allow(dead_code)] Takeover);

impl Upgrade {
    /// Hands the client's stream to `takeover` once the head of the `101` was sent.
    pub fn new<F, Fut>(takeover: F) -> Self
    where
        F: FnOnce(Pin<Box<dyn Duplex>>) -> Fut + 'static,
        Fut: Future<Output = TunnelReport> + 'static,
    {
        Self(Box::new(|io| Box::pin(takeover(io))))
    }

    /// Makes this the continuation of `response`, which must have the status 101.
    pub fn attach(self, response: &mut Response) {
        response.upgrade = Some(Box::new(self));
    }
}

/// The upstream's side of an upgraded connection.
pub struct Tunnel(#[allow(dead_code)] Pin<Box<dyn Duplex>>);

impl Tunnel {
    /// Joins the client and the upstream until either closes or is idle: `read` limits the silence of the upstream
    /// after the client's last byte and the other way round, `write` a blocked write.
    pub fn into_upgrade(self, _read: Duration, _write: Duration) -> Upgrade {
        unimplemented!()
    }
}
