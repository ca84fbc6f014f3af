//! The client: pools, retries on stale connections, framing, timeouts, tunnels; most of it through the server.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use bytes::Bytes;
use kong_http::{
    BufferConfig, Client, ClientConfig, Endpoint, Failure, ServerConfig, Stage, Timeouts, UpstreamError, UpstreamHead,
    UpstreamResponse, buffer_body, sleep,
};
use kong_message::{Body, HeaderBlock, Method, Request, Response};
use std::net::SocketAddr;
use std::time::Duration;
use support::{Peer, exchange, on_worker, serve, upstream};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

fn timeouts(millis: u64) -> Timeouts {
    let limit = Duration::from_millis(millis);
    Timeouts {
        connect: limit,
        write: limit,
        read: limit,
    }
}

async fn send(
    client: &Client,
    addr: SocketAddr,
    method: &Method,
    body: &mut Body,
    limits: &Timeouts,
) -> Result<UpstreamResponse, UpstreamError> {
    let headers = HeaderBlock::new();
    let head = UpstreamHead {
        method,
        target: b"/x?y",
        host: Some(b"h.test"),
        headers: &headers,
        upgrade: false,
    };
    client.send(&Endpoint::plain(addr), &head, body, limits).await
}

async fn get(client: &Client, addr: SocketAddr) -> Result<UpstreamResponse, UpstreamError> {
    send(client, addr, &Method::GET, &mut Body::Empty, &timeouts(5000)).await
}

#[test]
fn responses_of_every_framing_are_read_and_the_connection_kept_where_it_may_be() {
    // answer, body or failure, whether the connection is used again
    let rows: &[(&str, Option<&str>, bool)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Some("hello"), true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Some(""), true),
        ("HTTP/1.1 204 No Content\r\n\r\n", Some(""), true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Some(""), true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            Some("abc"),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;e\nabc\n0\nX: y\n\n",
            Some("abc"),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
            Some("hello"),
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            Some("hello"),
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
            Some("hello"),
            false,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            Some("ok"),
            true,
        ),
        ("HTTP/1.1 200 OK\nX Y: odd\n\n", None, false),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            None,
            false,
        ),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", None, false),
        ("SSH-2.0-OpenSSH_9\r\n", None, false),
        ("\x15\x03\x01\x00\x02\x02\x0a", None, false),
    ];
    on_worker(async {
        for (text, body, reused) in rows {
            for cut in 0..text.len() {
                let (first, second) = text.split_at(cut);
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let addr = listener.local_addr().unwrap();
                let (first, second) = (first.to_owned(), second.to_owned());
                tokio::task::spawn_local(async move {
                    let (stream, _) = listener.accept().await.unwrap();
                    let mut peer = Peer {
                        stream,
                        received: Vec::new(),
                    };
                    peer.until("\r\n\r\n").await.unwrap();
                    let _ = peer.stream.write_all(first.as_bytes()).await;
                    for _ in 0..8 {
                        tokio::task::yield_now().await;
                    }
                    let _ = peer.stream.write_all(second.as_bytes()).await;
                    while peer.more().await {}
                });
                let client = Client::new(ClientConfig::default());
                let answer = get(&client, addr).await;
                let read = match answer {
                    Ok(mut answer) => Some(answer.body.collect(1000).await.unwrap()),
                    Err(error) => {
                        assert!(
                            matches!(error.failure, Failure::InvalidResponse(_)),
                            "{text:?}: {error}"
                        );
                        None
                    }
                };
                assert_eq!(read.as_deref(), body.map(str::as_bytes), "{text:?} cut at {cut}");
                // Bytes that come only after the body was read spoil the connection when it is taken.
                if *reused {
                    assert_eq!(client.idle_connections(), 1, "{text:?} cut at {cut}");
                } else if !text.ends_with("more") {
                    assert_eq!(client.idle_connections(), 0, "{text:?} cut at {cut}");
                }
            }
        }
    });
}

