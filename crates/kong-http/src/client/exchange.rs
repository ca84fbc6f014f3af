//! One request and the head of its response, on one connection.
//!
//! Hot path. Budget: one write and one read; the body of a small response is copied once, everything else is recycled.

use super::UpstreamResponse;
use super::connect::Connection;
use super::endpoint::{Timeouts, UpstreamHead};
use super::error::{Failure, Stage, UpstreamError};
use super::pool::Pools;
use super::response_body::ResponseBody;
use super::upload::{Progress, Upload};
use crate::Tunnel;
use crate::codec::{ChunkedDecoder, ChunkedStep, ResponseFraming, ResponseParser};
use crate::server::poll_read;
use crate::upgrade::Prefixed;
use bytes::Bytes;
use kong_message::{Body, Buffer, ResponseHead};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Interim responses (1xx) before the real one; more are taken for an attack.
const MAX_INTERIM: usize = 16;
/// Room for a head and a small body.
const ROOM: usize = 8 * 1024;

pub(super) struct Exchange<'a> {
    pub(super) connection: Box<Connection>,
    pub(super) upload: Upload,
    pub(super) timeouts: &'a Timeouts,
    pub(super) max_head: usize,
    pub(super) wants_upgrade: bool,
    pub(super) answers_head: bool,
    input: Buffer,
    parser: ResponseParser,
    interim: usize,
    uploading: Uploading,
}

