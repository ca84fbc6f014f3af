//! One header line of a request or a response.
//!
//! Hot path. Budget: one pass over the name, one vectorised search over the value, no copy.

use kong_message::ReceivedLine;

/// What stands at the beginning of the bytes given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeadLine {
    /// The end of the line has not arrived yet.
    Partial,
    /// The empty line that ends the head; `end` is the offset after it.
    Empty { end: usize },
    /// A header line. `is_odd_name`: the name has characters outside letters, digits, `-` and `_`.
    Header {
        line: ReceivedLine,
        is_odd_name: bool,
        end: usize,
    },
    /// No header line; the byte at `at` cannot stand there.
    Invalid { at: usize },
}

/// Classes of bytes in a header name.
const PLAIN: u8 = 0;
const COLON: u8 = 1;
const LINE_END: u8 = 2;
const ODD: u8 = 3;
const BAD: u8 = 4;

static NAME: [u8; 256] = {
    let mut table = [ODD; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => PLAIN,
            b':' => COLON,
            b'\r' | b'\n' => LINE_END,
            0..=b' ' | 0x7f => BAD,
            _ => ODD,
        };
        byte += 1;
    }
    table
};

/// Reads the line that begins at `at`. Lines end in LF, with any number of CR before it. A line without a colon is a
/// name with an empty value.
#[inline]
pub(crate) fn head_line(bytes: &[u8], at: usize) -> HeadLine {
    let mut is_odd_name = false;
    let mut pos = at;
    loop {
        let rest = bytes.get(pos..).unwrap_or_default();
        let Some(plain) = rest.iter().position(|byte| NAME[usize::from(*byte)] != PLAIN) else {
            return HeadLine::Partial;
        };
        pos += plain;
        match rest.get(plain).map_or(BAD, |byte| NAME[usize::from(*byte)]) {
            COLON => break,
            LINE_END => return without_colon(bytes, at, pos, is_odd_name),
            ODD => {
                is_odd_name = true;
                pos += 1;
            }
            _ => return HeadLine::Invalid { at: pos },
        }
    }
    let name_end = pos;
    if name_end == at {
        return HeadLine::Invalid { at };
    }
    let mut value_at = name_end + 1;
    while let Some(b' ' | b'\t') = bytes.get(value_at) {
        value_at += 1;
    }
    let rest = bytes.get(value_at..).unwrap_or_default();
    let Some(len) = memchr::memchr3(b'\n', b'\r', 0, rest) else {
        return HeadLine::Partial;
    };
    let end = match line_end(bytes, value_at + len) {
        LineEnd::At(end) => end,
        LineEnd::Partial => return HeadLine::Partial,
        LineEnd::Invalid { at } => return HeadLine::Invalid { at },
    };
    let mut value_end = value_at + len;
    while value_end > value_at && matches!(bytes.get(value_end - 1), Some(b' ' | b'\t')) {
        value_end -= 1;
    }
    let line = ReceivedLine {
        name_at: at,
        name_len: name_end - at,
        value_at,
        value_len: value_end - value_at,
    };
    HeadLine::Header { line, is_odd_name, end }
}

enum LineEnd {
    At(usize),
    Partial,
    Invalid { at: usize },
}

/// The line end that begins at `at`: CRs and one LF.
#[inline]
fn line_end(bytes: &[u8], mut at: usize) -> LineEnd {
    loop {
        match bytes.get(at) {
            Some(b'\n') => return LineEnd::At(at + 1),
            Some(b'\r') => at += 1,
            Some(_) => return LineEnd::Invalid { at },
            None => return LineEnd::Partial,
        }
    }
}

#[cold]
fn without_colon(bytes: &[u8], at: usize, name_end: usize, is_odd_name: bool) -> HeadLine {
    if name_end == at {
        // The empty line: LF, or exactly CR LF.
        return match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'\n'), _) => HeadLine::Empty { end: at + 1 },
            (_, Some(b'\n')) => HeadLine::Empty { end: at + 2 },
            (_, None) => HeadLine::Partial,
            _ => HeadLine::Invalid { at: at + 1 },
        };
    }
    match line_end(bytes, name_end) {
        LineEnd::At(end) => {
            let line = ReceivedLine {
                name_at: at,
                name_len: name_end - at,
                value_at: name_end,
                value_len: 0,
            };
            HeadLine::Header { line, is_odd_name, end }
        }
        LineEnd::Partial => HeadLine::Partial,
        LineEnd::Invalid { at } => HeadLine::Invalid { at },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn read(text: &str) -> String {
        let bytes = text.as_bytes();
        match head_line(bytes, 0) {
            HeadLine::Partial => "partial".into(),
            HeadLine::Invalid { .. } => "invalid".into(),
            HeadLine::Empty { end } => format!("empty {end}"),
            HeadLine::Header { line, is_odd_name, end } => {
                let name = &text[line.name_at..line.name_at + line.name_len];
                let value = &text[line.value_at..line.value_at + line.value_len];
                format!(
                    "{name}={value}{}{}",
                    if is_odd_name { "?" } else { "" },
                    if end == bytes.len() { "" } else { "+" }
                )
            }
        }
    }

    #[test]
    fn header_lines_are_read_as_the_reference_says() {
        let rows = [
            ("A: b\r\n", "A=b"),
            ("A: b\r\nX", "A=b+"),
            ("A:b\n", "A=b"),
            ("A: \t b \t\r\n", "A=b"),
            ("A:\r\n", "A="),
            ("A: \n", "A="),
            ("A\r\n", "A="),
            ("A\n", "A="),
            ("A_b-1: c:d\r\n", "A_b-1=c:d"),
            ("A: b\r\r\n", "A=b"),
            ("A$: b\r\n", "A$=b?"),
            ("\r\n", "empty 2"),
            ("\n", "empty 1"),
            ("\r", "partial"),
            ("", "partial"),
            ("A", "partial"),
            ("A:", "partial"),
            ("A: b", "partial"),
            ("A: b\r", "partial"),
            ("\rX", "invalid"),
            (": b\r\n", "invalid"),
            (" A: b\r\n", "invalid"),
            ("\tA: b\r\n", "invalid"),
            ("A : b\r\n", "invalid"),
            ("A b: c\r\n", "invalid"),
            ("A\0: b\r\n", "invalid"),
            ("A: b\0\r\n", "invalid"),
            ("A: b\rc\r\n", "invalid"),
            ("A: b\r \r\n", "invalid"),
            ("A\x7f: b\r\n", "invalid"),
            ("A: \x01\x7f\r\n", "A=\x01\x7f"),
        ];
        for (text, expected) in rows {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }
}
