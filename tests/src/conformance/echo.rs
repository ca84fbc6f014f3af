//! The upstream of the recorded cases: answers with what it was sent.
//!
//! The recordings show its habits, which are those of Python's `http.server`: header values keep trailing blanks, a
//! leading `//` of the path becomes `/`, JSON is written with spaces and sorted members.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use super::json::Json;
use crate::wire::{chunk_size, latin1};

/// A running echo; it serves until the process ends.
#[derive(Clone, Copy, Debug)]
pub struct Echo {
    port: u16,
}

impl Echo {
    /// Starts one on the port, or on a free one if that is taken.
    pub fn start(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let port = listener.local_addr()?.port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let _ = serve(stream);
                });
            }
        });
        Ok(Self { port })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

struct Request {
    method: String,
    path: String,
    version: String,
    headers: Vec<(String, String)>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

const METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "FOO",
];

fn serve(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        (&mut reader).take(65_537).read_until(b'\n', &mut line)?;
        let text = latin1(&line);
        let words: Vec<&str> = text.split_whitespace().collect();
        let (method, path, version) = match *words {
            [] => return Ok(()),
            [method, path, version] if version.starts_with("HTTP/1.") => (method, path, version),
            _ => return error(&mut writer, 400, "Bad request syntax"),
        };
        let path = match path.strip_prefix("//") {
            Some(rest) => format!("/{}", rest.trim_start_matches('/')),
            None => path.to_owned(),
        };
        let headers = match headers(&mut reader)? {
            Some(headers) => headers,
            None => return error(&mut writer, 431, "Too many headers"),
        };
        let request = Request {
            method: method.to_owned(),
            path,
            version: version.to_owned(),
            headers,
        };
        let mut close = request.version != "HTTP/1.1";
        match request.header("connection").to_ascii_lowercase().as_str() {
            "close" => close = true,
            "keep-alive" => close = false,
            _ => {}
        }
        if request.header("expect").eq_ignore_ascii_case("100-continue") && request.version == "HTTP/1.1" {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if !METHODS.contains(&method) {
            return error(&mut writer, 501, &format!("Unsupported method ('{method}')"));
        }
        if !answer(&mut reader, &mut writer, &request, &mut close)? || close {
            let _ = writer.shutdown(Shutdown::Both);
            return Ok(());
        }
    }
}

/// `None` if there are more than a hundred.
fn headers(reader: &mut impl BufRead) -> io::Result<Option<Vec<(String, String)>>> {
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let mut line = Vec::new();
        reader.take(65_537).read_until(b'\n', &mut line)?;
        if matches!(line.as_slice(), b"\r\n" | b"\n" | b"") {
            return Ok(Some(headers));
        }
        if headers.len() == 100 {
            return Ok(None);
        }
        let text = latin1(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        headers.push((name.to_lowercase(), value.trim_start_matches([' ', '\t']).to_owned()));
    }
}

/// False if the connection closes without an answer.
fn answer(reader: &mut impl BufRead, writer: &mut TcpStream, request: &Request, close: &mut bool) -> io::Result<bool> {
    let body = body(reader, request)?;
    let path = request.path.split('?').next().unwrap_or_default();
    let status = digits_after(path, "/status/", |c| c.is_ascii_digit()).filter(|d| d.len() >= 3);
    let status: u16 = status.and_then(|d| d.get(..3)?.parse().ok()).unwrap_or(200);
    if let Some(seconds) = digits_after(path, "/delay/", |c| c.is_ascii_digit() || c == '.') {
        let seconds: f64 = seconds.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
        std::thread::sleep(Duration::from_secs_f64(seconds.min(10.0)));
    }
    if path.contains("/reset") {
        return Ok(false);
    }
    let extra = set_headers(path);
    let encoded = digits_after(path, "/body/", |c| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '=' | '-')
    });
    let data = match encoded {
        Some(encoded) => decode(encoded).ok_or(io::ErrorKind::InvalidInput)?,
        None => describe(request, &body).into_bytes(),
    };
    let mut head = format!("HTTP/1.1 {status} {}\r\nServer: echo \r\n", reason(status));
    for (name, value) in &extra {
        head += &format!("{name}: {value}\r\n");
        if name.eq_ignore_ascii_case("connection") {
            match value.to_ascii_lowercase().as_str() {
                "close" => *close = true,
                "keep-alive" => *close = false,
                _ => {}
            }
        }
    }
    if !extra.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        head += "Content-Type: application/json\r\n";
    }
    head += &format!("Content-Length: {}\r\n\r\n", data.len());
    let mut out: Vec<u8> = head.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
    if request.method != "HEAD" {
        out.extend_from_slice(&data);
    }
    writer.write_all(&out)?;
    Ok(true)
}