#[test]
fn the_request_is_written_canonically() {
    on_worker(async {
        let seen = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
        let sink = seen.clone();
        let (addr, _) = upstream(move |_, head| {
            *sink.borrow_mut() = head.to_owned();
            Some(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())
        })
        .await;
        let client = Client::new(ClientConfig::default());
        let lines = [
            ("X-A", "1"),
            ("host", "no"),
            ("connection", "no"),
            ("Content-Length", "9"),
            ("transfer-encoding", "no"),
            ("Upgrade", "h2c"),
            ("x-b", "2"),
        ];
        let mut headers: HeaderBlock = lines.into_iter().collect();
        // target, upgrade, whether the client announced a body, body, expected
        let rows: &[(&[u8], bool, bool, &str, &str)] = &[
            (
                b"/a b\r\nX: y",
                false,
                true,
                "",
                "PUT /a%20b%0D%0AX:%20y HTTP/1.1\r\nHost: h.test\r\nConnection: keep-alive\r\nContent-Length: 0\r\nX-A: 1\r\nUpgrade: h2c\r\nx-b: 2\r\n\r\n",
            ),
            (
                b"/",
                false,
                true,
                "abc",
                "PUT / HTTP/1.1\r\nHost: h.test\r\nConnection: keep-alive\r\nContent-Length: 3\r\nX-A: 1\r\nUpgrade: h2c\r\nx-b: 2\r\n\r\n",
            ),
            (
                b"",
                true,
                false,
                "",
                "PUT / HTTP/1.1\r\nHost: h.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\nx-b: 2\r\n\r\n",
            ),
        ];
        for (target, upgrade, announced, body, expected) in rows {
            if !announced {
                headers.remove("content-length");
                headers.remove("transfer-encoding");
            }
            let method = Method::from_bytes(b"PUT").unwrap();
            let head = UpstreamHead {
                method: &method,
                target,
                host: Some(b"h.te\r\nst"),
                headers: &headers,
                upgrade: *upgrade,
            };
            client
                .send(&Endpoint::plain(addr), &head, &mut (*body).into(), &timeouts(5000))
                .await
                .unwrap();
            assert_eq!(*seen.borrow(), *expected);
        }
        assert_eq!(client.idle_connections(), 1);
    });
}

#[test]
fn pools_are_limited_and_young_connections_come_first() {
    on_worker(async {
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let (addr, connections) = upstream(|_, _| Some(ok.to_vec())).await;
        let client = Client::new(ClientConfig {
            pool_size: 2,
            max_requests: 3,
            ..ClientConfig::default()
        });
        let (a, b, c) = tokio::join!(get(&client, addr), get(&client, addr), get(&client, addr));
        assert!(!a.unwrap().reused && !b.unwrap().reused && !c.unwrap().reused);
        assert_eq!((client.idle_connections(), connections.get()), (2, 3));
        for reused in [true, true, true, true, false] {
            assert_eq!(get(&client, addr).await.unwrap().reused, reused);
        }
        let none = Client::new(ClientConfig {
            pool_size: 0,
            ..ClientConfig::default()
        });
        get(&none, addr).await.unwrap();
        assert!(!get(&none, addr).await.unwrap().reused);
        let brief = Client::new(ClientConfig {
            idle_timeout: Duration::from_millis(50),
            ..ClientConfig::default()
        });
        get(&brief, addr).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        assert!(!get(&brief, addr).await.unwrap().reused);
        sleep(Duration::from_millis(1500)).await;
        assert_eq!(brief.idle_connections(), 0);
    });
}

#[test]
fn a_pooled_connection_that_was_closed_is_replaced_unseen() {
    on_worker(async {
        // Every second request is closed instead of answered, as by an upstream whose keep-alive time ran out.
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let (addr, connections) = upstream(|nth, _| (nth != 2 && nth != 5).then(|| ok.to_vec())).await;
        let client = Client::new(ClientConfig::default());
        get(&client, addr).await.unwrap();
        let answer = get(&client, addr).await.unwrap(); // request 2 fails, 3 is its repetition
        assert!(!answer.reused);
        assert_eq!(connections.get(), 2);
        get(&client, addr).await.unwrap();
        // A POST that may have been seen is not repeated.
        let error = send(&client, addr, &Method::POST, &mut "abc".into(), &timeouts(5000))
            .await
            .unwrap_err();
        assert!(error.reused && error.request_sent && !error.is_timeout());
        assert_eq!(error.stage, Stage::Head);
        assert_eq!(connections.get(), 2);
    });
}

#[test]
fn connections_closed_while_idle_are_not_used() {
    on_worker(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut peer = Peer {
                    stream,
                    received: Vec::new(),
                };
                peer.until("\r\n\r\n").await.unwrap();
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
        let client = Client::new(ClientConfig::default());
        get(&client, addr).await.unwrap();
        sleep(Duration::from_millis(30)).await;
        // A POST goes through because the closed connection is noticed before anything is sent on it.
        send(&client, addr, &Method::POST, &mut "abc".into(), &timeouts(5000))
            .await
            .unwrap();
    });
}

