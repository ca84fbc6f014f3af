//! What the parts of a connection share: the stream, what was received and not used yet, what waits to be sent.
//!
//! A request's body and the connection's own loop both use the stream. They run in one task, so a `RefCell` is enough;
//! it is never borrowed while foreign code runs.

use super::ServerConfig;
use super::transport::{Outgoing, poll_read};
use crate::Timer;
use crate::codec::{ChunkedDecoder, ChunkedStep, Framing};
use bytes::Bytes;
use kong_message::{BodyError, Buffer};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};

/// Room for a head; most fit, larger ones make it grow.
const HEAD_ROOM: usize = 4 * 1024;
/// Largest piece of a body read at once.
const BODY_ROOM: usize = 32 * 1024;
/// Requests that a client sends ahead are read up to this much while one is served.
const AHEAD: usize = 16 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub(super) struct Connection<IO> {
    pub(super) io: IO,
    pub(super) config: Rc<ServerConfig>,
    /// Received bytes of the next head, or of requests sent ahead.
    pub(super) input: Buffer,
    pub(super) outgoing: Outgoing,
    /// Bytes written since the connection began.
    pub(super) written: u64,
    pub(super) read_timer: Timer,
    pub(super) write_timer: Timer,
    body: RequestBodyState,
}

/// The body of the request being served.
#[derive(Default)]
struct RequestBodyState {
    framing: BodyFraming,
    /// Received bytes that are not decoded yet.
    pending: Bytes,
    /// The client waits for `100 Continue`.
    expects_continue: bool,
    received: u64,
    /// Counts requests, so that a body that outlives its request reads nothing of the next.
    serial: u64,
}

