use crate::{Body, ConnInfo, RequestHead, ResponseHead};
use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

/// A request as the server hands it to the service.
#[derive(Debug)]
pub struct Request {
    /// The head.
    pub head: RequestHead,
    /// The body; a stream reads from the client's connection.
    pub body: Body,
    /// The connection it came on.
    pub conn: Rc<ConnInfo>,
    /// When the head was complete.
    pub received: Instant,
    /// Which request of its connection this is, from 1.
    pub requests_on_connection: u64,
    /// Bytes of the head as received, from the request line to the empty line.
    pub head_bytes: usize,
}

/// A response as the service returns it.
pub struct Response {
    /// The head. Framing headers (`Content-Length`, `Transfer-Encoding`, `Connection`) are the server's business: it
    /// replaces what is there.
    pub head: ResponseHead,
    /// The body.
    pub body: Body,
    /// Called when the last byte was handed to the kernel or the client was lost.
    pub on_finish: Option<Box<dyn FinishHook>>,
    /// Close the connection after this response.
    pub close: bool,
    /// What takes over the connection after a `101`; made by the server crate.
    pub upgrade: Option<Box<dyn Any>>,
}

impl Response {
    /// A response of these parts.
    pub fn new(head: ResponseHead, body: impl Into<Body>) -> Self {
        Self {
            head,
            body: body.into(),
            on_finish: None,
            close: false,
            upgrade: None,
        }
    }

    /// A response without header lines and body.
    pub fn status(status: u16) -> Self {
        Self::new(ResponseHead::new(status), Body::Empty)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("head", &self.head)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// What became of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendReport {
    /// Bytes written to the connection: head, body and chunk framing.
    pub bytes_sent: u64,
    /// Bytes of the body among them, without framing.
    pub body_bytes_sent: u64,
    /// The client went away, or the body failed, before the end.
    pub aborted: bool,
}

/// Told when a response is over: the log phase. Where the client goes away *before* there is a response, the service's
/// future is dropped instead.
pub trait FinishHook {
    /// The response was sent or given up.
    fn finished(self: Box<Self>, report: SendReport);
}

impl<F: FnOnce(SendReport)> FinishHook for F {
    fn finished(self: Box<Self>, report: SendReport) {
        self(report);
    }
}
