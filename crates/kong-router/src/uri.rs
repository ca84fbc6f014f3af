//! Paths: the form in which they are matched, and the form in which they go upstream (routing.md §2, §6).
//!
//! Paths are bytes: once normalised they may hold anything from 0x80 up, UTF-8 or not. On the request path: nothing is
//! copied unless it changes.

use std::borrow::Cow;

/// Characters that stay percent-encoded when a path is normalised: decoded, they would mean something else.
const RESERVED: &[u8] = b"!*'();:@&=+$,/?%#[]";

/// Characters that go upstream as they are, besides letters and digits. `%` is among them: what is encoded stays so.
const UNESCAPED: &[u8] = b"!#$&'()*+,/:;=?@[]-_.~%";

const fn table(of: &[u8], alphanumeric: bool) -> [bool; 256] {
    let mut table = [false; 256];
    let mut index = 0;
    while index < of.len() {
        table[of[index] as usize] = true;
        index += 1;
    }
    let mut byte = 0;
    while alphanumeric && byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] = true;
        }
        byte += 1;
    }
    table
}

static IS_RESERVED: [bool; 256] = table(RESERVED, false);
static IS_UNESCAPED: [bool; 256] = table(UNESCAPED, true);
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The form in which a path (without query) is matched: needless percent-encoding decoded, dot segments removed, and
/// consecutive slashes merged.
///
/// `..` above the root is dropped; refusing it, and broken percent-encoding, is for whoever reads the request.
///
/// ```
/// assert_eq!(&*kong_router::uri::normalize(b"/anything/./a/../wor%6cd/a/../b"), b"/anything/world/b");
/// ```
pub fn normalize(path: &[u8]) -> Cow<'_, [u8]> {
    if path.len() < 2 {
        return Cow::Borrowed(path);
    }
    let path = match memchr::memchr(b'%', path) {
        None => Cow::Borrowed(path),
        Some(first) => Cow::Owned(decode(path, first)),
    };
    if path.first() == Some(&b'/') && has_foldable_segment(&path) {
        Cow::Owned(fold_segments(&path))
    } else {
        path
    }
}

/// Whether a segment is empty or begins with a dot.
fn has_foldable_segment(path: &[u8]) -> bool {
    // Without early exit, so that it compiles to vector instructions.
    path.iter().zip(path.iter().skip(1)).fold(false, |found, (byte, next)| {
        found | ((*byte == b'/') & ((*next == b'/') | (*next == b'.')))
    })
}

/// Decodes each triplet once, except those that stand for reserved characters, which get upper-case digits.
fn decode(path: &[u8], first: usize) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let (plain, mut rest) = path.split_at(first);
    decoded.extend_from_slice(plain);
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte == b'%'
            && let [high, low, tail @ ..] = rest
            && let (Some(upper), Some(lower)) = (hex_value(*high), hex_value(*low))
        {
            let value = upper << 4 | lower;
            if IS_RESERVED[usize::from(value)] {
                decoded.extend_from_slice(&escaped(value));
            } else {
                decoded.push(value);
            }
            rest = tail;
        } else {
            decoded.push(*byte);
        }
    }
    decoded
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn escaped(byte: u8) -> [u8; 3] {
    [b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
}

/// Removes empty segments, `.` and `..` (RFC 3986 §5.2.4).
fn fold_segments(path: &[u8]) -> Vec<u8> {
    let mut folded: Vec<u8> = Vec::with_capacity(path.len());
    let mut ends_open = false;
    for segment in path.split(|byte| *byte == b'/').skip(1) {
        ends_open = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => folded.truncate(memchr::memrchr(b'/', &folded).unwrap_or(0)),
            _ => {
                folded.push(b'/');
                folded.extend_from_slice(segment);
            }
        }
    }
    if ends_open || folded.is_empty() {
        folded.push(b'/');
    }
    folded
}

/// The path as it may stand in a request line: ASCII, with everything outside the set of URI characters encoded.
///
/// ```
/// assert_eq!(&*kong_router::uri::escape("/cat and dög".as_bytes()), b"/cat%20and%20d%C3%B6g");
/// ```
pub fn escape(path: &[u8]) -> Cow<'_, [u8]> {
    match path.iter().position(|byte| !IS_UNESCAPED[usize::from(*byte)]) {
        None => Cow::Borrowed(path),
        Some(first) => {
            let mut result = Vec::with_capacity(path.len() + 16);
            escape_into(path, first, &mut result);
            Cow::Owned(result)
        }
    }
}

fn escape_into(path: &[u8], first: usize, result: &mut Vec<u8>) {
    let (plain, rest) = path.split_at(first);
    result.extend_from_slice(plain);
    for byte in rest {
        if IS_UNESCAPED[usize::from(*byte)] {
            result.push(*byte);
        } else {
            result.extend_from_slice(&escaped(*byte));
        }
    }
}

/// How the service's path and the request's are joined: the route's `path_handling`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathHandling {
    /// With exactly one slash between them.
    #[default]
    V0,
    /// As they are; only the traditional flavor honours it.
    V1,
}