#[derive(Default)]
enum BodyFraming {
    #[default]
    Done,
    Failed,
    Length(u64),
    Chunked(ChunkedDecoder),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Connection<IO> {
    pub(super) fn new(io: IO, config: Rc<ServerConfig>) -> Self {
        Self {
            io,
            config,
            input: Buffer::unallocated(),
            outgoing: Outgoing::default(),
            written: 0,
            read_timer: Timer::new(),
            write_timer: Timer::new(),
            body: RequestBodyState::default(),
        }
    }

    /// Reads more of a head. While nothing has come the buffer is lent only for the call, so an idle connection holds
    /// none.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() == 0 {
            self.input = Buffer::with_room(HEAD_ROOM);
        } else if self.input.len() == self.input.capacity() {
            self.input.reserve(HEAD_ROOM);
        }
        let result = poll_read(&mut self.io, cx, &mut self.input);
        if self.input.is_empty() {
            self.input.release();
        }
        result
    }

    /// Ready when the client closed its side, or the connection failed. What it sends ahead is kept.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.input.len() < AHEAD {
            match ready!(self.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Prepares for the body of a new request; `rest` is what came after its head. Returns the request's serial.
    pub(super) fn begin_body(&mut self, framing: Framing, expects_continue: bool, rest: &[u8]) -> u64 {
        self.body.serial += 1;
        self.body.received = 0;
        self.body.framing = match framing {
            Framing::Empty => {
                if !rest.is_empty() {
                    self.input = Buffer::copy_of(rest);
                }
                self.body.expects_continue = false;
                return self.body.serial;
            }
            Framing::Length(length) => BodyFraming::Length(length),
            Framing::Chunked => BodyFraming::Chunked(ChunkedDecoder::default()),
        };
        self.body.expects_continue = expects_continue;
        self.body.pending = Bytes::copy_from_slice(rest);
        self.body.serial
    }

    /// Whether the body was read to its end (or there is none).
    pub(super) fn body_is_done(&self) -> bool {
        matches!(self.body.framing, BodyFraming::Done)
    }

    /// Whether what is left of the body can be thrown away to get to the next request: not if it is broken, nor if the
    /// client waits to be told to send it.
    pub(super) fn body_can_be_skipped(&self) -> bool {
        !matches!(self.body.framing, BodyFraming::Failed) && !self.body.expects_continue
    }

    /// Bytes of the body still to come, where known.
    pub(super) fn body_remaining(&self) -> Option<u64> {
        match self.body.framing {
            BodyFraming::Done | BodyFraming::Failed => Some(0),
            BodyFraming::Length(left) => Some(left),
            BodyFraming::Chunked(_) => None,
        }
    }

    pub(super) fn body_serial(&self) -> u64 {
        self.body.serial
    }

    /// The next piece of the body.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if let Some(result) = self.decode_body() {
                return Poll::Ready(result);
            }
            let error = match ready!(self.poll_body_bytes(cx)) {
                Ok(()) => continue,
                Err(error) => error,
            };
            self.read_timer.disarm();
            self.body.framing = BodyFraming::Failed;
            return Poll::Ready(Some(Err(error)));
        }
    }

    /// Decodes what is there. `None` when more bytes are needed.
    fn decode_body(&mut self) -> Option<Option<Result<Bytes, BodyError>>> {
        let pending = &mut self.body.pending;
        let piece = match &mut self.body.framing {
            BodyFraming::Done => return Some(None),
            BodyFraming::Failed => return Some(Some(Err(BodyError::Aborted))),
            _ if pending.is_empty() => return None,
            BodyFraming::Length(left) => {
                let len = pending.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= len as u64;
                let is_last = *left == 0;
                let piece = pending.split_to(len);
                if is_last {
                    self.end_body();
                }
                piece
            }
            BodyFraming::Chunked(decoder) => match decoder.step(pending) {
                ChunkedStep::NeedMore => {
                    pending.clear();
                    return None;
                }
                ChunkedStep::Data { skip, len } => {
                    bytes::Buf::advance(pending, skip);
                    pending.split_to(len)
                }
                ChunkedStep::Done { skip } => {
                    bytes::Buf::advance(pending, skip);
                    self.end_body();
                    return Some(None);
                }
                ChunkedStep::Invalid => {
                    self.body.framing = BodyFraming::Failed;
                    return Some(Some(Err(BodyError::Malformed("broken chunk"))));
                }
            },
        };
        self.body.received += piece.len() as u64;
        let limit = self.config.max_body;
        if limit != 0 && self.body.received > limit {
            self.body.framing = BodyFraming::Failed;
            return Some(Some(Err(BodyError::TooLarge { limit })));
        }
        Some(Some(Ok(piece)))
    }

    /// The rest of what was received belongs to the next request.
    fn end_body(&mut self) {
        self.body.framing = BodyFraming::Done;
        self.body.expects_continue = false;
        let rest = std::mem::take(&mut self.body.pending);
        if !rest.is_empty() {
            self.input = Buffer::copy_of(&rest);
        }
    }

    /// Receives more bytes of the body, after telling the client to go on where it waits for that.
    fn poll_body_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        if self.body.expects_continue {
            self.body.expects_continue = false;
            self.outgoing.buffer(CONTINUE.len()).extend_from_slice(CONTINUE);
        }
        if !self.outgoing.is_empty() {
            // Only ever blocked by a client that does not read; its own timeout below applies.
            if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Err(BodyError::Io(error)));
            }
        }
        let room = match self.body.framing {
            BodyFraming::Length(left) => usize::try_from(left).unwrap_or(usize::MAX).clamp(HEAD_ROOM, BODY_ROOM),
            _ => BODY_ROOM,
        };
        let mut buffer = Buffer::with_room(room);
        match poll_read(&mut self.io, cx, &mut buffer) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(BodyError::Aborted)),
            Poll::Ready(Ok(_)) => {
                self.read_timer.disarm();
                self.body.pending = Bytes::from_owner(buffer);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(BodyError::Io(error))),
            Poll::Pending => {
                self.read_timer.arm_if_idle(self.config.body_timeout);
                self.read_timer.poll_expired(cx).map(|()| Err(BodyError::Timeout))
            }
        }
    }

    /// Writes what is queued. Fails with `TimedOut` when the client takes nothing for the send timeout.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let before = self.written;
        let sent = match self.outgoing.poll_write(&mut self.io, cx, &mut self.written) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.io).poll_flush(cx),
            other => other,
        };
        match sent {
            Poll::Ready(result) => {
                if self.write_timer.is_armed() {
                    self.write_timer.disarm();
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                if self.written > before {
                    self.write_timer.disarm();
                }
                self.write_timer.arm_if_idle(self.config.send_timeout);
                self.write_timer
                    .poll_expired(cx)
                    .map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}
