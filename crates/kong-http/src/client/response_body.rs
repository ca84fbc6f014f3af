//! The body of a response that did not arrive together with its head.

use super::connect::Connection;
use super::pool::Pools;
use super::upload::{Progress, Upload};
use crate::Timer;
use crate::codec::{ChunkedDecoder, ChunkedStep, ResponseFraming};
use crate::server::poll_read;
use bytes::Bytes;
use kong_message::{BodyError, BodyStream, Buffer};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Largest piece read at once.
const ROOM: usize = 32 * 1024;

pub(super) struct ResponseBody {
    source: Source,
    framing: Framing,
    /// Received and not decoded yet.
    pending: Bytes,
    read_timeout: Duration,
    /// Where the connection goes at the end, if it may be used again.
    pools: Option<Rc<Pools>>,
}

enum Framing {
    Length(u64),
    Chunked(ChunkedDecoder),
    Close,
    Done,
}

/// The connection.
enum Source {
    Owned(Box<Connection>),
    /// The request is still being sent, by a task of its own: a client that sends all before it reads would otherwise
    /// wait for us, and we for it.
    Shared {
        shared: Rc<RefCell<Shared>>,
        _sender: Sender,
        timer: Timer,
    },
    Gone,
}

struct Shared {
    connection: Box<Connection>,
    upload: Option<Waker>,
}

impl ResponseBody {
    pub(super) fn new(
        connection: Box<Connection>,
        framing: ResponseFraming,
        pending: Bytes,
        read_timeout: Duration,
        pools: Option<Rc<Pools>>,
    ) -> Self {
        let framing = match framing {
            ResponseFraming::Empty => Framing::Done,
            ResponseFraming::Length(length) => Framing::Length(length),
            ResponseFraming::Chunked => Framing::Chunked(ChunkedDecoder::default()),
            ResponseFraming::Close => Framing::Close,
        };
        Self {
            source: Source::Owned(connection),
            framing,
            pending,
            read_timeout,
            pools,
        }
    }

    /// Goes on sending the request while the response is read. The connection is not used again afterwards.
    pub(super) fn keep_sending(&mut self, mut upload: Upload, write_timeout: Duration) {
        let Source::Owned(connection) = std::mem::replace(&mut self.source, Source::Gone) else {
            return;
        };
        self.pools = None;
        let shared = Rc::new(RefCell::new(Shared {
            connection,
            upload: None,
        }));
        let sender = Rc::clone(&shared);
        let timer = Timer::new();
        let task = tokio::task::spawn_local(poll_fn(move |cx| {
            let shared = &mut *sender.borrow_mut();
            shared.upload = Some(cx.waker().clone());
            let before = upload.written;
            match upload.poll(&mut shared.connection.stream, cx) {
                Progress::Done | Progress::BodyFailed(_) | Progress::Failed(_) => Poll::Ready(()),
                Progress::Starved => {
                    timer.disarm();
                    Poll::Pending
                }
                Progress::Blocked => {
                    if upload.written > before {
                        timer.disarm();
                    }
                    timer.arm_if_idle(write_timeout);
                    timer.poll_expired(cx)
                }
            }
        }));
        self.source = Source::Shared {
            shared,
            _sender: Sender(task),
            timer: Timer::new(),
        };
    }

    /// Decodes what is there. `None` when more bytes are needed.
    fn decode(&mut self) -> Option<Option<Result<Bytes, BodyError>>> {
        match &mut self.framing {
            Framing::Done => Some(None),
            _ if self.pending.is_empty() => None,
            Framing::Close => Some(Some(Ok(std::mem::take(&mut self.pending)))),
            Framing::Length(left) => {
                let len = self.pending.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= len as u64;
                let is_last = *left == 0;
                let piece = self.pending.split_to(len);
                if is_last {
                    self.end();
                }
                Some(Some(Ok(piece)))
            }
            Framing::Chunked(decoder) => match decoder.step(&self.pending) {
                ChunkedStep::NeedMore => {
                    self.pending.clear();
                    None
                }
                ChunkedStep::Data { skip, len } => {
                    bytes::Buf::advance(&mut self.pending, skip);
                    Some(Some(Ok(self.pending.split_to(len))))
                }
                ChunkedStep::Done { skip } => {
                    bytes::Buf::advance(&mut self.pending, skip);
                    self.end();
                    Some(None)
                }
                ChunkedStep::Invalid => {
                    self.fail();
                    Some(Some(Err(BodyError::Malformed("broken chunk"))))
                }
            },
        }
    }

    /// The body is over: the connection is free again, unless more came than belongs to it.
    fn end(&mut self) {
        self.framing = Framing::Done;
        let source = std::mem::replace(&mut self.source, Source::Gone);
        if let (Source::Owned(connection), Some(pools), true) = (source, self.pools.take(), self.pending.is_empty()) {
            pools.put(connection);
        }
    }

    fn fail(&mut self) {
        self.framing = Framing::Done;
        self.source = Source::Gone;
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BodyError>> {
        let room = match self.framing {
            Framing::Length(left) => usize::try_from(left).unwrap_or(usize::MAX).clamp(4096, ROOM),
            _ => ROOM,
        };
        let mut buffer = Buffer::with_room(room);
        let (result, timer) = match &mut self.source {
            Source::Owned(connection) => (poll_read(&mut connection.stream, cx, &mut buffer), &connection.timer),
            Source::Shared { shared, timer, .. } => {
                let mut shared = shared.borrow_mut();
                let result = poll_read(&mut shared.connection.stream, cx, &mut buffer);
                // Reading TLS may write and so take the sender's place in the queue for the socket.
                if shared.connection.key.is_tls
                    && let Some(upload) = shared.upload.take()
                {
                    upload.wake();
                }
                (result, &*timer)
            }
            Source::Gone => return Poll::Ready(Err(BodyError::Aborted)),
        };
        match result {
            Poll::Ready(Ok(0)) => Poll::Ready(Ok(false)),
            // TLS peers often close without saying so.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(false)),
            Poll::Ready(Ok(_)) => {
                timer.disarm();
                self.pending = Bytes::from_owner(buffer);
                Poll::Ready(Ok(true))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(BodyError::Io(error))),
            Poll::Pending => {
                timer.arm_if_idle(self.read_timeout);
                timer.poll_expired(cx).map(|()| Err(BodyError::Timeout))
            }
        }
    }
}

impl BodyStream for ResponseBody {
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let this = self.get_mut();
        loop {
            if let Some(result) = this.decode() {
                return Poll::Ready(result);
            }
            let error = match ready!(this.poll_receive(cx)) {
                Ok(true) => continue,
                Ok(false) if matches!(this.framing, Framing::Close) => {
                    this.fail();
                    return Poll::Ready(None);
                }
                Ok(false) => BodyError::Aborted,
                Err(error) => error,
            };
            this.fail();
            return Poll::Ready(Some(Err(error)));
        }
    }

    fn size_hint(&self) -> (u64, Option<u64>) {
        match self.framing {
            Framing::Length(left) => (left, Some(left)),
            Framing::Done => (0, Some(0)),
            Framing::Chunked(_) | Framing::Close => (0, None),
        }
    }
}

/// The task that goes on sending ends with the response.
struct Sender(JoinHandle<()>);

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.abort();
    }
}
