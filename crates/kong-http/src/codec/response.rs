//! The head of an upstream's response. Lenient like nginx: what can be understood in one way only is passed on.

use super::head_line::{HeadLine, head_line};
use super::request::{contains, parse_length};
use bytes::Bytes;
use kong_message::{HeaderBlock, Version, reason_phrase};

/// How the body of a response is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseFraming {
    Empty,
    Length(u64),
    Chunked,
    /// By the end of the connection.
    Close,
}

/// Parses one response head; reused for the final response after a 1xx.
#[derive(Debug)]
pub(crate) struct ResponseParser {
    at: usize,
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) reason: Option<Bytes>,
    pub(crate) headers: HeaderBlock,
    length: Option<u64>,
    chunked: bool,
    closes: bool,
}

impl ResponseParser {
    pub(crate) fn new() -> Self {
        Self {
            at: 0,
            status: 0,
            version: Version::Http11,
            reason: None,
            headers: HeaderBlock::new(),
            length: None,
            chunked: false,
            closes: false,
        }
    }

    /// Reads on in `bytes`, which begin with the response and have only grown since the last call. The offset of the
    /// end of the head, once it is there.
    pub(crate) fn parse(&mut self, bytes: &[u8]) -> Result<Option<usize>, &'static str> {
        if self.status == 0 {
            match memchr::memchr(b'\n', bytes) {
                Some(len) => {
                    let line = bytes.get(..len).unwrap_or_default();
                    self.status_line(line.strip_suffix(b"\r").unwrap_or(line))
                        .ok_or("malformed status line")?;
                    self.at = len + 1;
                }
                // Another protocol is recognised by its first bytes.
                None if bytes.iter().zip(b"HTTP/").all(|(byte, expected)| byte == expected) => return Ok(None),
                None => return Err("not an HTTP/1 response"),
            }
        }
        loop {
            let begin = self.at;
            let (line, end) = match head_line(bytes, begin) {
                HeadLine::Header { line, end, .. } => (line, end),
                HeadLine::Empty { end } => return Ok(Some(end)),
                HeadLine::Partial => return Ok(None),
                HeadLine::Invalid { .. } => return Err("malformed header line"),
            };
            self.at = end;
            let name = bytes.get(begin..begin + line.name_len).unwrap_or_default();
            let value = bytes
                .get(line.value_at..line.value_at + line.value_len)
                .unwrap_or_default();
            self.headers.push_received(bytes, line);
            self.note(name, value)?;
        }
    }

    /// How the body is framed, once the head is complete.
    pub(crate) fn framing(&self, answers_head: bool) -> ResponseFraming {
        if answers_head || matches!(self.status, 100..=199 | 204 | 304) {
            ResponseFraming::Empty
        } else if self.chunked {
            ResponseFraming::Chunked
        } else {
            match self.length {
                Some(0) => ResponseFraming::Empty,
                Some(length) => ResponseFraming::Length(length),
                None => ResponseFraming::Close,
            }
        }
    }

    /// Whether the upstream lets the connection be used again.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.version >= Version::Http11 && !self.closes
    }

    fn status_line(&mut self, line: &[u8]) -> Option<()> {
        let rest = line.strip_prefix(b"HTTP/")?;
        let dot = rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .filter(|len| (1..=3).contains(len))?;
        let (major, rest) = rest.split_at(dot);
        let rest = rest.strip_prefix(b".")?;
        let space = rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .filter(|len| (1..=3).contains(len))?;
        let (minor, rest) = rest.split_at(space);
        self.version = if major == b"1" && minor == b"0" {
            Version::Http10
        } else {
            Version::Http11
        };
        let code = rest.strip_prefix(b" ")?;
        let code = code.get(code.iter().position(|byte| *byte != b' ')?..)?;
        let (code, rest) = code.split_at_checked(3)?;
        if !code.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let reason = match rest.first() {
            None => rest,
            Some(b' ') => rest.get(1..)?,
            // Such as `403.1`.
            Some(b'.') => rest,
            Some(_) => return None,
        };
        self.status = code.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        if self.status < 100 {
            return None;
        }
        if reason != reason_phrase(self.status).as_bytes() {
            self.reason = Some(Bytes::copy_from_slice(reason));
        }
        Some(())
    }

    #[inline]
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.closes |= contains(value, b"close");
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                if self.length.is_some() || self.chunked {
                    return Err("ambiguous length");
                }
                self.length = Some(parse_length(value).ok_or("invalid Content-Length")?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.length.is_some() || self.chunked {
                    return Err("ambiguous length");
                }
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err("unknown transfer coding");
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn status_lines_are_read_leniently() {
        let rows = [
            ("HTTP/1.1 200 OK", Some((200, None))),
            ("HTTP/1.0 200", Some((200, Some("")))),
            ("HTTP/1.1 200 ", Some((200, Some("")))),
            ("HTTP/1.1  404 Gone Fishing", Some((404, Some("Gone Fishing")))),
            ("HTTP/1.1 403.1 Forbidden", Some((403, Some(".1 Forbidden")))),
            ("HTTP/1.1 999 x", Some((999, Some("x")))),
            ("HTTP/1.1 099 x", None),
            ("HTTP/1.1 20 x", None),
            ("HTTP/1.1 2000 x", None),
            ("HTTP/1.1 abc", None),
            ("HTTP/1 200 OK", None),
            ("HTTP/.1 200 OK", None),
            ("ICY 200 OK", None),
            ("", None),
        ];
        for (line, expected) in rows {
            let mut parser = ResponseParser::new();
            let read = parser
                .status_line(line.as_bytes())
                .map(|()| (parser.status, parser.reason.clone()));
            let expected = expected.map(|(status, reason): (u16, Option<&str>)| {
                (status, reason.map(|reason| Bytes::copy_from_slice(reason.as_bytes())))
            });
            assert_eq!(read, expected, "{line:?}");
        }
    }

    #[test]
    fn bodies_are_framed_in_one_way_or_the_response_is_invalid() {
        let rows: &[(&str, Option<ResponseFraming>)] = &[
            ("", Some(ResponseFraming::Close)),
            ("Content-Length: 5\r\n", Some(ResponseFraming::Length(5))),
            ("Content-Length: 0\r\n", Some(ResponseFraming::Empty)),
            ("Transfer-Encoding: chunked\r\n", Some(ResponseFraming::Chunked)),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", None),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", None),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", None),
            ("Transfer-Encoding: gzip, chunked\r\n", None),
            ("Content-Length: x\r\n", None),
            ("Content-Length: 99999999999999999999\r\n", None),
            (" folded\r\n", None),
        ];
        for (headers, expected) in rows {
            let text = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
            for cut in 0..text.len() {
                let mut parser = ResponseParser::new();
                let end = parser
                    .parse(&text.as_bytes()[..cut])
                    .and_then(|_| parser.parse(text.as_bytes()));
                assert_eq!(
                    end.ok().flatten().map(|_| parser.framing(false)),
                    *expected,
                    "{headers:?} cut at {cut}"
                );
            }
        }
    }
}