enum Uploading {
    Going,
    Done,
    /// Sending failed; the upstream may have answered before it closed.
    Failed(io::Error),
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        connection: Box<Connection>,
        head: &UpstreamHead<'_>,
        body: Body,
        timeouts: &'a Timeouts,
        max_head: usize,
    ) -> Self {
        Self {
            connection,
            upload: Upload::new(head, body),
            timeouts,
            max_head,
            wants_upgrade: head.upgrade,
            answers_head: head.method.as_bytes() == b"HEAD",
            input: Buffer::unallocated(),
            parser: ResponseParser::new(),
            interim: 0,
            uploading: Uploading::Going,
        }
    }

    /// Whether anything was received.
    pub(super) fn heard(&self) -> bool {
        !self.input.is_empty() || self.interim > 0
    }

    /// Sends the request and waits for the head of the response; the offset of its end in the input.
    pub(super) async fn run(&mut self) -> Result<usize, (Stage, Failure)> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, (Stage, Failure)>> {
        let mut limit = Some((Stage::Head, self.timeouts.read));
        if matches!(self.uploading, Uploading::Going) {
            let before = self.upload.written;
            match self.upload.poll(&mut self.connection.stream, cx) {
                Progress::Done => {
                    self.uploading = Uploading::Done;
                    self.connection.timer.disarm();
                }
                Progress::Starved => limit = None,
                Progress::Blocked => {
                    limit = Some((Stage::Send, self.timeouts.write));
                    if self.upload.written > before {
                        self.connection.timer.disarm();
                    }
                }
                Progress::BodyFailed(error) => return Poll::Ready(Err((Stage::Send, Failure::RequestBody(error)))),
                Progress::Failed(error) => {
                    self.uploading = Uploading::Failed(error);
                    self.connection.timer.disarm();
                }
            }
        }
        match self.poll_head(cx) {
            Poll::Ready(Err((_, Failure::Io(_) | Failure::Closed))) if self.sending_failed().is_some() => {
                let error = self
                    .sending_failed()
                    .unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
                Poll::Ready(Err((Stage::Send, Failure::Io(error))))
            }
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => match limit {
                None => {
                    // The client is slow, not the upstream; the client has timeouts of its own.
                    self.connection.timer.disarm();
                    Poll::Pending
                }
                Some((stage, limit)) => {
                    self.connection.timer.arm_if_idle(limit);
                    self.connection
                        .timer
                        .poll_expired(cx)
                        .map(|()| Err((stage, Failure::Timeout)))
                }
            },
        }
    }

    fn sending_failed(&self) -> Option<io::Error> {
        match &self.uploading {
            Uploading::Failed(error) => Some(io::Error::new(error.kind(), error.to_string())),
            _ => None,
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, (Stage, Failure)>> {
        let failed = |failure| Poll::Ready(Err((Stage::Head, failure)));
        loop {
            if self.input.capacity() == 0 {
                self.input = Buffer::with_room(ROOM);
            } else if self.input.len() == self.input.capacity() {
                self.input.reserve(ROOM);
            }
            match poll_read(&mut self.connection.stream, cx, &mut self.input) {
                Poll::Ready(Ok(0)) => return failed(Failure::Closed),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return failed(Failure::Closed);
                }
                Poll::Ready(Err(error)) => return failed(Failure::Io(error)),
                Poll::Pending => {
                    if self.input.is_empty() {
                        self.input.release();
                    }
                    return Poll::Pending;
                }
            }
            self.connection.timer.disarm();
            loop {
                let len = match self.parser.parse(&self.input) {
                    Ok(Some(len)) if len <= self.max_head => len,
                    Ok(None) if self.input.len() < self.max_head => break,
                    Ok(_) => return failed(Failure::InvalidResponse("the head is too large")),
                    Err(reason) => return failed(Failure::InvalidResponse(reason)),
                };
                match self.parser.status {
                    101 if self.wants_upgrade => {}
                    101 => return failed(Failure::InvalidResponse("a switch of protocols that was not asked for")),
                    100..=199 => {
                        self.interim += 1;
                        if self.interim > MAX_INTERIM {
                            return failed(Failure::InvalidResponse("too many interim responses"));
                        }
                        self.input.drain(..len);
                        self.parser = ResponseParser::new();
                        continue;
                    }
                    _ => {}
                }
                return Poll::Ready(Ok(len));
            }
        }
    }

    /// The response whose head ends at `len`, and the way of the connection from here.
    pub(super) fn finish(
        self,
        len: usize,
        pools: &Rc<Pools>,
        reused: bool,
        connect_time: Duration,
    ) -> UpstreamResponse {
        let Self {
            connection,
            upload,
            timeouts,
            mut input,
            parser,
            uploading,
            ..
        } = self;
        let framing = parser.framing(self.answers_head);
        let is_sent = matches!(uploading, Uploading::Done);
        let may_return = parser.keeps_alive() && is_sent && framing != ResponseFraming::Close;
        let status = parser.status;
        let rest = input.get(len..).unwrap_or_default();
        let mut tunnel = None;
        let body = if status == 101 {
            let received = Buffer::copy_of(rest);
            tunnel = Some(Tunnel::new(Box::pin(Prefixed {
                io: connection.stream,
                received,
                at: 0,
            })));
            Body::Empty
        } else if let Some((body, is_exact)) = whole_body(framing, rest) {
            if may_return && is_exact {
                pools.put(connection);
            }
            body
        } else {
            let pending = Bytes::copy_from_slice(rest);
            let pools = may_return.then(|| Rc::clone(pools));
            let mut body = ResponseBody::new(connection, framing, pending, timeouts.read, pools);
            if let Uploading::Going = uploading {
                body.keep_sending(upload, timeouts.write);
            }
            Body::from_stream(body)
        };
        input.truncate(len);
        let mut headers = parser.headers;
        headers.set_received(input);
        let head = ResponseHead {
            status,
            version: parser.version,
            reason: parser.reason,
            headers,
        };
        UpstreamResponse {
            head,
            body,
            tunnel,
            reused,
            connect_time,
        }
    }

    /// Why there is no response.
    pub(super) fn error(&self, stage: Stage, failure: Failure, reused: bool) -> UpstreamError {
        UpstreamError {
            stage,
            failure,
            request_sent: self.upload.written > 0,
            body_consumed: self.upload.consumed && !self.upload.body.is_replayable(),
            reused,
        }
    }
}

/// The body, if all of it came with the head, and whether nothing else did.
fn whole_body(framing: ResponseFraming, rest: &[u8]) -> Option<(Body, bool)> {
    match framing {
        ResponseFraming::Empty => Some((Body::Empty, rest.is_empty())),
        ResponseFraming::Length(length) => {
            let length = usize::try_from(length).ok()?;
            let body = rest.get(..length)?;
            Some((Body::Memory(Bytes::copy_from_slice(body)), rest.len() == length))
        }
        ResponseFraming::Chunked => {
            let mut decoder = ChunkedDecoder::default();
            let mut body = Vec::new();
            let mut rest = rest;
            loop {
                match decoder.step(rest) {
                    ChunkedStep::Data { skip, len } => {
                        body.extend_from_slice(rest.get(skip..skip + len)?);
                        rest = rest.get(skip + len..)?;
                    }
                    ChunkedStep::Done { skip } => return Some((Body::from_bytes(body), rest.len() == skip)),
                    ChunkedStep::NeedMore | ChunkedStep::Invalid => return None,
                }
            }
        }
        ResponseFraming::Close => None,
    }
}
