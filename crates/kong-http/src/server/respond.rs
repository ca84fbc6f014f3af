//! Sends a response.
//!
//! Hot path. Budget: one write for a head and a body that is at hand and small; no allocation beyond a recycled buffer.

use super::connection::Connection;
use crate::codec::with_date;
use bytes::Bytes;
use kong_message::{Body, HeaderKey, Response, ResponseHead, SendReport, Version};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::Write;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

const CONTENT_LENGTH: HeaderKey = HeaderKey::new("content-length");
const TRANSFER_ENCODING: HeaderKey = HeaderKey::new("transfer-encoding");
const CONNECTION: HeaderKey = HeaderKey::new("connection");
const KEEP_ALIVE: HeaderKey = HeaderKey::new("keep-alive");
const FRAMING: &[HeaderKey] = &[CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, KEEP_ALIVE];
/// Where there is no body, the length is that of the body there would be.
const FRAMING_BUT_LENGTH: &[HeaderKey] = &[CONNECTION, TRANSFER_ENCODING, KEEP_ALIVE];

/// What the response must know of its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) version: Version,
    pub(super) is_head: bool,
}

/// How the body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delimited {
    /// There is none.
    Absent,
    /// By its length; what is left of it.
    Length(u64),
    Chunked,
    /// By the end of the connection.
    Close,
}

/// Whether, and how, the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    KeepAlive,
    Close,
    /// The client is gone, or must be cut off.
    Aborted,
}

/// Sends `response`; `keep_alive` is whether the connection may be used again.
pub(super) async fn respond<IO: AsyncRead + AsyncWrite + Unpin>(
    connection: &Rc<RefCell<Connection<IO>>>,
    mut response: Response,
    asked: Asked,
    keep_alive: bool,
) -> After {
    let mut body = std::mem::take(&mut response.body);
    let mut delimited = match body.len() {
        _ if asked.is_head || response.head.is_bodyless() => Delimited::Absent,
        Some(length) => Delimited::Length(length),
        None if asked.version > Version::Http10 => Delimited::Chunked,
        None => Delimited::Close,
    };
    let keep_alive = keep_alive && !response.close && delimited != Delimited::Close;
    let begun = {
        let mut connection = connection.borrow_mut();
        let begun = connection.written;
        let buffer = connection.outgoing.buffer(2048);
        write_head(buffer, &response.head, delimited, &body, keep_alive);
        begun
    };
    if delimited == Delimited::Absent {
        body = Body::Empty;
    }
    let mut body_bytes = 0;
    let sent = poll_fn(|cx| poll_respond(connection, &mut body, &mut delimited, &mut body_bytes, cx)).await;
    // Whatever the body still holds (an upstream connection) is let go before the log phase.
    drop(body);
    let bytes_sent = {
        let mut connection = connection.borrow_mut();
        connection.outgoing.release();
        connection.written - begun
    };
    let aborted = !sent;
    if let Some(hook) = response.on_finish.take() {
        hook.finished(SendReport {
            bytes_sent,
            body_bytes_sent: body_bytes,
            aborted,
        });
    }
    match (aborted, keep_alive) {
        (true, _) => After::Aborted,
        (false, true) => After::KeepAlive,
        (false, false) => After::Close,
    }
}

