//! The head of a request: what is accepted, what is refused, and how the body is framed.
//!
//! Hot path. Budget: one pass over the bytes, no allocation (the list of lines is recycled). The parser keeps what it
//! found in complete lines, so a head that arrives byte by byte costs no more than rescans of its last line.
//!
//! Message framing is a security boundary. Whatever could be read in two ways is refused here, and what is accepted is
//! framed anew towards the upstream.

use super::head_line::{HeadLine, head_line};
use super::host::is_acceptable_host;
use super::path::is_acceptable_path;
use kong_message::{HeaderBlock, Method, Target, Version};

/// Limits on the head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_line: usize,
    pub(crate) max_head: usize,
}

/// How the body of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Empty,
    Length(u64),
    Chunked,
}

/// What [`RequestParser::parse`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// More bytes are needed.
    Partial,
    /// The head ends at this offset.
    Complete(usize),
    /// The request is refused with this status (494: head too large).
    Refused(u16),
}

/// Parses one request head.
#[derive(Debug)]
pub(crate) struct RequestParser {
    /// Where the next line begins.
    at: usize,
    line: Option<RequestLine>,
    pub(crate) headers: HeaderBlock,
    /// Headers that may come once only, by bit.
    seen: u16,
    connection: Option<ConnectionToken>,
    length: Option<u64>,
    length_is_broken: bool,
    coding: Option<Coding>,
    pub(crate) expects_continue: bool,
}

#[derive(Debug)]
pub(crate) struct RequestLine {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionToken {
    Close,
    KeepAlive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    Other,
}

const HOST: u16 = 1;
const CONTENT_LENGTH: u16 = 2;
const TRANSFER_ENCODING: u16 = 4;

impl RequestParser {
    pub(crate) fn new() -> Self {
        Self {
            at: 0,
            line: None,
            headers: HeaderBlock::new(),
            seen: 0,
            connection: None,
            length: None,
            length_is_broken: false,
            coding: None,
            expects_continue: false,
        }
    }

    /// Reads on in `bytes`, which begin with the request and have only grown since the last call.
    pub(crate) fn parse(&mut self, bytes: &[u8], limits: Limits) -> Parsed {
        if self.line.is_none() {
            match self.parse_line(bytes, limits) {
                Parsed::Complete(end) => self.at = end,
                other => return other,
            }
        }
        loop {
            let begin = self.at;
            let (line, is_odd_name, end) = match head_line(bytes, begin) {
                HeadLine::Header { line, is_odd_name, end } => (line, is_odd_name, end),
                HeadLine::Empty { end } if end > limits.max_head => return Parsed::Refused(494),
                HeadLine::Empty { end } => return self.check(end),
                HeadLine::Partial => {
                    let too_large = bytes.len() - begin > limits.max_line || bytes.len() > limits.max_head;
                    return if too_large {
                        Parsed::Refused(494)
                    } else {
                        Parsed::Partial
                    };
                }
                // As if the bytes had come one by one: a line that was too long before its flaw is too long.
                HeadLine::Invalid { at } if at - begin > limits.max_line || at > limits.max_head => {
                    return Parsed::Refused(494);
                }
                HeadLine::Invalid { .. } => return Parsed::Refused(400),
            };
            if end - begin > limits.max_line || end > limits.max_head {
                return Parsed::Refused(494);
            }
            self.at = end;
            if is_odd_name {
                continue; // dropped without a word
            }
            let name = bytes.get(begin..begin + line.name_len).unwrap_or_default();
            let value = bytes
                .get(line.value_at..line.value_at + line.value_len)
                .unwrap_or_default();
            self.headers.push_received(bytes, line);
            if !self.note(name, value) {
                return Parsed::Refused(400);
            }
        }
    }

    /// What the request line said, if it was read; for error pages and for the request itself.
    pub(crate) fn take_line(&mut self) -> Option<RequestLine> {
        self.line.take()
    }

