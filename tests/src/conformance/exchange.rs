//! Sends what a step says, byte for byte, and reads the answer.

use std::io::{self, BufReader, Read, Write};
use std::time::Duration;

use base64::Engine as _;

use super::json::Json;
use crate::wire::{Wire, chunk_size, read_headers, read_line};

/// An answer: status, headers (lower-case names, in order), body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The connection was refused, reset, closed or silent: what a case can expect as `closed`.
    Closed,
    /// Bytes that are no HTTP answer: never right.
    Broken(String),
}

impl From<io::Error> for NoAnswer {
    fn from(e: io::Error) -> Self {
        if e.kind() == io::ErrorKind::InvalidData {
            Self::Broken(e.to_string())
        } else {
            Self::Closed
        }
    }
}

/// Sends the bytes and reads one answer, after any `1xx`.
pub(crate) fn exchange(port: u16, raw: &[u8], tls: Option<&str>, head: bool) -> Result<Answer, NoAnswer> {
    exchange_within(port, raw, tls, head, Duration::from_secs(15))
}

/// The same with a bound on every read and write.
pub(crate) fn exchange_within(
    port: u16,
    raw: &[u8],
    tls: Option<&str>,
    head: bool,
    timeout: Duration,
) -> Result<Answer, NoAnswer> {
    let mut wire = Wire::connect(port, tls, timeout)?;
    wire.write_all(raw)?;
    wire.flush()?;
    let mut reader = BufReader::new(wire);
    let (status, headers) = loop {
        let line = read_line(&mut reader)?;
        if line.is_empty() {
            return Err(NoAnswer::Closed);
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        let status = text.split_whitespace().nth(1).and_then(|word| word.parse::<u16>().ok());
        let status = status.ok_or_else(|| NoAnswer::Broken(format!("not a status line: {text:?}")))?;
        let headers = read_headers(&mut reader)?;
        if status >= 200 || status == 101 {
            break (status, headers);
        }
    };
    let last = |name: &str| headers.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    let mut body = Vec::new();
    if head || matches!(status, 204 | 304 | 101) {
    } else if last("transfer-encoding").is_some_and(|v| v.contains("chunked")) {
        loop {
            let line = read_line(&mut reader)?;
            let size = if line.is_empty() { Some(0) } else { chunk_size(&line) };
            let size = size.ok_or_else(|| NoAnswer::Broken(format!("not a chunk size: {line:?}")))?;
            if size == 0 {
                break;
            }
            reader.by_ref().take(size).read_to_end(&mut body)?;
            read_line(&mut reader)?;
        }
        read_headers(&mut reader)?;
    } else if let Some(length) = last("content-length") {
        let length = length
            .parse()
            .map_err(|_| NoAnswer::Broken(format!("content-length {length:?}")))?;
        reader.by_ref().take(length).read_to_end(&mut body)?;
    } else {
        reader.read_to_end(&mut body)?;
    }
    Ok(Answer { status, headers, body })
}

/// The bytes of a step's `send`.
pub(crate) fn request_bytes(send: &Json) -> Result<Vec<u8>, String> {
    let text = |name: &str| send.get(name).and_then(Json::as_str);
    if let Some(raw) = text("raw") {
        return latin1_bytes(raw);
    }
    let mut headers = Vec::new();
    for pair in send.get("headers").and_then(Json::as_list).unwrap_or_default() {
        match pair.as_list() {
            Some([Json::Str(name), Json::Str(value)]) => headers.push((name.clone(), value.clone())),
            _ => return Err(format!("not a header: {}", pair.dumps(false))),
        }
    }
    let given: Vec<String> = headers.iter().map(|(n, _)| n.to_lowercase()).collect();
    let has = |name: &str| given.iter().any(|n| n == name);
    let mut body = Vec::new();
    let mut media_type = None;
    if let Some(json) = send.get("json") {
        body = json.dumps(false).into_bytes();
        media_type = Some("application/json");
    } else if let Some(pairs) = send.get("form").and_then(Json::as_list) {
        body = form(pairs)?.into_bytes();
        media_type = Some("application/x-www-form-urlencoded");
    } else if let Some(text) = text("body") {
        body = text.as_bytes().to_vec();
    } else if let Some(encoded) = text("body_b64") {
        body = base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .map_err(|e| e.to_string())?;
    }
    if let Some(media_type) = media_type.filter(|_| !has("content-type")) {
        headers.push(("Content-Type".to_owned(), media_type.to_owned()));
    }
    if !has("host") {
        headers.insert(0, ("Host".to_owned(), text("host").unwrap_or("localhost").to_owned()));
    }
    if !has("user-agent") {
        headers.push(("User-Agent".to_owned(), "conformance".to_owned()));
    }
    let method = text("method").ok_or("a step without method")?;
    let path = text("path").ok_or("a step without path")?;
    let sized = has("content-length") || has("transfer-encoding");
    if (!body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH")) && !sized {
        headers.push(("Content-Length".to_owned(), body.len().to_string()));
    }
    headers.push(("Connection".to_owned(), "close".to_owned()));
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    let mut bytes = latin1_bytes(&head)?;
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

fn latin1_bytes(text: &str) -> Result<Vec<u8>, String> {
    text.chars()
        .map(|c| u8::try_from(c).map_err(|_| format!("{c:?} is not Latin-1")))
        .collect()
}

fn form(pairs: &[Json]) -> Result<String, String> {
    let mut out = Vec::new();
    for pair in pairs {
        match pair.as_list() {
            Some([Json::Str(name), Json::Str(value)]) => {
                out.push(format!("{}={}", quote(name, b"[]."), quote(value, b"")))
            }
            _ => return Err(format!("not a form field: {}", pair.dumps(false))),
        }
    }
    Ok(out.join("&"))
}

/// `quote_plus(text, safe)`.
fn quote(text: &str, safe: &[u8]) -> String {
    let mut out = String::new();
    for &b in text.as_bytes() {
        if b.is_ascii_alphanumeric() || b"_.-~".contains(&b) || safe.contains(&b) {
            out.push(char::from(b));
        } else if b == b' ' {
            out.push('+');
        } else {
            out += &format!("%{b:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn requests_get_what_they_lack() {
        for (send, sent) in [
            (
                r#"{"method":"GET","path":"/a"}"#,
                "GET /a HTTP/1.1\r\nHost: localhost\r\nUser-Agent: conformance\r\nConnection: close\r\n\r\n",
            ),
            (
                r#"{"method":"POST","path":"/a","headers":[["Host","b"]],"json":{"z":[1],"a":"é"}}"#,
                "POST /a HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nUser-Agent: conformance\r\n\
                 Content-Length: 25\r\nConnection: close\r\n\r\n{\"z\": [1], \"a\": \"\\u00e9\"}",
            ),
            (
                r#"{"method":"PUT","path":"/","form":[["a[]","x y"],["b.c","[/]"]]}"#,
                "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                 User-Agent: conformance\r\nContent-Length: 21\r\nConnection: close\r\n\r\na[]=x+y&b.c=%5B%2F%5D",
            ),
            (r#"{"raw":"X\u00ff\r\n"}"#, "X\u{ff}\r\n"),
        ] {
            let bytes = request_bytes(&Json::parse(send.as_bytes()).unwrap()).unwrap();
            assert_eq!(crate::wire::latin1(&bytes), sent);
        }
    }
}
