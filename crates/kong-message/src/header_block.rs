//! The header lines of a message.
//!
//! Hot path. Budget: no allocation per line; a lookup compares one `u32` a line; writing copies whole runs.

use crate::header_line::{Line, name_hash};
use crate::recycle::{Buffer, Lines};
use std::fmt;

/// A block may not grow past this by edits: offsets are `u32`, and no peer accepts such a head anyway.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Where a parser found a line in the bytes it hands to [`HeaderBlock::from_received`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedLine {
    /// Offset of the name.
    pub name_at: usize,
    /// Length of the name.
    pub name_len: usize,
    /// Offset of the value (white space around it left out).
    pub value_at: usize,
    /// Length of the value.
    pub value_len: usize,
}

/// Header lines in their received order and letter case, with edits laid over them.
///
/// Lookups ignore case. Values are bytes; names are ASCII tokens. Whatever is set or appended cannot break the
/// framing of the message: CR, LF and NUL in a value become spaces, and so does anything in a name that is not
/// allowed there become `_`.
#[derive(Clone, Default)]
pub struct HeaderBlock {
    bytes: Buffer,
    lines: Lines,
}

impl HeaderBlock {
    /// A block without lines.
    pub fn new() -> Self {
        Self {
            bytes: Buffer::unallocated(),
            lines: Lines::new(),
        }
    }

    /// Adds a line that a parser found in `bytes`, which it will hand over with [`set_received`](Self::set_received)
    /// when it is done.
    #[inline]
    pub fn push_received(&mut self, bytes: &[u8], line: ReceivedLine) {
        let ReceivedLine { name_at, name_len, value_at, value_len } = line;
        let name_end = name_at + name_len;
        let canonical = value_at == name_end + 2
            && bytes.get(name_end..value_at) == Some(b": ")
            && bytes.get(value_at + value_len..value_at + value_len + 2) == Some(b"\r\n");
        let hash = name_hash(bytes.get(name_at..name_end).unwrap_or_default());
        self.lines.push(Line {
            hash,
            name_at: name_at as u32,
            name_len: name_len as u32,
            value_at: value_at as u32,
            value_len: value_len as u32,
            canonical,
        });
    }

    /// Hands over the bytes that the lines given to [`push_received`](Self::push_received) lie in. Nothing may have
    /// been set or appended before.
    pub fn set_received(&mut self, bytes: Buffer) {
        self.bytes = bytes;
    }

