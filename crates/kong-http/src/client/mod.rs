//! The upstream side: an HTTP/1 client that runs in the request's own task.

mod connect;
mod endpoint;
mod error;
mod exchange;
mod pool;
mod response_body;
mod stream;
mod upload;

pub use endpoint::{ClientConfig, Endpoint, Timeouts, TlsTarget, UpstreamHead};
pub use error::{Failure, Stage, UpstreamError};

use crate::Tunnel;
use connect::connect;
use exchange::Exchange;
use kong_message::{Body, ResponseHead};
use pool::Pools;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Pooled connections tried before a new one is opened: if this many were closed in the moment of their use, the
/// upstream is closing all of them.
const MAX_STALE: usize = 3;

/// What an upstream answered.
#[derive(Debug)]
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

/// An HTTP/1 client with one worker's pools of idle connections. Cloning shares the pools. Must be used inside a
/// `LocalSet`.
#[derive(Clone)]
pub struct Client {
    pools: Rc<Pools>,
}

impl Client {
    /// A client without connections.
    pub fn new(config: ClientConfig) -> Self {
        Self {
            pools: Pools::new(config),
        }
    }

    /// Idle connections in all pools.
    pub fn idle_connections(&self) -> usize {
        self.pools.idle()
    }

    /// Sends a request and reads the head of the answer.
    ///
    /// A body in memory or in a file is left as it was, and can be sent again on another try. A stream is taken out of
    /// `body`; it is put back only if nothing of it was read.
    ///
    /// A pooled connection that turns out to be closed is replaced at once, if nothing was received on it and the
    /// request may be sent again (its method is idempotent, or nothing was sent).
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        head: &UpstreamHead<'_>,
        body: &mut Body,
        timeouts: &Timeouts,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let mut stale = 0;
        loop {
            let pooled = if stale < MAX_STALE {
                self.pools.take(endpoint)
            } else {
                None
            };
            let reused = pooled.is_some();
            let (connection, connect_time) = match pooled {
                Some(connection) => (connection, Duration::ZERO),
                None => {
                    let begun = Instant::now();
                    (connect(endpoint, timeouts.connect).await?, begun.elapsed())
                }
            };
            let to_send = body.replay().unwrap_or_else(|| std::mem::take(body));
            let mut exchange = Exchange::new(connection, head, to_send, timeouts, self.pools.config.max_head);
            let (stage, failure) = match exchange.run().await {
                Ok(len) => return Ok(exchange.finish(len, &self.pools, reused, connect_time)),
                Err(failed) => failed,
            };
            let error = exchange.error(stage, failure, reused);
            let is_stale = reused && !exchange.heard() && matches!(error.failure, Failure::Io(_) | Failure::Closed);
            if !exchange.upload.body.is_replayable() && !exchange.upload.consumed {
                *body = std::mem::take(&mut exchange.upload.body);
            }
            let may_repeat = head.method.is_idempotent() || !error.request_sent;
            if !(is_stale && may_repeat && !error.body_consumed) {
                return Err(error);
            }
            stale += 1;
        }
    }
}