    /// How the body is framed, once the head is complete.
    pub(crate) fn framing(&self) -> Framing {
        match (self.coding, self.length) {
            (Some(Coding::Chunked), _) => Framing::Chunked,
            (_, None | Some(0)) => Framing::Empty,
            (_, Some(length)) => Framing::Length(length),
        }
    }

    /// Whether the client wants the connection kept.
    pub(crate) fn keep_alive(&self, version: Version) -> bool {
        match self.connection {
            Some(token) => token == ConnectionToken::KeepAlive,
            None => version.is_persistent_by_default(),
        }
    }

    fn parse_line(&mut self, bytes: &[u8], limits: Limits) -> Parsed {
        // Empty lines before a request are skipped.
        while let Some(b'\r' | b'\n') = bytes.get(self.at) {
            self.at += 1;
        }
        let begin = self.at;
        let rest = bytes.get(begin..).unwrap_or_default();
        let line_feed = memchr::memchr(b'\n', rest);
        let end = begin + line_feed.map_or(rest.len(), |len| len + 1);
        let is_too_long = end - begin > limits.max_line || end > limits.max_head;
        let Some(len) = line_feed.filter(|_| !is_too_long) else {
            // What can never become a method (a TLS hello, another protocol) is refused without waiting for more.
            let start = rest.get(..rest.len().min(limits.max_line)).unwrap_or_default();
            let method = start.split(|byte| *byte == b' ').next().unwrap_or_default();
            return match (method.iter().all(is_method_byte), is_too_long) {
                (false, _) => Parsed::Refused(400),
                (true, true) => Parsed::Refused(414),
                (true, false) => Parsed::Partial,
            };
        };
        let line = rest.get(..len).unwrap_or_default();
        match request_line(line.strip_suffix(b"\r").unwrap_or(line)) {
            Ok(line) => {
                self.line = Some(line);
                Parsed::Complete(end)
            }
            Err(status) => Parsed::Refused(status),
        }
    }

    /// Takes note of a header that concerns the codec; `false` if the request must be refused.
    #[inline]
    fn note(&mut self, name: &[u8], value: &[u8]) -> bool {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.once(HOST) && is_acceptable_host(value),
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
                self.once(8)
            }
            8 if name.eq_ignore_ascii_case(b"if-match") => self.once(16),
            8 if name.eq_ignore_ascii_case(b"if-range") => self.once(32),
            10 if name.eq_ignore_ascii_case(b"connection") => {
                // Found anywhere in the value, as the original does; of several lines the last that says either counts.
                if contains(value, b"close") {
                    self.connection = Some(ConnectionToken::Close);
                } else if contains(value, b"keep-alive") {
                    self.connection = Some(ConnectionToken::KeepAlive);
                }
                true
            }
            13 if name.eq_ignore_ascii_case(b"if-none-match") => self.once(64),
            13 if name.eq_ignore_ascii_case(b"content-range") => self.once(128),
            13 if name.eq_ignore_ascii_case(b"authorization") => self.once(256),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                self.length = parse_length(value);
                self.length_is_broken = self.length.is_none();
                self.once(CONTENT_LENGTH)
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let chunked = value.eq_ignore_ascii_case(b"chunked");
                self.coding = Some(if chunked { Coding::Chunked } else { Coding::Other });
                self.once(TRANSFER_ENCODING)
            }
            17 if name.eq_ignore_ascii_case(b"if-modified-since") => self.once(512),
            19 if name.eq_ignore_ascii_case(b"if-unmodified-since") => self.once(1024),
            _ => true,
        }
    }

    /// Notes that a header was seen; `false` the second time.
    fn once(&mut self, bit: u16) -> bool {
        let is_first = self.seen & bit == 0;
        self.seen |= bit;
        is_first
    }

    /// The checks of the whole head, in the order in which the original makes them.
    fn check(&self, end: usize) -> Parsed {
        let Some(line) = &self.line else {
            return Parsed::Refused(400);
        };
        if self.seen & HOST == 0 && line.version > Version::Http10 {
            return Parsed::Refused(400);
        }
        if self.length_is_broken {
            return Parsed::Refused(400);
        }
        match self.coding {
            None => {}
            Some(_) if line.version == Version::Http10 => return Parsed::Refused(400),
            Some(Coding::Other) => return Parsed::Refused(501),
            Some(Coding::Chunked) if self.seen & CONTENT_LENGTH != 0 => return Parsed::Refused(400),
            Some(Coding::Chunked) => {}
        }
        if line.method == Method::TRACE || line.method == Method::CONNECT {
            return Parsed::Refused(405);
        }
        Parsed::Complete(end)
    }
}