fn write_head(out: &mut Vec<u8>, head: &ResponseHead, delimited: Delimited, body: &Body, keep_alive: bool) {
    head.write_status_line(out);
    if !head.headers.contains("date") {
        out.extend_from_slice(b"Date: ");
        with_date(|date| out.extend_from_slice(date));
        out.extend_from_slice(b"\r\n");
    }
    match delimited {
        Delimited::Absent if head.status == 204 => head.headers.write_except(out, FRAMING),
        Delimited::Absent => {
            let declared = head.headers.contains("content-length");
            head.headers.write_except(out, FRAMING_BUT_LENGTH);
            if let (false, 200.., Some(length)) = (declared, head.status, body.len().filter(|length| *length > 0)) {
                write_length(out, length);
            }
        }
        Delimited::Length(length) => {
            head.headers.write_except(out, FRAMING);
            write_length(out, length);
        }
        Delimited::Chunked => {
            head.headers.write_except(out, FRAMING);
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        Delimited::Close => head.headers.write_except(out, FRAMING),
    }
    out.extend_from_slice(match (head.status, keep_alive) {
        (101, _) => b"Connection: upgrade\r\n\r\n".as_slice(),
        (_, true) => b"Connection: keep-alive\r\n\r\n".as_slice(),
        (_, false) => b"Connection: close\r\n\r\n".as_slice(),
    });
}

pub(crate) fn write_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    let mut digits = [0u8; 20];
    let (mut at, mut rest) = (digits.len(), length);
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 || at == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
    out.extend_from_slice(b"\r\n");
}

/// Sends what is queued and what the body yields. Ready with whether everything was sent.
fn poll_respond<IO: AsyncRead + AsyncWrite + Unpin>(
    connection: &Rc<RefCell<Connection<IO>>>,
    body: &mut Body,
    delimited: &mut Delimited,
    body_bytes: &mut u64,
    cx: &mut Context<'_>,
) -> Poll<bool> {
    loop {
        let mut is_waiting = false;
        let mut is_over = matches!(*delimited, Delimited::Absent | Delimited::Length(0));
        while !is_over && connection.borrow().outgoing.has_room() {
            // The connection is not borrowed here: the body may read from it.
            match body.poll_chunk(cx) {
                Poll::Pending => {
                    is_waiting = true;
                    break;
                }
                Poll::Ready(Some(Ok(piece))) => {
                    let Some(length) = queue(&mut connection.borrow_mut(), piece, delimited) else {
                        return Poll::Ready(false);
                    };
                    *body_bytes += length;
                    is_over = *delimited == Delimited::Length(0);
                }
                Poll::Ready(None) => match delimited {
                    Delimited::Chunked => {
                        connection
                            .borrow_mut()
                            .outgoing
                            .buffer(8)
                            .extend_from_slice(b"0\r\n\r\n");
                        *delimited = Delimited::Absent;
                        is_over = true;
                    }
                    Delimited::Close => {
                        *delimited = Delimited::Absent;
                        is_over = true;
                    }
                    // Shorter than announced: only cutting the connection tells the client.
                    _ => return Poll::Ready(false),
                },
                // What came so far is sent, then the client is cut off.
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "response body failed");
                    let _ = connection.borrow_mut().poll_send(cx);
                    return Poll::Ready(false);
                }
            }
        }
        let mut connection = connection.borrow_mut();
        return match connection.poll_send(cx) {
            Poll::Ready(Ok(())) if is_over => Poll::Ready(true),
            // While the body is awaited, a client that leaves is noticed.
            Poll::Ready(Ok(())) if is_waiting && connection.body_is_done() => connection.poll_gone(cx).map(|()| false),
            Poll::Ready(Ok(())) if is_waiting => Poll::Pending,
            Poll::Ready(Ok(())) => continue,
            Poll::Ready(Err(_)) => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        };
    }
}

/// Queues a piece of the body; its length, or `None` when it is more than was announced.
fn queue<IO>(connection: &mut Connection<IO>, piece: Bytes, delimited: &mut Delimited) -> Option<u64> {
    let length = piece.len() as u64;
    match delimited {
        Delimited::Length(left) => {
            *left = left.checked_sub(length)?;
            connection.outgoing.push(piece, b"");
        }
        Delimited::Chunked if length == 0 => {}
        Delimited::Chunked => {
            let buffer = connection.outgoing.buffer(piece.len() + 32);
            // Writing to a `Vec` cannot fail.
            let _ = write!(buffer, "{length:x}\r\n");
            connection.outgoing.push(piece, b"\r\n");
        }
        Delimited::Close | Delimited::Absent => connection.outgoing.push(piece, b""),
    }
    Some(length)
}
