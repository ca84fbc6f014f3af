//! A server of ours on a free port, a client that sends exact bytes, and an upstream that answers with exact bytes.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

use kong_http::{AcceptOptions, Drain, DrainTrigger, ListenOptions, ServerConfig, bind, drain};
use kong_message::{Body, BodyError, Request, Response, ResponseHead};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// Runs a test on a current-thread runtime with a `LocalSet`, like a worker.
pub fn on_worker<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(Duration::from_secs(60), test)
            .await
            .expect("the test hangs")
    })
}

pub struct Server {
    pub addr: SocketAddr,
    pub drain: DrainTrigger,
    pub run: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// Serves `handler` on a free port.
pub fn serve<H, F>(config: ServerConfig, handler: H) -> Server
where
    H: Fn(Request) -> F + Clone + 'static,
    F: Future<Output = Response> + 'static,
{
    serve_with(config, handler, |_| {})
}

pub fn serve_with<H, F>(config: ServerConfig, handler: H, adjust: impl FnOnce(&mut AcceptOptions)) -> Server
where
    H: Fn(Request) -> F + Clone + 'static,
    F: Future<Output = Response> + 'static,
{
    let listener = bind("127.0.0.1:0".parse().unwrap(), 1, &ListenOptions::default())
        .unwrap()
        .remove(0);
    let addr = listener.local_addr().unwrap();
    let (trigger, drain): (DrainTrigger, Drain) = drain();
    let mut options = AcceptOptions::new(0, Rc::new(config));
    adjust(&mut options);
    let make_service = move |_: &Rc<kong_message::ConnInfo>| {
        let handler = handler.clone();
        tower::service_fn(move |request: Request| {
            let answer = handler(request);
            async move { Ok::<_, Infallible>(answer.await) }
        })
    };
    let run = tokio::task::spawn_local(listener.run(options, make_service, drain));
    Server {
        addr,
        drain: trigger,
        run,
    }
}

/// Answers with what it was asked: method, target, version, header lines and body.
pub async fn echo(mut request: Request) -> Response {
    let body = match request.body.collect(64 * 1024 * 1024).await {
        Ok(body) => body,
        Err(error) => {
            let status = match error {
                BodyError::TooLarge { .. } => 413,
                BodyError::Malformed(_) => 400,
                BodyError::Timeout => 408,
                _ => 499,
            };
            return Response::status(status);
        }
    };
    let head = &request.head;
    let mut text = format!(
        "{} {} {:?}\n",
        head.method,
        String::from_utf8_lossy(head.target()),
        head.version
    )
    .into_bytes();
    for (name, value) in head.headers.iter() {
        text.extend_from_slice(name);
        text.push(b'=');
        text.extend_from_slice(value);
        text.push(b'\n');
    }
    text.push(b'\n');
    text.extend_from_slice(&body);
    let mut head = ResponseHead::new(200);
    head.headers.append("Content-Type", "text/plain");
    Response::new(head, Body::from_bytes(text))
}

/// What came back on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub struct Peer {
    pub stream: TcpStream,
    pub received: Vec<u8>,
}

impl Peer {
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            received: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Receives more; `false` at the end.
    pub async fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                true
            }
        }
    }

    pub async fn until(&mut self, mark: &str) -> Option<usize> {
        loop {
            if let Some(at) = find(&self.received, mark.as_bytes()) {
                return Some(at + mark.len());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The next answer; `None` when the connection ends instead.
    pub async fn answer(&mut self) -> Option<Answer> {
        self.answer_to("GET").await
    }

    pub async fn answer_to(&mut self, method: &str) -> Option<Answer> {
        let end = self.until("\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&self.received[..end]).into_owned();
        self.received.drain(..end);
        let status: u16 = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Answer {
            status,
            head,
            body: Vec::new(),
        };
        if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
            return Some(answer);
        }
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.received.len() < length {
                if !self.more().await {
                    return None;
                }
            }
            answer.body = self.received.drain(..length).collect();
        } else if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let end = self.until("\r\n").await?;
                let size = String::from_utf8_lossy(&self.received[..end - 2]).into_owned();
                let size = usize::from_str_radix(&size, 16).unwrap();
                self.received.drain(..end);
                while self.received.len() < size + 2 {
                    if !self.more().await {
                        return None;
                    }
                }
                answer.body.extend(self.received.drain(..size));
                assert_eq!(self.received.drain(..2).collect::<Vec<u8>>(), b"\r\n");
                if size == 0 {
                    break;
                }
            }
        } else {
            while self.more().await {}
            answer.body = std::mem::take(&mut self.received);
        }
        Some(answer)
    }

    /// Whether the server closes the connection without sending anything more.
    pub async fn is_closed(&mut self) -> bool {
        self.received.is_empty() && !self.more().await
    }
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

pub async fn exchange(addr: SocketAddr, request: impl AsRef<[u8]>) -> Option<Answer> {
    let mut peer = Peer::connect(addr).await;
    peer.send(request).await;
    peer.answer().await
}

/// An upstream that reads a request head (and `Content-Length` body) and answers with the bytes that `script` gives for
/// the n-th request of all connections; `None` closes instead. It closes after an answer for which `closes` holds.
pub async fn upstream(
    script: impl Fn(usize, &str) -> Option<Vec<u8>> + 'static,
) -> (SocketAddr, Rc<std::cell::Cell<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = Rc::new(std::cell::Cell::new(0));
    let count = Rc::clone(&connections);
    let requests = Rc::new(std::cell::Cell::new(0));
    let script = Rc::new(script);
    tokio::task::spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.set(count.get() + 1);
            let (script, requests) = (Rc::clone(&script), Rc::clone(&requests));
            tokio::task::spawn_local(async move {
                let mut peer = Peer {
                    stream,
                    received: Vec::new(),
                };
                while let Some(end) = peer.until("\r\n\r\n").await {
                    let head = String::from_utf8_lossy(&peer.received[..end]).into_owned();
                    peer.received.drain(..end);
                    let length = head
                        .lines()
                        .find_map(|line| {
                            line.to_ascii_lowercase()
                                .strip_prefix("content-length: ")?
                                .parse::<usize>()
                                .ok()
                        })
                        .unwrap_or(0);
                    while peer.received.len() < length && peer.more().await {}
                    peer.received.drain(..length.min(peer.received.len()));
                    requests.set(requests.get() + 1);
                    let Some(answer) = script(requests.get(), &head) else {
                        return;
                    };
                    if peer.stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (addr, connections)
}
