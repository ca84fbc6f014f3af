//! A stream whose other side may not dawdle where the HTTP library has no timer of its own: before it has shown which
//! version of HTTP it speaks, and while it takes nothing of an answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// What an HTTP/2 client sends first; anything else is HTTP/1, whose heads have a timer.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pin_project! {
    /// See the module.
    pub(super) struct TimedStream<S> {
        #[pin]
        stream: S,
        #[pin]
        version_timer: Sleep,
        // Bytes of the preface seen so far, until the version is known.
        preface: Option<usize>,
        write_timeout: Duration,
        #[pin]
        write_timer: Sleep,
        writing: bool,
    }
}

impl<S> TimedStream<S> {
    pub(super) fn new(stream: S, head_timeout: Duration, write_timeout: Duration) -> Pin<Box<Self>> {
        Box::pin(Self {
            stream,
            version_timer: sleep(head_timeout),
            preface: Some(0),
            write_timeout,
            write_timer: sleep(write_timeout),
            writing: false,
        })
    }

    fn timed<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut this = self.project();
        if let Poll::Ready(result) = write(this.stream, cx) {
            *this.writing = false;
            return Poll::Ready(result);
        }
        if !*this.writing {
            *this.writing = true;
            this.write_timer.as_mut().reset(Instant::now() + *this.write_timeout);
        }
        ready!(this.write_timer.poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead> AsyncRead for TimedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let start = buf.filled().len();
        let read = this.stream.poll_read(cx, buf);
        let Some(seen) = *this.preface else { return read };
        if read.is_pending() {
            ready!(this.version_timer.poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let new = buf.filled().get(start..).unwrap_or_default();
        let rest = PREFACE.get(seen..).unwrap_or_default();
        *this.preface = (new.len() < rest.len() && rest.starts_with(new)).then_some(seen + new.len());
        read
    }
}

impl<S: AsyncWrite> AsyncWrite for TimedStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.timed(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.timed(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.timed(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}
