//! A small blocking HTTP/1.1 client that sends what it is told and nothing else.

use std::io::{self, BufReader, Read, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::wire::{Wire, chunk_size, read_headers, read_line};

/// Sends each request on a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    port: u16,
    tls: Option<String>,
    timeout: Duration,
}

impl Client {
    /// A client of a loopback port, in plain text.
    pub fn new(port: u16) -> Self {
        Self {
            port,
            tls: None,
            timeout: Duration::from_secs(15),
        }
    }

    /// The same over TLS, asking for this server name (none if empty).
    pub fn tls(mut self, server_name: &str) -> Self {
        self.tls = Some(server_name.to_owned());
        self
    }

    /// Bounds every connect, read and write (15 s otherwise).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Opens a connection for any number of requests.
    pub fn connect(&self) -> anyhow::Result<Connection> {
        let wire = Wire::connect(self.port, self.tls.as_deref(), self.timeout)?;
        Ok(Connection {
            stream: BufReader::with_capacity(64 * 1024, wire),
        })
    }

    /// Sends one request, with `Connection: close`.
    pub fn send(&self, request: Request) -> anyhow::Result<Response> {
        self.connect()?.send(&request.header("Connection", "close"))
    }

    /// `GET path`.
    pub fn get(&self, path: &str) -> anyhow::Result<Response> {
        self.send(Request::new("GET", path))
    }

    /// `DELETE path`.
    pub fn delete(&self, path: &str) -> anyhow::Result<Response> {
        self.send(Request::new("DELETE", path))
    }

    /// `POST path` with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Response> {
        self.send(Request::new("POST", path).json(body))
    }

    /// `PUT path` with a JSON body.
    pub fn put(&self, path: &str, body: &Value) -> anyhow::Result<Response> {
        self.send(Request::new("PUT", path).json(body))
    }

    /// `PATCH path` with a JSON body.
    pub fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Response> {
        self.send(Request::new("PATCH", path).json(body))
    }
}

/// A request as it goes onto the wire. `Host: localhost` and `Content-Length` are added where missing.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request without headers or body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a JSON body and its type.
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// The bytes to send.
    pub fn to_bytes(&self) -> Vec<u8> {
        let has = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !has("host") {
            head += "Host: localhost\r\n";
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let wants_body = matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        if (wants_body || !self.body.is_empty()) && !has("content-length") && !has("transfer-encoding") {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Names in lower case, values as Latin-1.
    pub headers: Vec<(String, String)>,
    /// The body, chunking removed.
    pub body: Vec<u8>,
}

impl Response {
    /// First header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Itself, or an error that shows the whole answer if the status is another.
    pub fn expect_status(self, status: u16) -> anyhow::Result<Self> {
        if self.status != status {
            bail!(
                "status {} instead of {status}: {:?} {}",
                self.status,
                self.headers,
                self.text()
            );
        }
        Ok(self)
    }
}

/// A kept-open connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<Wire>,
}

impl Connection {
    /// Sends a request and reads the whole answer.
    pub fn send(&mut self, request: &Request) -> anyhow::Result<Response> {
        self.write(&request.to_bytes())?;
        self.read_response(request.method == "HEAD")
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads a whole answer, after any `1xx`. `bodiless` for the answer to a HEAD.
    pub fn read_response(&mut self, bodiless: bool) -> anyhow::Result<Response> {
        let mut body = Vec::new();
        let mut response = self.read_response_into(bodiless, |piece| body.extend_from_slice(piece))?;
        response.body = body;
        Ok(response)
    }

    /// Reads an answer, handing its body over piece by piece; the returned response has an empty body.
    pub fn read_response_into(&mut self, bodiless: bool, mut sink: impl FnMut(&[u8])) -> anyhow::Result<Response> {
        let (status, headers) = loop {
            let line = read_line(&mut self.stream).context("no status line")?;
            if line.is_empty() {
                bail!("connection closed before an answer");
            }
            let text = String::from_utf8_lossy(&line);
            let status = text
                .strip_prefix("HTTP/1.")
                .and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u16>().ok())
                .with_context(|| format!("not a status line: {text:?}"))?;
            let headers = read_headers(&mut self.stream)?;
            if status >= 200 || status == 101 {
                break (status, headers);
            }
        };
        let response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        let chunked = response
            .header("transfer-encoding")
            .is_some_and(|v| v.contains("chunked"));
        if bodiless || matches!(status, 204 | 304 | 101) {
        } else if chunked {
            loop {
                let line = read_line(&mut self.stream)?;
                let size = chunk_size(&line).with_context(|| format!("not a chunk size: {line:?}"))?;
                if size == 0 {
                    break;
                }
                self.read_exactly(size, &mut sink)?;
                read_line(&mut self.stream)?;
            }
            read_headers(&mut self.stream)?;
        } else if let Some(length) = response.header("content-length") {
            self.read_exactly(length.parse().context("content-length")?, &mut sink)?;
        } else {
            let mut piece = [0; 64 * 1024];
            loop {
                match self.stream.read(&mut piece)? {
                    0 => break,
                    n => sink(piece.get(..n).unwrap_or_default()),
                }
            }
        }
        Ok(response)
    }

    fn read_exactly(&mut self, length: u64, sink: &mut impl FnMut(&[u8])) -> anyhow::Result<()> {
        let mut left = length;
        let mut piece = vec![0; 64 * 1024];
        while left > 0 {
            let want = left.min(piece.len() as u64) as usize;
            let n = self.stream.read(piece.get_mut(..want).unwrap_or_default())?;
            if n == 0 {
                bail!("body ended {left} bytes early");
            }
            sink(piece.get(..n).unwrap_or_default());
            left -= n as u64;
        }
        Ok(())
    }

    /// Waits for the peer to close: true if it did within the time, false if it stayed open or sent something.
    pub fn closed_within(&mut self, at_most: Duration) -> bool {
        let tcp = self.stream.get_ref().tcp();
        let before = tcp.read_timeout().ok().flatten();
        let _ = tcp.set_read_timeout(Some(at_most.max(Duration::from_millis(1))));
        let closed = match self.stream.read(&mut [0; 1]) {
            Ok(n) => n == 0,
            Err(e) => !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        };
        let _ = self.stream.get_ref().tcp().set_read_timeout(before);
        closed
    }

    /// The connection itself, for half-closing and the like.
    pub fn wire(&self) -> &Wire {
        self.stream.get_ref()
    }
}
