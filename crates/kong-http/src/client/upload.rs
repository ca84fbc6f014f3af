//! Sends a request: its head, and its body as it comes.

use super::endpoint::UpstreamHead;
use super::stream::Stream;
use crate::server::{Outgoing, write_length};
use kong_message::{Body, BodyError, HeaderKey};
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

const HOST: HeaderKey = HeaderKey::new("host");
const CONNECTION: HeaderKey = HeaderKey::new("connection");
const CONTENT_LENGTH: HeaderKey = HeaderKey::new("content-length");
const TRANSFER_ENCODING: HeaderKey = HeaderKey::new("transfer-encoding");
const KEEP_ALIVE: HeaderKey = HeaderKey::new("keep-alive");
const UPGRADE: HeaderKey = HeaderKey::new("upgrade");
const OURS: &[HeaderKey] = &[HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, KEEP_ALIVE];
const OURS_AND_UPGRADE: &[HeaderKey] = &[HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, KEEP_ALIVE, UPGRADE];

#[derive(Debug)]
pub(super) struct Upload {
    outgoing: Outgoing,
    pub(super) body: Body,
    framing: Framing,
    /// Bytes that were handed to the kernel.
    pub(super) written: u64,
    /// Bytes of the body were read.
    pub(super) consumed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    /// The last piece is queued.
    Ended,
}

/// Where an upload stands.
#[derive(Debug)]
pub(super) enum Progress {
    Done,
    /// The body has nothing to send yet.
    Starved,
    /// The upstream takes nothing at the moment.
    Blocked,
    /// The body failed: the client's fault.
    BodyFailed(BodyError),
    /// The connection failed.
    Failed(io::Error),
}

impl Upload {
    pub(super) fn new(head: &UpstreamHead<'_>, body: Body) -> Self {
        let framing = match body.len() {
            Some(0) => Framing::Ended,
            Some(length) => Framing::Length(length),
            None => Framing::Chunked,
        };
        let mut outgoing = Outgoing::default();
        write_head(outgoing.buffer(2048), head, framing);
        Self {
            outgoing,
            body,
            framing,
            written: 0,
            consumed: false,
        }
    }

    /// Sends as much as can be sent now.
    pub(super) fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Progress {
        loop {
            let mut is_starved = false;
            while self.framing != Framing::Ended && self.outgoing.has_room() {
                match self.body.poll_chunk(cx) {
                    Poll::Pending => {
                        is_starved = true;
                        break;
                    }
                    Poll::Ready(Some(Ok(piece))) => {
                        self.consumed = true;
                        if let Err(error) = self.queue(piece) {
                            return Progress::BodyFailed(error);
                        }
                    }
                    Poll::Ready(Some(Err(error))) => return Progress::BodyFailed(error),
                    Poll::Ready(None) if self.framing == Framing::Chunked => {
                        self.outgoing.buffer(8).extend_from_slice(b"0\r\n\r\n");
                        self.framing = Framing::Ended;
                    }
                    Poll::Ready(None) => return Progress::BodyFailed(BodyError::Aborted),
                }
            }
            let sent = match self.outgoing.poll_write(stream, cx, &mut self.written) {
                Poll::Ready(Ok(())) => Pin::new(&mut *stream).poll_flush(cx),
                other => other,
            };
            return match sent {
                Poll::Ready(Ok(())) if self.framing == Framing::Ended => Progress::Done,
                Poll::Ready(Ok(())) if is_starved => Progress::Starved,
                Poll::Ready(Ok(())) => continue,
                Poll::Ready(Err(error)) => Progress::Failed(error),
                Poll::Pending => Progress::Blocked,
            };
        }
    }

    fn queue(&mut self, piece: bytes::Bytes) -> Result<(), BodyError> {
        let length = piece.len() as u64;
        match &mut self.framing {
            Framing::Length(left) => {
                *left = left
                    .checked_sub(length)
                    .ok_or(BodyError::Malformed("longer than announced"))?;
                if *left == 0 {
                    self.framing = Framing::Ended;
                }
                self.outgoing.push(piece, b"");
            }
            Framing::Chunked if length > 0 => {
                // Writing to a `Vec` cannot fail.
                let _ = write!(self.outgoing.buffer(piece.len() + 32), "{length:x}\r\n");
                self.outgoing.push(piece, b"\r\n");
            }
            Framing::Chunked | Framing::Ended => {}
        }
        Ok(())
    }
}

fn write_head(out: &mut Vec<u8>, head: &UpstreamHead<'_>, framing: Framing) {
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    write_target(out, head.target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if let Some(host) = head.host {
        out.extend_from_slice(b"Host: ");
        out.extend(host.iter().filter(|byte| **byte > b' '));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(match head.upgrade {
        true => b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n".as_slice(),
        false => b"Connection: keep-alive\r\n".as_slice(),
    });
    match framing {
        Framing::Length(length) => write_length(out, length),
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::Ended => {
            if head.headers.contains("content-length") || head.headers.contains("transfer-encoding") {
                write_length(out, 0);
            }
        }
    }
    head.headers
        .write_except(out, if head.upgrade { OURS_AND_UPGRADE } else { OURS });
    out.extend_from_slice(b"\r\n");
}

/// The target as a path, with what would break the request line escaped: it may come from a plugin.
fn write_target(out: &mut Vec<u8>, target: &[u8]) {
    let breaks = |byte: &u8| *byte <= b' ' || *byte == 0x7f;
    if target.first() != Some(&b'/') {
        out.push(b'/');
    }
    if !target.iter().any(breaks) {
        out.extend_from_slice(target);
    } else {
        for byte in target {
            if breaks(byte) {
                let _ = write!(out, "%{byte:02X}");
            } else {
                out.push(*byte);
            }
        }
    }
}
