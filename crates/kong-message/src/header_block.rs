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
        let ReceivedLine {
            name_at,
            name_len,
            value_at,
            value_len,
        } = line;
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
        // One bit per name keeps most lines from being compared with any.
        let mask = names.iter().fold(0u64, |mask, key| mask | key.bit());
        // An untouched run of lines lies in one piece and is copied as one.
        let (mut from, mut to) = (0u32, 0u32);
        for line in self.lines.iter() {
            let may_match = mask & 1 << (line.hash & 63) != 0;
            if may_match
                && names
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

    /// Whether there is a line of any of these names; one pass.
    pub fn contains_any(&self, names: &[HeaderKey]) -> bool {
        let is_named = any_of(names, &self.bytes);
        self.lines.iter().any(is_named)
    }

    /// Removes all lines of these names, in one pass.
    pub fn remove_all(&mut self, names: &[HeaderKey]) {
        let is_named = any_of(names, &self.bytes);
        if self.lines.iter().any(&is_named) {
            self.lines.retain(|line| !is_named(line));
        }
    }

    /// A copy without the lines of the names given.
    pub fn clone_except(&self, names: &[HeaderKey]) -> Self {
        let bytes = self.bytes.as_slice();
        let is_named = any_of(names, bytes);
        let mut lines = Lines::new();
        for line in self.lines.iter() {
            if !is_named(line) {
                lines.push(*line);
            }
        }
        // Room for the lines that will follow.
        let mut copy = Buffer::with_room(bytes.len() + 512);
        copy.extend_from_slice(bytes);
        Self { bytes: copy, lines }
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
        let bytes: &mut Vec<u8> = &mut self.bytes;
        bytes.reserve(name.len() + value.len() + 4);
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(b": ");
        let value_at = bytes.len();
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
        // Without early exit, so that it compiles to vector instructions; repairing is the exception.
        let is_clean = name
            .iter()
            .fold(true, |clean, byte| clean & NAME_BYTE[usize::from(*byte)])
            & value.iter().fold(true, |clean, byte| clean & !breaks_value(*byte));
        if !is_clean {
            self.repair(at, name.len(), value.len());
        }
        let hash = name_hash(self.bytes.get(at..value_at - 2).unwrap_or_default());
        Some(Line {
            hash,
            name_at: at as u32,
            name_len: name.len() as u32,
            value_at: value_at as u32,
            value_len: value.len() as u32,
            canonical: true,
        })
    }

    #[cold]
    fn repair(&mut self, at: usize, name_len: usize, value_len: usize) {
        let Some(line) = self.bytes.get_mut(at..at + name_len + 2 + value_len) else {
            return;
        };
        let (name, rest) = line.split_at_mut(name_len);
        for byte in name {
            if !NAME_BYTE[usize::from(*byte)] {
                *byte = b'_';
            }
        }
        for byte in rest {
            if breaks_value(*byte) {
                *byte = b' ';
            }
        }
    }
}

/// Whether a line has one of the names. One bit per name keeps most lines from being compared with any.
fn any_of<'a>(names: &'a [HeaderKey], bytes: &'a [u8]) -> impl Fn(&Line) -> bool + 'a {
    let mask = names.iter().fold(0u64, |mask, key| mask | key.bit());
    move |line| {
        mask & 1 << (line.hash & 63) != 0
            && names
                .iter()
                .any(|key| line.is_named(bytes, key.hash, key.name.as_bytes()))
    }
}

fn copy(out: &mut Vec<u8>, bytes: &[u8], from: u32, to: u32) {
    if let Some(run) = bytes.get(from as usize..to as usize) {
        out.extend_from_slice(run);
    }
}

#[inline]
const fn breaks_value(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

/// Token characters of RFC 9110 §5.6.2 (bytes above 127 are not among them).
static NAME_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = matches!(
            byte as u8,
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~'
        );
        byte += 1;
    }
    table
};

/// A header name with its hash computed once, for [`HeaderBlock::write_except`].
#[derive(Clone, Copy, Debug)]
pub struct HeaderKey {
    hash: u32,
    name: &'static str,
}

impl HeaderKey {
    const fn bit(&self) -> u64 {
        1 << (self.hash & 63)
    }

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn received(lines: &str) -> HeaderBlock {
        let mut block = HeaderBlock::new();
        let mut at = 0;
        for line in lines.split_inclusive('\n') {
            let text = line.trim_end_matches(['\r', '\n']);
            let (name, value) = text.split_once(':').unwrap();
            let value_at = at + name.len() + 1 + (value.len() - value.trim_start().len());
            let line_at = ReceivedLine {
                name_at: at,
                name_len: name.len(),
                value_at,
                value_len: value.trim().len(),
            };
            block.push_received(lines.as_bytes(), line_at);
            at += line.len();
        }
        block.set_received(Buffer::copy_of(lines.as_bytes()));
        block
    }

    fn written(block: &HeaderBlock, without: &[HeaderKey]) -> String {
        let mut out = Vec::new();
        block.write_except(&mut out, without);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_written_canonically_in_their_order_and_case() {
        let block = received("HOST: a\r\nx-a:1\r\nX-B:  2 \nX-C: 3\r\nX-D: \r\n");
        assert_eq!(
            written(&block, &[]),
            "HOST: a\r\nx-a: 1\r\nX-B: 2\r\nX-C: 3\r\nX-D: \r\n"
        );
        let without = [HeaderKey::new("x-c"), HeaderKey::new("host")];
        assert_eq!(written(&block, &without), "x-a: 1\r\nX-B: 2\r\nX-D: \r\n");
    }

    #[test]
    fn edits_lie_over_what_was_received() {
        let mut block = received("A: 1\r\nB: 2\r\na: 3\r\nC: 4\r\nA: 5\r\n");
        assert_eq!(block.get_all("A").collect::<Vec<_>>(), [b"1", b"3", b"5"]);
        block.set("a", "x");
        assert_eq!(written(&block, &[]), "a: x\r\nB: 2\r\nC: 4\r\n");
        block.append("B", "y");
        assert!(block.remove("c"));
        assert!(!block.remove("c"));
        assert_eq!(written(&block, &[]), "a: x\r\nB: 2\r\nB: y\r\n");
        block.set("New", String::from("z"));
        block.retain(|name, _| name != b"a");
        assert_eq!(written(&block, &[]), "B: 2\r\nB: y\r\nNew: z\r\n");
        assert_eq!(
            (block.len(), block.get_str("new"), block.get("a")),
            (3, Some("z"), None)
        );
    }

    #[test]
    fn nothing_that_is_set_can_break_the_framing() {
        let mut block = HeaderBlock::new();
        block.append("X", "a\r\nInjected: 1\0");
        block.append("Y\r\n: b", "\n");
        block.append("", "no name");
        block.set("é", "\u{e9}");
        assert_eq!(
            written(&block, &[]),
            "X: a  Injected: 1 \r\nY____b:  \r\n__: \u{e9}\r\n"
        );
        assert!(block.contains("y____b"));
    }

    #[test]
    fn names_of_any_length_are_found() {
        for len in 1..70 {
            let name: String = (0..len).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
            let mut block = HeaderBlock::new();
            block.append(&name, "1");
            assert!(block.contains(&name.to_ascii_uppercase()));
            assert!(!block.contains(&format!("{name}x")));
        }
    }
}
