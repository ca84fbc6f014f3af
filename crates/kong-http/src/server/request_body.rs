use super::connection::Connection;
use bytes::Bytes;
use kong_message::{BodyError, BodyStream};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// The body of a request, read from its connection as it is asked for.
pub(super) struct RequestBody<IO> {
    pub(super) connection: Rc<RefCell<Connection<IO>>>,
    pub(super) serial: u64,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> BodyStream for RequestBody<IO> {
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut connection = self.connection.borrow_mut();
        if connection.body_serial() != self.serial {
            // The request is over and the rest of its body was thrown away.
            return Poll::Ready(Some(Err(BodyError::Aborted)));
        }
        connection.poll_body(cx)
    }

    fn size_hint(&self) -> (u64, Option<u64>) {
        let connection = self.connection.borrow();
        if connection.body_serial() != self.serial {
            return (0, None);
        }
        match connection.body_remaining() {
            Some(left) => (left, Some(left)),
            None => (0, None),
        }
    }
}
