//! Per-thread free lists, so that a head in a steady state costs no allocation.
//!
//! Hot path. Budget: a pop and a push of a `Vec` per buffer, no lock.

use crate::header_line::Line;
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Buffers that are larger are given back to the allocator: an idle worker keeps at most `KEPT × MAX_BYTES`.
const MAX_BYTES: usize = 32 * 1024;
const MAX_LINES: usize = 256;
const KEPT: usize = 64;

#[derive(Default)]
struct FreeLists {
    bytes: Vec<Vec<u8>>,
    lines: Vec<Vec<Line>>,
}

thread_local! {
    static FREE: RefCell<FreeLists> = RefCell::default();
}

/// A growable byte buffer that returns to its thread's free list when it is dropped.
#[derive(Debug, Default)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// A buffer without memory of its own.
    pub const fn unallocated() -> Self {
        Self(Vec::new())
    }

    /// An empty buffer with room for at least `room` bytes, recycled where possible.
    pub fn with_room(room: usize) -> Self {
        let mut bytes = FREE
            .try_with(|free| free.borrow_mut().bytes.pop())
            .ok()
            .flatten()
            .unwrap_or_default();
        if bytes.capacity() < room {
            bytes.reserve_exact(room);
        }
        Self(bytes)
    }

    /// A copy of `bytes` in a recycled buffer.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut buffer = Self::with_room(bytes.len());
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Gives the memory back and leaves the buffer empty and without room.
    pub fn release(&mut self) {
        drop(std::mem::take(self));
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::copy_of(&self.0)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let capacity = self.0.capacity();
        if capacity == 0 || capacity > MAX_BYTES {
            return;
        }
        let mut bytes = std::mem::take(&mut self.0);
        bytes.clear();
        // At thread exit the free list may be gone: then the buffer simply is freed.
        let _ = FREE.try_with(|free| {
            let free = &mut free.borrow_mut().bytes;
            if free.len() < KEPT {
                free.push(bytes);
            }
        });
    }
}

/// The lines of a head; recycled like [`Buffer`].
#[derive(Debug, Default)]
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    pub(crate) fn new() -> Self {
        Self(
            FREE.try_with(|free| free.borrow_mut().lines.pop())
                .ok()
                .flatten()
                .unwrap_or_default(),
        )
    }
}

impl Deref for Lines {
    type Target = Vec<Line>;

    fn deref(&self) -> &Vec<Line> {
        &self.0
    }
}

impl DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut Vec<Line> {
        &mut self.0
    }
}

impl Clone for Lines {
    fn clone(&self) -> Self {
        let mut lines = Self::new();
        lines.extend_from_slice(&self.0);
        lines
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let capacity = self.0.capacity();
        if capacity == 0 || capacity > MAX_LINES {
            return;
        }
        let mut lines = std::mem::take(&mut self.0);
        lines.clear();
        let _ = FREE.try_with(|free| {
            let free = &mut free.borrow_mut().lines;
            if free.len() < KEPT {
                free.push(lines);
            }
        });
    }
}
