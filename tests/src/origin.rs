//! A scripted origin server: its answers follow from the request's path.
//!
//! | Path contains | Answer |
//! |---|---|
//! | `/bytes/N` | N bytes, with `Content-Length` |
//! | `/chunked/N` | N bytes, chunked |
//! | `/sink` | `{"received": bytes of the request's body}`; the body is not kept |
//! | `/delay/MS` | after so many milliseconds |
//! | `/hold` | when [`Origin::release`] is called |
//! | `/drip/N` | N bytes, one every 20 ms |
//! | `/half` | half the promised body, then the connection closes |
//! | `/reset` | the connection closes without an answer |
//! | `/status/N` | that status |
//!
//! Anything else, and `/delay`, `/hold` and `/status` too, answer a JSON object of method, uri, headers and body.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::wire::{chunk_size, latin1, read_headers, read_line};

/// A running origin; stops accepting when dropped.
#[derive(Debug)]
pub struct Origin {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    connections: AtomicU64,
    requests: AtomicU64,
    received: AtomicU64,
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    waiting: usize,
    released: bool,
}

struct Head {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
}

impl Origin {
    /// Starts one on a free port.
    pub fn start() -> io::Result<Self> {
        Self::start_on(0)
    }

    /// Starts one on a given port.
    pub fn start_on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let for_thread = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if for_thread.stopped.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let shared = for_thread.clone();
                shared.connections.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || {
                    let _ = shared.serve(stream);
                });
            }
        });
        Ok(Self { port, shared })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Request heads read so far.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Bytes of request bodies read so far.
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::Relaxed)
    }

    /// Waits until `n` requests are held by `/hold`; false after ten seconds.
    pub fn wait_held(&self, n: usize) -> bool {
        let held = self.shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self
            .shared
            .changed
            .wait_timeout_while(held, Duration::from_secs(10), |held| held.waiting < n);
        wait.is_ok_and(|(held, _)| held.waiting >= n)
    }

    /// Lets all requests go that `/hold` holds, now and from now on.
    pub fn release(&self) {
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner).released = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.release();
        // Wakes the accepting thread.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut writer = stream.try_clone()?;
        let mut reader = BufReader::with_capacity(64 * 1024, stream);
        loop {
            let line = latin1(&read_line(&mut reader)?);
            let mut words = line.split_whitespace();
            let (Some(method), Some(target)) = (words.next(), words.next()) else {
                return Ok(());
            };
            let head = Head {
                method: method.to_owned(),
                target: target.to_owned(),
                headers: read_headers(&mut reader)?,
            };
            self.requests.fetch_add(1, Ordering::Relaxed);
            if head.header("expect").is_some() {
                writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let keep = !head.target.contains("/sink");
            let mut body = Vec::new();
            let received = self.read_body(&mut reader, &head, |piece| {
                if keep {
                    body.extend_from_slice(piece);
                }
            })?;
            if !self.answer(&mut writer, &head, &body, received)? {
                return writer.shutdown(Shutdown::Both);
            }
            if head
                .header("connection")
                .is_some_and(|v| v.eq_ignore_ascii_case("close"))
            {
                return Ok(());
            }
        }
    }

    fn read_body(&self, reader: &mut impl io::BufRead, head: &Head, mut sink: impl FnMut(&[u8])) -> io::Result<u64> {
        let mut total = 0;
        let mut pass = |reader: &mut dyn Read, length: u64| -> io::Result<()> {
            let mut left = length;
            let mut piece = vec![0; 64 * 1024];
            while left > 0 {
                let want = left.min(piece.len() as u64) as usize;
                let n = reader.read(piece.get_mut(..want).unwrap_or_default())?;
                if n == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                sink(piece.get(..n).unwrap_or_default());
                self.received.fetch_add(n as u64, Ordering::Relaxed);
                left -= n as u64;
                total += n as u64;
            }
            Ok(())
        };
        if head.header("transfer-encoding").is_some_and(|v| v.contains("chunked")) {
            loop {
                let size = chunk_size(&read_line(reader)?).ok_or(io::ErrorKind::InvalidData)?;
                if size == 0 {
                    read_headers(reader)?;
                    break;
                }
                pass(reader, size)?;
                read_line(reader)?;
            }
        } else if let Some(length) = head.header("content-length") {
            pass(reader, length.parse().map_err(|_| io::ErrorKind::InvalidData)?)?;
        }
        Ok(total)
    }

    /// False if the connection is to be closed.
    fn answer(&self, writer: &mut TcpStream, head: &Head, body: &[u8], received: u64) -> io::Result<bool> {
        let status = head.number("/status/").unwrap_or(200);
        if head.target.contains("/reset") {
            return Ok(false);
        }
        if let Some(ms) = head.number("/delay/") {
            std::thread::sleep(Duration::from_millis(ms));
        }
        if head.target.contains("/hold") {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.waiting += 1;
            self.changed.notify_all();
            let mut held = self
                .changed
                .wait_while(held, |held| !held.released)
                .unwrap_or_else(PoisonError::into_inner);
            held.waiting -= 1;
        }
        if let Some(n) = head.number("/bytes/") {
            write!(
                writer,
                "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {n}\r\n\r\n"
            )?;
            pieces(n, |piece| writer.write_all(piece))?;
            return Ok(true);
        }
        if let Some(n) = head.number("/chunked/") {
            writer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            pieces(n, |piece| {
                write!(writer, "{:x}\r\n", piece.len())?;
                writer.write_all(piece)?;
                writer.write_all(b"\r\n")
            })?;
            writer.write_all(b"0\r\n\r\n")?;
            return Ok(true);
        }
        if let Some(n) = head.number("/drip/") {
            write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {n}\r\n\r\n")?;
            for _ in 0..n {
                std::thread::sleep(Duration::from_millis(20));
                writer.write_all(b".")?;
            }
            return Ok(true);
        }
        if head.target.contains("/half") {
            writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
            writer.write_all(&[b'h'; 500])?;
            return Ok(false);
        }
        let data = if head.target.contains("/sink") {
            serde_json::json!({ "received": received })
        } else {
            let mut headers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (name, value) in &head.headers {
                headers.entry(name).or_default().push(value);
            }
            serde_json::json!({
                "method": head.method, "uri": head.target, "headers": headers, "body": String::from_utf8_lossy(body),
            })
        };
        let data = data.to_string();
        let mut answer = format!(
            "HTTP/1.1 {status} Scripted\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            data.len()
        );
        if head.method != "HEAD" {
            answer += &data;
        }
        writer.write_all(answer.as_bytes())?;
        Ok(true)
    }
}