    /// Value of the first line of this name.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let hash = name_hash(name.as_bytes());
        let line = self
            .lines
            .iter()
            .find(|line| line.is_named(&self.bytes, hash, name.as_bytes()))?;
        Some(line.value(&self.bytes))
    }

    /// Value of the first line of this name, if it is UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// Values of all lines of this name, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        let hash = name_hash(name.as_bytes());
        self.lines
            .iter()
            .filter(move |line| line.is_named(&self.bytes, hash, name.as_bytes()))
            .map(|line| line.value(&self.bytes))
    }

    /// Whether there is a line of this name.
    #[inline]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Makes `value` the only value of this name. It takes the place (and the name the letter case given here) of the
    /// first line, or comes last.
    pub fn set(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = name.as_ref();
        let hash = name_hash(name);
        let Some(first) = self.position(hash, name, 0) else {
            self.append(name, value);
            return;
        };
        let Some(line) = self.write_line(name, value.as_ref()) else {
            return;
        };
        if let Some(slot) = self.lines.get_mut(first) {
            *slot = line;
        }
        self.remove_from(hash, name, first + 1);
    }

    /// Adds a line after the others.
    pub fn append(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        if let Some(line) = self.write_line(name.as_ref(), value.as_ref()) {
            self.lines.push(line);
        }
    }

    /// Removes all lines of this name; says whether there were any.
    pub fn remove(&mut self, name: &str) -> bool {
        self.remove_from(name_hash(name.as_bytes()), name.as_bytes(), 0)
    }

    /// Keeps the lines for which `keep(name, value)` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) {
        let bytes = &self.bytes;
        self.lines.retain(|line| keep(line.name(bytes), line.value(bytes)));
    }

    /// Removes all lines.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.bytes.clear();
    }

    /// Name and value of every line, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines
            .iter()
            .map(|line| (line.name(&self.bytes), line.value(&self.bytes)))
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Writes every line as `Name: value\r\n`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        self.write_except(out, &[]);
    }

    /// Writes every line but those of the names given (lower case or not).
    pub fn write_except(&self, out: &mut Vec<u8>, names: &[HeaderKey]) {
        let bytes = self.bytes.as_slice();
        out.reserve(bytes.len());
        // An untouched run of lines lies in one piece and is copied as one.
        let (mut from, mut to) = (0u32, 0u32);
        for line in self.lines.iter() {
            if names
                .iter()
                .any(|key| line.is_named(bytes, key.hash, key.name.as_bytes()))
            {
                continue;
            }
            if line.canonical && line.name_at == to {
                to = line.end();
                continue;
            }
            copy(out, bytes, from, to);
            (from, to) = (0, 0);
            if line.canonical {
                (from, to) = (line.name_at, line.end());
            } else {
                out.extend_from_slice(line.name(bytes));
                out.extend_from_slice(b": ");
                out.extend_from_slice(line.value(bytes));
                out.extend_from_slice(b"\r\n");
            }
        }
        copy(out, bytes, from, to);
    }

    fn position(&self, hash: u32, name: &[u8], from: usize) -> Option<usize> {
        let rest = self.lines.get(from..)?;
        rest.iter()
            .position(|line| line.is_named(&self.bytes, hash, name))
            .map(|at| at + from)
    }

    fn remove_from(&mut self, hash: u32, name: &[u8], from: usize) -> bool {
        let Some(mut at) = self.position(hash, name, from) else {
            return false;
        };
        loop {
            self.lines.remove(at);
            match self.position(hash, name, at) {
                Some(next) => at = next,
                None => return true,
            }
        }
    }

    /// Appends `Name: value\r\n` to the buffer. `None` (and no change) for an empty name or a block grown too large.
    fn write_line(&mut self, name: &[u8], value: &[u8]) -> Option<Line> {
        let at = self.bytes.len();
        if name.is_empty() || at + name.len() + value.len() + 4 > MAX_BYTES {
            return None;
        }
        if self.bytes.capacity() == 0 {
            self.bytes = Buffer::with_room(512);
        }
        self.bytes.reserve(name.len() + value.len() + 4);
        self.bytes
            .extend(name.iter().map(|b| if is_name_byte(*b) { *b } else { b'_' }));
        self.bytes.extend_from_slice(b": ");
        let value_at = self.bytes.len();
        self.bytes.extend_from_slice(value);
        for byte in self.bytes.get_mut(value_at..).unwrap_or_default() {
            if matches!(*byte, b'\r' | b'\n' | 0) {
                *byte = b' ';
            }
        }
        let hash = name_hash(self.bytes.get(at..value_at - 2).unwrap_or_default());
        self.bytes.extend_from_slice(b"\r\n");
        Some(Line {
            hash,
            name_at: at as u32,
            name_len: name.len() as u32,
            value_at: value_at as u32,
            value_len: value.len() as u32,
            canonical: true,
        })
    }
}

fn copy(out: &mut Vec<u8>, bytes: &[u8], from: u32, to: u32) {
    if let Some(run) = bytes.get(from as usize..to as usize) {
        out.extend_from_slice(run);
    }
}

/// Token characters of RFC 9110 §5.6.2 (bytes above 127 are not among them).
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A header name with its hash computed once, for [`HeaderBlock::write_except`].
#[derive(Clone, Copy, Debug)]
pub struct HeaderKey {
    hash: u32,
    name: &'static str,
}

impl HeaderKey {
    /// The key of this name.
    #[inline]
    pub const fn new(name: &'static str) -> Self {
        Self {
            hash: name_hash(name.as_bytes()),
            name,
        }
    }
}

impl fmt::Debug for HeaderBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self
            .iter()
            .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        f.debug_list().entries(lines).finish()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderBlock {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(lines: I) -> Self {
        let mut block = Self::new();
        for (name, value) in lines {
            block.append(name, value);
        }
        block
    }
}