#[test]
fn failures_say_how_far_the_request_had_come() {
    on_worker(async {
        let client = Client::new(ClientConfig::default());
        let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = get(&client, unused).await.unwrap_err();
        assert_eq!(
            (error.stage, error.request_sent, error.is_timeout()),
            (Stage::Connect, false, false)
        );

        let (closing, _) = upstream(|_, _| None).await;
        let error = get(&client, closing).await.unwrap_err();
        assert_eq!(
            (error.stage, error.request_sent, error.is_timeout()),
            (Stage::Head, true, false)
        );

        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = silent.local_addr().unwrap();
        let error = send(&client, addr, &Method::GET, &mut Body::Empty, &timeouts(100))
            .await
            .unwrap_err();
        assert_eq!(
            (error.stage, error.request_sent, error.is_timeout()),
            (Stage::Head, true, true)
        );

        // Takes nothing: the write timeout.
        let mut body = Body::from(vec![0; 30_000_000]);
        let error = send(&client, addr, &Method::POST, &mut body, &timeouts(200))
            .await
            .unwrap_err();
        assert_eq!(
            (error.stage, error.request_sent, error.is_timeout()),
            (Stage::Send, true, true)
        );
        assert_eq!(body.len(), Some(30_000_000));

        let (huge, _) =
            upstream(|_, _| Some(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(9000)).into_bytes())).await;
        let error = get(&client, huge).await.unwrap_err();
        assert!(matches!(error.failure, Failure::InvalidResponse(_)));

        let (short, _) = upstream(|nth, _| {
            (nth == 1).then(|| b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nabc".to_vec())
        })
        .await;
        let mut answer = send(&client, short, &Method::GET, &mut Body::Empty, &timeouts(100))
            .await
            .unwrap();
        assert!(answer.body.collect(100).await.is_err());
    });
}

/// A proxy of a few lines.
fn proxy(client: Client, upstream: SocketAddr, buffer: Option<BufferConfig>) -> support::Server {
    serve(ServerConfig::default(), move |mut request: Request| {
        let (client, buffer) = (client.clone(), buffer.clone());
        async move {
            if let Some(config) = buffer {
                request.body = match buffer_body(request.body, &config).await {
                    Ok(body) => body,
                    Err(_) => return Response::status(400),
                };
            }
            let upgrade = request.head.headers.contains("upgrade");
            let head = UpstreamHead {
                method: &request.head.method,
                target: request.head.target_parts().path_and_query(),
                host: request.head.host(),
                headers: &request.head.headers,
                upgrade,
            };
            match client
                .send(&Endpoint::plain(upstream), &head, &mut request.body, &timeouts(2000))
                .await
            {
                Ok(answer) => {
                    let mut response = Response::new(answer.head, answer.body);
                    if let Some(tunnel) = answer.tunnel {
                        tunnel
                            .into_upgrade(Duration::from_millis(300), Duration::from_secs(1))
                            .attach(&mut response);
                    }
                    response
                }
                Err(error) => Response::status(if error.is_timeout() { 504 } else { 502 }),
            }
        }
    })
}

#[test]
fn bodies_go_both_ways_in_both_buffering_modes() {
    on_worker(async {
        let dir = tempfile::tempdir().unwrap();
        let origin = serve(ServerConfig::default(), support::echo);
        let size = 3_000_000;
        for buffer in [
            None,
            Some(BufferConfig {
                memory: 8192,
                dir: dir.path().to_owned(),
            }),
        ] {
            let is_buffered = buffer.is_some();
            let client = Client::new(ClientConfig::default());
            let proxy = proxy(client.clone(), origin.addr, buffer);
            for chunked in [false, true] {
                let mut peer = Peer::connect(proxy.addr).await;
                let framing = if chunked {
                    "Transfer-Encoding: chunked".into()
                } else {
                    format!("Content-Length: {size}")
                };
                peer.send(format!("POST /x HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"))
                    .await;
                let mut left = size;
                while left > 0 {
                    let piece = vec![b'x'; left.min(40_000)];
                    left -= piece.len();
                    if chunked {
                        peer.send(format!("{:x}\r\n", piece.len())).await;
                    }
                    peer.send(&piece).await;
                    if chunked {
                        peer.send("\r\n").await;
                    }
                }
                if chunked {
                    peer.send("0\r\n\r\n").await;
                }
                let answer = peer.answer().await.unwrap();
                let text = answer.text();
                let (head, body) = text.split_once("\n\n").unwrap();
                assert_eq!(body.len(), size);
                let has_length = head.contains(&format!("Content-Length={size}"));
                assert_eq!(has_length, is_buffered || !chunked, "{head}");
            }
            assert_eq!(client.idle_connections(), 1);
        }
    });
}