impl PathHandling {
    /// What `flavor` makes of a route's `path_handling`.
    pub fn of(route: &kong_model::Route, flavor: crate::Flavor) -> Self {
        match (flavor, route.path_handling.as_deref()) {
            (crate::Flavor::Traditional, Some("v1")) => PathHandling::V1,
            _ => PathHandling::V0,
        }
    }
}

/// The path for the upstream, escaped. `request_path` is normalised; `stripped` is what
/// [`Match::matched_path`](crate::Match::matched_path) gave if the route has `strip_path`.
///
/// ```
/// use kong_router::uri::{PathHandling, StrippedPath, upstream_path};
///
/// let stripped = StrippedPath::Matched(b"/route");
/// assert_eq!(&*upstream_path(PathHandling::V0, b"/service", b"/route/req", stripped), b"/service/req");
/// ```
pub fn upstream_path<'a>(
    handling: PathHandling,
    service_path: &'a [u8],
    request_path: &'a [u8],
    stripped: StrippedPath<'_>,
) -> Cow<'a, [u8]> {
    let base = if service_path.is_empty() { b"/" } else { service_path };
    let without_slash = request_path.strip_prefix(b"/").unwrap_or(request_path);
    let (head, separator, tail) = match (handling, stripped) {
        (PathHandling::V0, StrippedPath::Keep) => kept(base, request_path, without_slash),
        (PathHandling::V1, StrippedPath::Keep) => (base, "", without_slash),
        (_, StrippedPath::Unmatched | StrippedPath::Matched(_)) => {
            let postfix = match stripped {
                StrippedPath::Matched(matched) => request_path.get(matched.len()..).unwrap_or_default(),
                _ => without_slash,
            };
            let postfix = without_leading_dots(postfix);
            match handling {
                PathHandling::V0 => joined(base, request_path, postfix),
                PathHandling::V1 if base.ends_with(b"/") => (base, "", postfix.strip_prefix(b"/").unwrap_or(postfix)),
                PathHandling::V1 => (base, "", postfix),
            }
        }
    };
    // Where the service has no path of its own the result is often just the request's path.
    if head == b"/" && request_path.first() == Some(&b'/') && tail == without_slash {
        return escape(request_path);
    }
    if separator.is_empty() && tail.is_empty() {
        return escape(head);
    }
    let mut path = Vec::with_capacity(head.len() + tail.len() + 8);
    escape_into(head, 0, &mut path);
    path.extend_from_slice(separator.as_bytes());
    escape_into(tail, 0, &mut path);
    Cow::Owned(path)
}

/// A beginning, a slash if one is missing, and an end.
type Parts<'a> = (&'a [u8], &'static str, &'a [u8]);

/// v0 without `strip_path`.
fn kept<'a>(base: &'a [u8], path: &'a [u8], without_slash: &'a [u8]) -> Parts<'a> {
    if base.ends_with(b"/") {
        (base, "", without_slash)
    } else if path == b"/" {
        (base, "", b"")
    } else {
        (base, "", path)
    }
}

/// v0 with `strip_path`: `path` is the request's, `postfix` what is left of it.
fn joined<'a>(base: &'a [u8], path: &'a [u8], postfix: &'a [u8]) -> Parts<'a> {
    match (base.strip_suffix(b"/"), postfix) {
        (Some(b""), b"") => (base, "", b""),
        (Some(_), b"") if path.ends_with(b"/") => (base, "", b""),
        (Some(bare), b"") => (bare, "", b""),
        (Some(_), [b'/', rest @ ..]) => (base, "", rest),
        (Some(_), _) => (base, "", postfix),
        (None, b"") if path.len() > 1 && path.ends_with(b"/") => (base, "/", b""),
        (None, b"" | [b'/', ..]) => (base, "", postfix),
        (None, _) => (base, "/", postfix),
    }
}

/// What follows the stripped part must not climb: `/route../x` is no way out of the service's path.
fn without_leading_dots(postfix: &[u8]) -> &[u8] {
    match postfix {
        b"." | b".." => b"",
        [b'.', b'/', rest @ ..] | [b'.', b'.', b'/', rest @ ..] => rest,
        _ => postfix,
    }
}

/// What `strip_path` takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrippedPath<'a> {
    /// The route has `strip_path` off.
    Keep,
    /// The route has no path that could be stripped.
    Unmatched,
    /// This is stripped (as many bytes as it has).
    Matched(&'a [u8]),
}

impl<'a> StrippedPath<'a> {
    /// From the route's `strip_path` and the match's path.
    pub fn new(strip_path: bool, matched: Option<&'a [u8]>) -> Self {
        match (strip_path, matched) {
            (false, _) => StrippedPath::Keep,
            (true, None) => StrippedPath::Unmatched,
            (true, Some(matched)) => StrippedPath::Matched(matched),
        }
    }

    /// The value of `X-Forwarded-Prefix`: what was stripped, if it was more than a slash.
    pub fn forwarded_prefix(self) -> Option<&'a [u8]> {
        match self {
            StrippedPath::Matched(matched) if !matched.is_empty() && matched != b"/" => Some(matched),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
