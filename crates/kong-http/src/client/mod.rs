//! The upstream side.
mod endpoint;
mod error;

pub use endpoint::{ClientConfig, Endpoint, Timeouts, TlsTarget, UpstreamHead};
pub use error::{Failure, Stage, UpstreamError};

use crate::Tunnel;
use kong_message::{Body, ResponseHead};
use std::time::Duration;

/// What an upstream answered.
pub struct UpstreamResponse {
    /// The head, with the upstream's own header lines (framing ones included).
    pub head: ResponseHead,
    /// The body. The connection goes back to the pool when its end was read.
    pub body: Body,
    /// The raw connection, after a `101`.
    pub tunnel: Option<Tunnel>,
    /// Whether a pooled connection was used.
    pub reused: bool,
    /// How long the connection took to set up (zero on a pooled one).
    pub connect_time: Duration,
}

/// An HTTP/1 client with one worker's pools of idle connections. Cloning shares the pools.
#[derive(Clone)]
pub struct Client;

impl Client {
    /// A client without connections.
    pub fn new(_config: ClientConfig) -> Self {
        unimplemented!()
    }

    /// Sends a request and reads the head of the answer.
    ///
    /// A body in memory or in a file is left as it was, and can be sent again on another try; of a stream, `body`
    /// keeps what was not read yet.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn send(
        &self,
        _endpoint: &Endpoint,
        _head: &UpstreamHead<'_>,
        _body: &mut Body,
        _timeouts: &Timeouts,
    ) -> Result<UpstreamResponse, UpstreamError> {
        unimplemented!()
    }
}