fn is_method_byte(byte: &u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')
}

/// Reads `METHOD target HTTP/1.x`, with any number of spaces between and after the parts.
fn request_line(line: &[u8]) -> Result<RequestLine, u16> {
    let method_len = line.iter().position(|byte| !is_method_byte(byte)).ok_or(400u16)?;
    let (method, rest) = line.split_at(method_len);
    if method.is_empty() || rest.first() != Some(&b' ') {
        return Err(400);
    }
    let rest = skip_spaces(rest);
    let target_len = rest
        .iter()
        .position(|byte| matches!(byte, 0..=b' ' | 0x7f))
        .ok_or(400u16)?;
    let (target, rest) = rest.split_at(target_len);
    if rest.first() != Some(&b' ') {
        return Err(400);
    }
    let target_is_known = Target::parse(target);
    // CONNECT has a target of its own kind, which a gateway never serves; `CONNECT /` is refused later, as a method.
    let target = target_is_known.ok_or(400u16)?;
    let version = version(skip_spaces(rest))?;
    if target.as_bytes().first() != Some(&b'/') && !target.authority().is_some_and(is_acceptable_host) {
        return Err(400);
    }
    if !is_acceptable_path(target.path()) {
        return Err(400);
    }
    let method = Method::from_bytes(method).ok_or(400u16)?;
    Ok(RequestLine {
        method,
        target,
        version,
    })
}

fn skip_spaces(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().position(|byte| *byte != b' ').unwrap_or(bytes.len());
    bytes.get(spaces..).unwrap_or_default()
}

/// Reads `HTTP/1.0`, `HTTP/1.1` and the like to the end of the line. 505 for a major version above 1.
fn version(text: &[u8]) -> Result<Version, u16> {
    match text {
        b"HTTP/1.1" => return Ok(Version::Http11),
        b"HTTP/1.0" => return Ok(Version::Http10),
        _ => {}
    }
    let digits = text.strip_prefix(b"HTTP/").ok_or(400u16)?;
    match digits {
        [b'1', b'.', minor @ ..] => {
            let len = minor
                .iter()
                .position(|byte| !byte.is_ascii_digit())
                .unwrap_or(minor.len());
            let (minor, rest) = minor.split_at(len);
            if minor.is_empty() || minor.len() > 3 || rest.iter().any(|byte| *byte != b' ') {
                return Err(400);
            }
            Ok(
                match minor
                    .iter()
                    .fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'))
                {
                    0 => Version::Http10,
                    1 => Version::Http11,
                    _ => Version::Http1x,
                },
            )
        }
        [b'2'..=b'9', ..] | [b'1', b'0'..=b'9', ..] => Err(505),
        _ => Err(400),
    }
}

/// Decimal digits only, and not more than fit a file size.
pub(super) fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value
        .iter()
        .try_fold(0u64, |length, digit| {
            length.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
        .filter(|length| *length <= i64::MAX as u64)
}

/// Whether `word` (lower case) occurs in `value`, in any letter case.
pub(super) fn contains(value: &[u8], word: &[u8]) -> bool {
    value
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}
