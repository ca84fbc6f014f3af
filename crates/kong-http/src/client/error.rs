use kong_message::BodyError;
use std::io;

/// How far a request had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// TCP connection.
    Connect,
    /// TLS handshake.
    Handshake,
    /// Sending the request.
    Send,
    /// Waiting for, or reading, the head of the response.
    Head,
}

/// What failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The timeout of the stage passed.
    #[error("timed out")]
    Timeout,
    /// The connection was refused, reset or closed, or TLS failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The upstream closed the connection without, or within, an answer.
    #[error("the upstream closed the connection")]
    Closed,
    /// The answer is not HTTP, or its head is too large.
    #[error("invalid response: {0}")]
    InvalidResponse(&'static str),
    /// Reading the request body failed: the client's fault, never the upstream's.
    #[error("request body: {0}")]
    RequestBody(BodyError),
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
#[error("{stage:?}: {failure}")]
pub struct UpstreamError {
    /// How far the request had come.
    pub stage: Stage,
    /// What failed.
    pub failure: Failure,
    /// Whether any byte of the request may have reached the upstream.
    pub request_sent: bool,
    /// Whether bytes of a body that cannot be replayed were read.
    pub body_consumed: bool,
    /// Whether a pooled connection was used. (A pooled connection that was closed before it answered is replaced
    /// inside [`Client::send`](crate::Client::send) without the caller's help, where the request may be sent again.)
    pub reused: bool,
}

impl UpstreamError {
    /// Whether the upstream was too slow (504), rather than broken (502).
    pub fn is_timeout(&self) -> bool {
        matches!(self.failure, Failure::Timeout)
    }
}