#[test]
fn an_answer_that_comes_before_the_request_ended_is_passed_on_while_the_rest_is_sent() {
    on_worker(async {
        // An origin that echoes while it reads, and a client that reads only after it sent everything: more than all
        // socket buffers hold, so that only sending and receiving at the same time gets to the end.
        let origin = serve(ServerConfig::default(), |request: Request| async {
            Response::new(
                kong_message::ResponseHead::new(200),
                Body::from_stream(Relay(request.body)),
            )
        });
        struct Relay(Body);
        impl kong_message::BodyStream for Relay {
            fn poll_chunk(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<Bytes, kong_message::BodyError>>> {
                self.0.poll_chunk(cx)
            }
        }
        let proxy = proxy(Client::new(ClientConfig::default()), origin.addr, None);
        let mut peer = Peer::connect(proxy.addr).await;
        let size = 1_000_000;
        peer.send(format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"))
            .await;
        peer.send("x".repeat(10)).await;
        peer.until("\r\n\r\n").await.unwrap();
        peer.send("x".repeat(size - 10)).await;
        peer.until("0\r\n\r\n").await.unwrap();
    });
}

#[test]
fn a_client_that_aborts_its_upload_leaves_no_file_and_no_request() {
    on_worker(async {
        let dir = tempfile::tempdir().unwrap();
        let (addr, connections) = upstream(|_, _| Some(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec())).await;
        let config = BufferConfig {
            memory: 8192,
            dir: dir.path().to_owned(),
        };
        let proxy = proxy(Client::new(ClientConfig::default()), addr, Some(config));
        let mut peer = Peer::connect(proxy.addr).await;
        peer.send(format!(
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n{}",
            "x".repeat(100_000)
        ))
        .await;
        sleep(Duration::from_millis(30)).await;
        drop(peer);
        sleep(Duration::from_millis(30)).await;
        assert_eq!(connections.get(), 0);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let open_files = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        assert_eq!(open_files.filter(|path| path.starts_with(dir.path())).count(), 0);
    });
}

#[test]
fn websockets_are_tunnelled_until_both_are_silent() {
    on_worker(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut peer = Peer {
                stream,
                received: Vec::new(),
            };
            let end = peer.until("\r\n\r\n").await.unwrap();
            peer.received.drain(..end);
            peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nahead")
                .await;
            loop {
                let received = std::mem::take(&mut peer.received);
                peer.send(received).await;
                if !peer.more().await {
                    return;
                }
            }
        });
        let proxy = proxy(Client::new(ClientConfig::default()), addr, None);
        let mut peer = Peer::connect(proxy.addr).await;
        peer.send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst")
            .await;
        let head = peer.answer().await.unwrap();
        assert_eq!((head.status, head.header("upgrade")), (101, Some("websocket")));
        peer.until("aheadfirst").await.unwrap();
        let large = "x".repeat(1_000_000);
        let (mut reading, mut writing) = peer.stream.split();
        let receive = async {
            let mut buffer = vec![0; large.len()];
            tokio::io::AsyncReadExt::read_exact(&mut reading, &mut buffer)
                .await
                .unwrap();
        };
        let (sent, ()) = tokio::join!(writing.write_all(large.as_bytes()), receive);
        sent.unwrap();
        peer.received.clear();
        let begun = std::time::Instant::now();
        assert!(peer.is_closed().await);
        assert!(begun.elapsed() >= Duration::from_millis(290));
    });
}

#[test]
fn a_slow_upstream_is_a_timeout_and_a_dead_one_is_not() {
    on_worker(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slow = proxy(Client::new(ClientConfig::default()), silent.local_addr().unwrap(), None);
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let dead = proxy(Client::new(ClientConfig::default()), dead, None);
        let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        assert_eq!(exchange(slow.addr, request).await.unwrap().status, 504);
        assert_eq!(exchange(dead.addr, request).await.unwrap().status, 502);
    });
}
