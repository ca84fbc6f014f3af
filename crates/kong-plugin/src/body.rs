//! Request bodies as parameters: forms, JSON, multipart (`kong.request.get_body`).

use serde_json::{Map, Value};

use crate::arguments;

/// Kinds of bodies that hold parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
    /// `multipart/form-data`.
    Multipart,
}

impl BodyKind {
    /// Kind by the value of `Content-Type`; `None`: not one that holds parameters.
    pub fn of(content_type: &str) -> Option<Self> {
        let is = |kind: &str| {
            content_type
                .get(..kind.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(kind))
        };
        if is("application/x-www-form-urlencoded") {
            Some(BodyKind::Form)
        } else if is("application/json") {
            Some(BodyKind::Json)
        } else if is("multipart/form-data") {
            Some(BodyKind::Multipart)
        } else {
            None
        }
    }
}

/// Parameters of a body, at most [`arguments::MAX_ARGUMENTS`]; `None`: not of a kind that holds parameters, or malformed.
pub fn parameters(content_type: &str, body: &[u8]) -> Option<Map<String, Value>> {
    match BodyKind::of(content_type)? {
        BodyKind::Form => Some(arguments::to_object(body)),
        BodyKind::Json => match serde_json::from_slice(body).ok()? {
            Value::Object(object) => Some(object),
            _ => None,
        },
        BodyKind::Multipart => {
            let mut object = Map::new();
            for part in Multipart::parse(content_type, body)?.parts {
                if let Some(name) = part.name() {
                    arguments::push(
                        &mut object,
                        name,
                        Value::String(String::from_utf8_lossy(part.content).into_owned()),
                    );
                }
            }
            Some(object)
        }
    }
}

/// A multipart body taken apart.
#[derive(Debug, Clone)]
pub struct Multipart<'a> {
    /// Separator, without the leading `--`.
    pub boundary: String,
    /// Parts in order, at most [`arguments::MAX_ARGUMENTS`].
    pub parts: Vec<Part<'a>>,
}

/// A part: its header lines and its content.
#[derive(Debug, Clone)]
pub struct Part<'a> {
    /// Header lines without the empty line that ends them.
    pub headers: &'a [u8],
    /// Content.
    pub content: &'a [u8],
}

impl<'a> Multipart<'a> {
    /// Takes a body apart; `None`: no boundary parameter.
    pub fn parse(content_type: &str, body: &'a [u8]) -> Option<Self> {
        let boundary = parameter(content_type, "boundary")?;
        if boundary.is_empty() {
            return None;
        }
        let delimiter = format!("--{boundary}");
        let delimiter = delimiter.as_bytes();
        let mut parts = Vec::new();
        let mut at = find(body, delimiter, 0);
        while let Some(start) = at {
            let after = start + delimiter.len();
            if parts.len() == arguments::MAX_ARGUMENTS || body.get(after..)?.starts_with(b"--") {
                break;
            }
            let next = find(body, delimiter, after);
            let content = body.get(after..next.unwrap_or(body.len()))?;
            let content = trim_line_break_start(content);
            if next.is_some() {
                parts.push(Part::split(trim_line_break_end(content)));
            }
            at = next;
        }
        Some(Multipart { boundary, parts })
    }

    /// Puts the parts together again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.parts {
            out.extend_from_slice(b"--");
            out.extend_from_slice(self.boundary.as_bytes());
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(part.headers);
            out.extend_from_slice(b"\r\n\r\n");
            out.extend_from_slice(part.content);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"--");
        out.extend_from_slice(self.boundary.as_bytes());
        out.extend_from_slice(b"--\r\n");
        out
    }
}

impl<'a> Part<'a> {
    fn split(bytes: &'a [u8]) -> Self {
        for separator in [&b"\r\n\r\n"[..], b"\n\n"] {
            if let Some(at) = find(bytes, separator, 0) {
                let (headers, content) = bytes.split_at(at);
                return Part {
                    headers,
                    content: content.get(separator.len()..).unwrap_or_default(),
                };
            }
        }
        Part {
            headers: bytes,
            content: &[],
        }
    }

    /// Value of `name` in its `Content-Disposition`.
    pub fn name(&self) -> Option<String> {
        let headers = String::from_utf8_lossy(self.headers);
        headers.lines().find_map(|line| {
            let (header, value) = line.split_once(':')?;
            if !header.trim().eq_ignore_ascii_case("content-disposition") {
                return None;
            }
            parameter(value, "name")
        })
    }
}

/// Value of a parameter of a header such as `Content-Type: multipart/form-data; boundary="x"`.
pub fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let rest = haystack.get(from..)?;
    memchr::memmem::find(rest, needle).map(|at| from + at)
}

fn trim_line_break_start(bytes: &[u8]) -> &[u8] {
    bytes
        .strip_prefix(b"\r\n")
        .or_else(|| bytes.strip_prefix(b"\n"))
        .unwrap_or(bytes)
}

fn trim_line_break_end(bytes: &[u8]) -> &[u8] {
    bytes
        .strip_suffix(b"\r\n")
        .or_else(|| bytes.strip_suffix(b"\n"))
        .unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_come_from_forms_json_and_multipart() {
        let multipart = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\nContent-Disposition: \
                         form-data; name=\"f\"; filename=\"x\"\r\nContent-Type: text/plain\r\n\r\ntwo\r\nlines\r\n--B--\r\n";
        let rows = [
            (
                "application/x-www-form-urlencoded",
                "a=1&b",
                Some(json!({"a": "1", "b": true})),
            ),
            (
                "Application/JSON; charset=utf-8",
                r#"{"a": [1]}"#,
                Some(json!({"a": [1]})),
            ),
            ("application/json", "[1]", None),
            ("application/json", "nonsense", None),
            (
                "multipart/form-data; boundary=B",
                multipart,
                Some(json!({"a": "1", "f": "two\r\nlines"})),
            ),
            ("multipart/form-data", multipart, None),
            ("text/plain", "a=1", None),
        ];
        for (content_type, body, expected) in rows {
            assert_eq!(
                parameters(content_type, body.as_bytes()).map(Value::Object),
                expected,
                "{content_type}"
            );
        }
        let parsed = Multipart::parse("multipart/form-data; boundary=B", multipart.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(parsed.to_bytes()).unwrap(), multipart);
    }

    #[test]
    fn truncated_multipart_bodies_lose_the_last_part() {
        let parsed = Multipart::parse("multipart/form-data; boundary=B", b"--B\r\n\r\n1\r\n--B\r\n\r\n2").unwrap();
        assert_eq!(parsed.parts.len(), 1);
    }
}