impl Head {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    fn number(&self, marker: &str) -> Option<u64> {
        let rest = self.target.split_once(marker)?.1;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    }
}

/// Hands out `total` bytes in pieces of up to 64 KiB.
fn pieces(total: u64, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let piece = vec![b'x'; 64 * 1024];
    let mut left = total;
    while left > 0 {
        let n = left.min(piece.len() as u64) as usize;
        write(piece.get(..n).unwrap_or_default())?;
        left -= n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Client, Request};

    #[test]
    fn answers_follow_the_path() {
        let origin = Origin::start().unwrap();
        let client = Client::new(origin.port());
        let mut connection = client.connect().unwrap();
        let echo = connection
            .send(&Request::new("POST", "/a?b=1").header("X-A", "1").body("hi"))
            .unwrap();
        assert_eq!(echo.json()["uri"], "/a?b=1");
        assert_eq!(echo.json()["body"], "hi");
        assert_eq!(echo.json()["headers"]["x-a"][0], "1");
        assert_eq!(
            connection
                .send(&Request::new("GET", "/bytes/100000"))
                .unwrap()
                .body
                .len(),
            100_000
        );
        assert_eq!(
            connection
                .send(&Request::new("GET", "/chunked/70000"))
                .unwrap()
                .body
                .len(),
            70_000
        );
        assert_eq!(
            connection.send(&Request::new("GET", "/status/503")).unwrap().status,
            503
        );
        assert_eq!(
            connection
                .send(&Request::new("PUT", "/sink").body("12345"))
                .unwrap()
                .json()["received"],
            5
        );
        assert_eq!(origin.received(), 7);
        assert!(client.get("/reset").is_err());
        assert!(client.get("/half").is_err());
        assert_eq!((origin.connections(), origin.requests()), (3, 7));
    }

    #[test]
    fn held_requests_wait_for_their_release() {
        let origin = Origin::start().unwrap();
        let client = Client::new(origin.port());
        let waiting = std::thread::spawn(move || client.get("/hold").unwrap().status);
        assert!(origin.wait_held(1));
        assert!(!waiting.is_finished());
        origin.release();
        assert_eq!(waiting.join().unwrap(), 200);
    }
}
