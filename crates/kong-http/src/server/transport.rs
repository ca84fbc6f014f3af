//! Reading into, and writing from, recycled buffers.

use bytes::Bytes;
use kong_message::Buffer;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads once into the spare room of `buffer` (which must have some) and says how much came; 0 at the end.
pub(crate) fn poll_read<IO: AsyncRead + Unpin>(
    io: &mut IO,
    cx: &mut Context<'_>,
    buffer: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    let mut spare = ReadBuf::uninit(buffer.spare_capacity_mut());
    ready!(Pin::new(io).poll_read(cx, &mut spare))?;
    let count = spare.filled().len();
    let len = buffer.len() + count;
    // SAFETY: `ReadBuf` vouches that the first `count` bytes of the spare capacity are initialised.
    unsafe { buffer.set_len(len) };
    Poll::Ready(Ok(count))
}

/// Bytes on their way out: a buffer (head, chunk sizes, small bodies), a piece of a body that is not copied, and what
/// comes after it. Written together where the transport allows.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    pub(crate) buffer: Buffer,
    at: usize,
    piece: Bytes,
    after: &'static [u8],
}

/// Pieces up to this size are copied to the buffer, which is cheaper than a vectored write and lets small pieces leave
/// together.
const COPIED: usize = 4 * 1024;
/// More than this is not gathered before it is written.
const GATHERED: usize = 16 * 1024;

impl Outgoing {
    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.buffer.len() && self.piece.is_empty() && self.after.is_empty()
    }

    /// Whether another piece may be added before the queue is written.
    pub(crate) fn has_room(&self) -> bool {
        self.piece.is_empty() && self.after.is_empty() && self.buffer.len() < GATHERED
    }

    /// The buffer, to append to; only while there is [room](Self::has_room).
    pub(crate) fn buffer(&mut self, room: usize) -> &mut Vec<u8> {
        if self.buffer.capacity() == 0 {
            self.buffer = Buffer::with_room(room);
        }
        &mut self.buffer
    }

    /// Adds a piece of a body, and what frames it.
    pub(crate) fn push(&mut self, piece: Bytes, after: &'static [u8]) {
        if piece.len() <= COPIED {
            let buffer = self.buffer(piece.len() + after.len());
            buffer.extend_from_slice(&piece);
            buffer.extend_from_slice(after);
        } else {
            self.piece = piece;
            self.after = after;
        }
    }

    /// Writes until everything is handed over. `written` counts up by what was, also when the result is pending.
    pub(crate) fn poll_write<IO: AsyncWrite + Unpin>(
        &mut self,
        io: &mut IO,
        cx: &mut Context<'_>,
        written: &mut u64,
    ) -> Poll<io::Result<()>> {
        loop {
            let first = self.buffer.get(self.at..).unwrap_or_default();
            let count = if self.piece.is_empty() && self.after.is_empty() {
                if first.is_empty() {
                    self.buffer.clear();
                    self.at = 0;
                    return Poll::Ready(Ok(()));
                }
                ready!(Pin::new(&mut *io).poll_write(cx, first))?
            } else {
                let slices = [IoSlice::new(first), IoSlice::new(&self.piece), IoSlice::new(self.after)];
                let from = if first.is_empty() { 1 } else { 0 };
                let slices = slices.get(from..).unwrap_or_default();
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, slices))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *written += count as u64;
            self.advance(count);
        }
    }

    /// Gives the buffer back to the free list; for connections that become idle.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            self.buffer.release();
            self.at = 0;
        }
    }

    fn advance(&mut self, count: usize) {
        let of_buffer = count.min(self.buffer.len() - self.at);
        self.at += of_buffer;
        let of_piece = (count - of_buffer).min(self.piece.len());
        bytes::Buf::advance(&mut self.piece, of_piece);
        let of_after = count - of_buffer - of_piece;
        self.after = self.after.get(of_after..).unwrap_or_default();
    }
}
