use super::connection::Connection;
use super::transport::poll_read;
use kong_message::Buffer;
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The client's stream as an upgraded protocol sees it: what was received after the request's head comes first.
pub(super) struct Takeover<IO>(pub(super) Rc<RefCell<Connection<IO>>>);

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Takeover<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let connection = &mut *self.0.borrow_mut();
        if connection.input.is_empty() {
            return Pin::new(&mut connection.io).poll_read(cx, out);
        }
        let count = connection.input.len().min(out.remaining());
        out.put_slice(connection.input.get(..count).unwrap_or_default());
        connection.input.drain(..count);
        if connection.input.is_empty() {
            connection.input.release();
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Takeover<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.borrow_mut().io).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().io).poll_shutdown(cx)
    }
}

/// Closes our side, then throws away what the client still sends, for a limited time: a connection closed with unread
/// bytes is reset, and the client might never see the answer.
pub(super) async fn linger<IO: AsyncRead + AsyncWrite + Unpin>(connection: &Rc<RefCell<Connection<IO>>>) {
    let (gap, total) = {
        let connection = connection.borrow();
        (connection.config.linger_gap, connection.config.linger_total)
    };
    let deadline = crate::Timer::new();
    deadline.arm(total);
    let mut is_shut = false;
    std::future::poll_fn(|cx| {
        let connection = &mut *connection.borrow_mut();
        if !is_shut {
            // A TLS close notice that is blocked is not worth waiting for longer than the rest.
            is_shut = Pin::new(&mut connection.io).poll_shutdown(cx).is_ready();
        }
        let mut scratch = Buffer::with_room(16 * 1024);
        // Bounded, so that a client that sends without end does not hold the worker.
        for _ in 0..16 {
            scratch.clear();
            match poll_read(&mut connection.io, cx, &mut scratch) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => connection.read_timer.disarm(),
                Poll::Pending => {
                    connection.read_timer.arm_if_idle(gap);
                    if connection.read_timer.poll_expired(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    return deadline.poll_expired(cx);
                }
            }
        }
        cx.waker().wake_by_ref();
        deadline.poll_expired(cx)
    })
    .await;
    connection.borrow().read_timer.disarm();
}