fn body(reader: &mut impl BufRead, request: &Request) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if request.header("transfer-encoding").contains("chunked") {
        loop {
            let mut line = Vec::new();
            reader.read_until(b'\n', &mut line)?;
            let size = chunk_size(&line).ok_or(io::ErrorKind::InvalidData)?;
            reader.take(size).read_to_end(&mut body)?;
            reader.read_until(b'\n', &mut Vec::new())?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = match request.header("content-length") {
        "" => 0,
        length => length.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?,
    };
    reader.take(length).read_to_end(&mut body)?;
    Ok(body)
}

fn describe(request: &Request, body: &[u8]) -> String {
    let mut headers: BTreeMap<&str, Vec<Json>> = BTreeMap::new();
    for (name, value) in &request.headers {
        headers.entry(name).or_default().push(Json::Str(value.clone()));
    }
    let headers = headers
        .into_iter()
        .map(|(name, values)| (name.to_owned(), Json::List(values)))
        .collect();
    let text = |text: &str| Json::Str(text.to_owned());
    let members = [
        ("body", text(&String::from_utf8_lossy(body))),
        ("headers", Json::Object(headers)),
        ("method", text(&request.method)),
        ("uri", text(&request.path)),
        ("version", text(&request.version)),
    ];
    Json::Object(members.map(|(n, v)| (n.to_owned(), v)).into()).dumps(true)
}

/// What follows the first `marker` that has at least one such character after it.
fn digits_after<'a>(path: &'a str, marker: &str, is_part: impl Fn(char) -> bool) -> Option<&'a str> {
    path.match_indices(marker).find_map(|(at, _)| {
        let rest = path.get(at + marker.len()..)?;
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        rest.get(..end).filter(|part| !part.is_empty())
    })
}

/// Every `/set/NAME/VALUE`, values of one name together.
fn set_headers(path: &str) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut rest = path;
    while let Some((_, after)) = rest.split_once("/set/") {
        let Some((name, after_name)) = after.split_once('/').filter(|(name, _)| !name.is_empty()) else {
            rest = after;
            continue;
        };
        let end = after_name.find(['/', '?']).unwrap_or(after_name.len());
        let (value, left) = after_name.split_at(end);
        let place = headers
            .iter()
            .rposition(|(n, _)| n == name)
            .map_or(headers.len(), |i| i + 1);
        headers.insert(place, (name.to_owned(), value.to_owned()));
        rest = left;
    }
    headers
}

/// Base64 in the URL alphabet; padding, too little or too much of it, does not matter.
fn decode(encoded: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(encoded.trim_end_matches('='))
        .ok()
}

fn error(writer: &mut TcpStream, status: u16, message: &str) -> io::Result<()> {
    let body = format!(
        "<!DOCTYPE HTML>\n<html lang=\"en\">\n    <head>\n        <meta charset=\"utf-8\">\n        <title>Error \
         response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n        <p>Error code: {status}</p>\n\
         \x20       <p>Message: {message}.</p>\n        <p>Error code explanation: {status} - {}.</p>\n    </body>\n</html>\n",
        match status {
            400 => "Bad request syntax or unsupported method",
            501 => "Server does not support this operation",
            _ => "The server is unwilling to process the request because its header fields are too large",
        }
    );
    write!(
        writer,
        "HTTP/1.1 {status} {message}\r\nServer: echo \r\nConnection: close\r\nContent-Type: text/html;charset=utf-8\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let _ = writer.shutdown(Shutdown::Both);
    Ok(())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        418 => "I'm a Teapot",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Client, Request};

    #[test]
    fn describes_requests_as_recorded() {
        let client = Client::new(Echo::start(0).unwrap().port());
        let mut connection = client.connect().unwrap();
        let chunked = Request::new("POST", "//a?x=%20")
            .header("transfer-encoding", "chunked")
            .body("2\r\nhi\r\n0\r\n\r\n");
        assert_eq!(
            connection.send(&chunked).unwrap().text(),
            r#"{"body": "hi", "headers": {"host": ["localhost"], "transfer-encoding": ["chunked"]}, "method": "POST", "uri": "/a?x=%20", "version": "HTTP/1.1"}"#
        );
        let set = connection
            .send(&Request::new("GET", "/status/418/set/X-A/1/set/X-B/2/set/X-A/3"))
            .unwrap();
        assert_eq!(set.status, 418);
        let names: Vec<_> = set
            .headers
            .iter()
            .filter(|(n, _)| n.starts_with("x-"))
            .map(|(_, v)| v.as_str())
            .collect();
        assert_eq!(names, ["1", "3", "2"]);
        assert_eq!(
            connection
                .send(&Request::new("GET", "/set/Content-Type/text/body/aGk="))
                .unwrap()
                .body,
            b"hi"
        );
        assert!(connection.send(&Request::new("GET", "/reset")).is_err());
        assert_eq!(client.send(Request::new("BAR", "/")).unwrap().status, 501);
    }
}
