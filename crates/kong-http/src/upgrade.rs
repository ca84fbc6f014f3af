//! What happens to a connection after a `101`.

use crate::Timer;
use kong_message::{Buffer, Response};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
pub struct Upgrade(Takeover);

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

    pub(crate) async fn run(self, client: Pin<Box<dyn Duplex>>) -> TunnelReport {
        (self.0)(client).await
    }
}

/// The upstream's side of an upgraded connection.
pub struct Tunnel(Pin<Box<dyn Duplex>>);

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tunnel")
    }
}

impl Tunnel {
    pub(crate) fn new(upstream: Pin<Box<dyn Duplex>>) -> Self {
        Self(upstream)
    }

    /// Joins the client and the upstream until either closes. `read` is how long both may be silent, `write` how long
    /// a side may refuse to take bytes.
    pub fn into_upgrade(self, read: Duration, write: Duration) -> Upgrade {
        Upgrade::new(move |client| relay(client, self.0, read, write))
    }

    /// The raw stream; what came after the head of the `101` is read first.
    pub fn into_stream(self) -> Pin<Box<dyn Duplex>> {
        self.0
    }
}

/// One direction of a tunnel. Holds a buffer only while there are bytes in it.
#[derive(Default)]
struct Direction {
    buffer: Buffer,
    at: usize,
    ended: bool,
    total: u64,
}

const ROOM: usize = 16 * 1024;
/// Rounds before other tasks get their turn.
const ROUNDS: usize = 32;

enum Step {
    /// Waits for the source.
    Reading,
    /// Waits for the sink.
    Writing,
    /// More could be done at once.
    Yielded,
    /// The source ended and everything was passed on.
    Ended,
}

impl Direction {
    /// Moves bytes while it can; says by `moved` whether any did.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Pin<Box<dyn Duplex>>,
        to: &mut Pin<Box<dyn Duplex>>,
        moved: &mut bool,
    ) -> io::Result<Step> {
        for _ in 0..ROUNDS {
            if self.at < self.buffer.len() {
                let rest = self.buffer.get(self.at..).unwrap_or_default();
                match to.as_mut().poll_write(cx, rest) {
                    Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(count)) => {
                        *moved = true;
                        self.at += count;
                        self.total += count as u64;
                    }
                    Poll::Ready(Err(error)) => return Err(error),
                    Poll::Pending => return Ok(Step::Writing),
                }
                continue;
            }
            self.at = 0;
            self.buffer.clear();
            match to.as_mut().poll_flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(Step::Writing),
            }
            if self.ended {
                return Ok(Step::Ended);
            }
            if self.buffer.capacity() == 0 {
                self.buffer = Buffer::with_room(ROOM);
            }
            match poll_read_pinned(from, cx, &mut self.buffer) {
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(_)) => *moved = true,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.buffer.release();
                    return Ok(Step::Reading);
                }
            }
        }
        Ok(Step::Yielded)
    }
}

fn poll_read_pinned(
    from: &mut Pin<Box<dyn Duplex>>,
    cx: &mut Context<'_>,
    buffer: &mut Buffer,
) -> Poll<io::Result<usize>> {
    crate::server::poll_read(from, cx, buffer)
}

/// Passes bytes both ways until one side has ended and its last byte was passed on; like the original, the other
/// direction is not waited for.
async fn relay(
    mut client: Pin<Box<dyn Duplex>>,
    mut upstream: Pin<Box<dyn Duplex>>,
    read: Duration,
    write: Duration,
) -> TunnelReport {
    let (mut up, mut down) = (Direction::default(), Direction::default());
    let idle = Timer::new();
    let blocked = Timer::new();
    idle.arm(read);
    let ended = poll_fn(|cx| {
        let mut moved = false;
        let steps = (
            up.poll(cx, &mut client, &mut upstream, &mut moved),
            down.poll(cx, &mut upstream, &mut client, &mut moved),
        );
        let (Ok(step_up), Ok(step_down)) = steps else {
            return Poll::Ready(false);
        };
        if matches!(step_up, Step::Ended) || matches!(step_down, Step::Ended) {
            return Poll::Ready(true);
        }
        if moved {
            idle.arm(read);
            blocked.disarm();
        }
        if matches!(step_up, Step::Writing) || matches!(step_down, Step::Writing) {
            blocked.arm_if_idle(write);
        } else {
            blocked.disarm();
        }
        if matches!(step_up, Step::Yielded) || matches!(step_down, Step::Yielded) {
            cx.waker().wake_by_ref();
        }
        if idle.poll_expired(cx).is_ready() || blocked.poll_expired(cx).is_ready() {
            return Poll::Ready(false);
        }
        Poll::Pending
    })
    .await;
    let shut = poll_fn(|cx| upstream.as_mut().poll_shutdown(cx));
    let _ = crate::timeout(Duration::from_secs(1), shut).await;
    TunnelReport {
        to_client: down.total,
        from_client: up.total,
        aborted: !ended,
    }
}

/// A stream with bytes that were already received from it.
pub(crate) struct Prefixed<IO> {
    pub(crate) io: IO,
    pub(crate) received: Buffer,
    pub(crate) at: usize,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Prefixed<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = self.received.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, out);
        }
        let count = rest.len().min(out.remaining());
        out.put_slice(rest.get(..count).unwrap_or_default());
        self.at += count;
        if self.at >= self.received.len() {
            self.received.release();
            self.at = 0;
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Prefixed<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
