//! How responses are framed, how connections end, and what the log phase is told.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use bytes::Bytes;
use kong_http::{ServerConfig, Upgrade, sleep};
use kong_message::{Body, BodyError, BodyStream, Request, Response, ResponseHead, SendReport};
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use support::{Peer, echo, exchange, on_worker, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A body that yields these pieces, waiting before each.
struct Slow(
    Vec<Result<&'static str, BodyError>>,
    Option<Pin<Box<dyn Future<Output = ()>>>>,
);

fn slow(pieces: Vec<Result<&'static str, BodyError>>) -> Body {
    Body::from_stream(Slow(pieces, None))
}

impl BodyStream for Slow {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let wait = self.1.get_or_insert_with(|| Box::pin(sleep(Duration::from_millis(10))));
        std::task::ready!(wait.as_mut().poll(cx));
        self.1 = None;
        Poll::Ready(Some(self.0.remove(0).map(|piece| Bytes::from_static(piece.as_bytes()))))
    }
}

/// What the path asks for.
async fn answer(request: Request) -> Response {
    let path = request.head.path_str().unwrap_or_default().to_owned();
    let mut head = ResponseHead::new(200);
    match path.as_str() {
        "/empty" => Response::new(head, Body::Empty),
        "/memory" => Response::new(head, "hello"),
        "/large" => Response::new(head, Bytes::from(vec![b'x'; 300_000])),
        "/stream" => Response::new(head, slow(vec![Ok("one"), Ok("two"), Ok("three")])),
        "/broken" => Response::new(head, slow(vec![Ok("one"), Err(BodyError::Aborted)])),
        "/204" => Response::new(ResponseHead::new(204), "never"),
        "/304" => {
            head.status = 304;
            head.headers.append("Content-Length", "77");
            Response::new(head, Body::Empty)
        }
        "/upstream-head" => {
            head.headers.append("Content-Length", "5");
            Response::new(
                head,
                if request.head.method == "HEAD" {
                    Body::Empty
                } else {
                    "hello".into()
                },
            )
        }
        "/reason" => {
            head.reason = Some(Bytes::from_static(b"Fine\r\nX: y"));
            Response::new(head, Body::Empty)
        }
        "/hop" => {
            for (name, value) in [
                ("connection", "x"),
                ("Keep-Alive", "5"),
                ("transfer-encoding", "chunked"),
                ("Date", "today"),
            ] {
                head.headers.append(name, value);
            }
            Response::new(head, "hello")
        }
        "/close" => {
            let mut response = Response::new(head, "bye");
            response.close = true;
            response
        }
        _ => echo(request).await,
    }
}

#[test]
fn responses_are_framed_by_what_is_known_of_them() {
    // request line, status, content-length, transfer-encoding, connection, body
    #[allow(clippy::type_complexity)]
    let rows: &[(&str, u16, Option<&str>, Option<&str>, &str, &str)] = &[
        ("GET /empty HTTP/1.1", 200, Some("0"), None, "keep-alive", ""),
        ("GET /memory HTTP/1.1", 200, Some("5"), None, "keep-alive", "hello"),
        ("HEAD /memory HTTP/1.1", 200, Some("5"), None, "keep-alive", ""),
        ("HEAD /upstream-head HTTP/1.1", 200, Some("5"), None, "keep-alive", ""),
        (
            "GET /upstream-head HTTP/1.1",
            200,
            Some("5"),
            None,
            "keep-alive",
            "hello",
        ),
        (
            "GET /stream HTTP/1.1",
            200,
            None,
            Some("chunked"),
            "keep-alive",
            "onetwothree",
        ),
        ("HEAD /stream HTTP/1.1", 200, None, None, "keep-alive", ""),
        ("GET /stream HTTP/1.0", 200, None, None, "close", "onetwothree"),
        ("GET /memory HTTP/1.0", 200, Some("5"), None, "close", "hello"),
        ("GET /204 HTTP/1.1", 204, None, None, "keep-alive", ""),
        ("GET /304 HTTP/1.1", 304, Some("77"), None, "keep-alive", ""),
        ("GET /hop HTTP/1.1", 200, Some("5"), None, "keep-alive", "hello"),
        ("GET /close HTTP/1.1", 200, Some("3"), None, "close", "bye"),
    ];
    on_worker(async {
        let server = serve(ServerConfig::default(), answer);
        for (line, status, length, coding, connection, body) in rows {
            let method = line.split(' ').next().unwrap();
            let mut peer = Peer::connect(server.addr).await;
            peer.send(format!("{line}\r\nHost: a\r\n\r\n")).await;
            let answer = peer.answer_to(method).await.unwrap();
            let shown = (
                answer.status,
                answer.header("content-length"),
                answer.header("transfer-encoding"),
            );
            assert_eq!(shown, (*status, *length, *coding), "{line}");
            assert_eq!(answer.header("connection"), Some(*connection), "{line}");
            assert_eq!(answer.text(), *body, "{line}");
            assert_eq!(answer.head.matches("\r\nDate: ").count(), 1, "{line}");
            assert!(answer.header("keep-alive").is_none());
            if *connection == "close" {
                assert!(peer.is_closed().await, "{line}");
            } else {
                peer.send("GET /memory HTTP/1.1\r\nHost: a\r\n\r\n").await;
                assert_eq!(peer.answer().await.unwrap().text(), "hello", "after {line}");
            }
        }
        let reason = exchange(server.addr, "GET /reason HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        assert!(reason.head.starts_with("HTTP/1.1 200 Fine  X: y\r\n"));
        let large = exchange(server.addr, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(large.body.len(), 300_000);
    });
}

#[test]
fn connections_persist_as_client_version_and_limits_say() {
    let rows = [
        ("HTTP/1.1", "", "keep-alive"),
        ("HTTP/1.1", "Connection: close\r\n", "close"),
        ("HTTP/1.1", "Connection: x, Close\r\n", "close"),
        ("HTTP/1.0", "", "close"),
        ("HTTP/1.0", "Connection: Keep-Alive\r\n", "keep-alive"),
        (
            "HTTP/1.0",
            "Connection: close\r\nConnection: keep-alive\r\n",
            "keep-alive",
        ),
    ];
    on_worker(async {
        let server = serve(ServerConfig::default(), answer);
        for (version, header, expected) in rows {
            let answer = exchange(server.addr, format!("GET /memory {version}\r\nHost: a\r\n{header}\r\n"))
                .await
                .unwrap();
            assert_eq!(answer.header("connection"), Some(expected), "{version} {header}");
        }
        let server = serve(
            ServerConfig {
                max_requests: 2,
                ..ServerConfig::default()
            },
            answer,
        );
        let mut peer = Peer::connect(server.addr).await;
        for expected in ["keep-alive", "close"] {
            peer.send("GET /memory HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(peer.answer().await.unwrap().header("connection"), Some(expected));
        }
        assert!(peer.is_closed().await);
    });
}

#[test]
fn a_body_that_fails_cuts_the_connection() {
    on_worker(async {
        let server = serve(ServerConfig::default(), answer);
        let mut peer = Peer::connect(server.addr).await;
        peer.send("GET /broken HTTP/1.1\r\nHost: a\r\n\r\n").await;
        while peer.more().await {}
        let text = String::from_utf8(peer.received).unwrap();
        assert!(text.ends_with("3\r\none\r\n"), "{text}");
    });
}

#[test]
fn a_client_that_waits_is_told_to_continue_when_its_body_is_read() {
    on_worker(async {
        let server = serve(ServerConfig::default(), answer);
        let mut peer = Peer::connect(server.addr).await;
        let head = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-Continue\r\n\r\n";
        peer.send(head).await;
        assert_eq!(peer.answer().await.unwrap().head, "HTTP/1.1 100 Continue\r\n\r\n");
        peer.send("abc").await;
        let answer = peer.answer().await.unwrap();
        assert!(answer.text().ends_with("\n\nabc"));
        assert_eq!(answer.header("connection"), Some("keep-alive"));
        // A service that does not want the body answers at once; what the client does then is open, so it is closed.
        peer.send(head.replace("/x", "/memory")).await;
        let answer = peer.answer().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    });
}

#[test]
fn a_body_that_nobody_read_is_skipped() {
    on_worker(async {
        let server = serve(ServerConfig::default(), answer);
        let mut peer = Peer::connect(server.addr).await;
        for body in [
            "Content-Length: 3\r\n\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ] {
            peer.send(format!("POST /memory HTTP/1.1\r\nHost: a\r\n{body}")).await;
            assert_eq!(peer.answer().await.unwrap().text(), "hello");
        }
        let large = format!(
            "POST /memory HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n{}",
            "x".repeat(1_000_000)
        );
        peer.send(large).await;
        assert_eq!(peer.answer().await.unwrap().text(), "hello");
        peer.send("GET /memory HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(peer.answer().await.unwrap().text(), "hello");
    });
}

#[test]
fn bodies_over_the_limit_are_refused_and_the_client_sees_the_answer() {
    on_worker(async {
        let server = serve(
            ServerConfig {
                max_body: 1024,
                ..ServerConfig::default()
            },
            answer,
        );
        let body = "x".repeat(5_000_000);
        for head in [
            "Content-Length: 5000000\r\n\r\n".to_owned(),
            format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len()),
        ] {
            let mut peer = Peer::connect(server.addr).await;
            let request = format!("POST /x HTTP/1.1\r\nHost: a\r\n{head}{body}");
            // The server stops reading early; the answer must arrive although not everything was sent.
            let (mut reading, mut writing) = peer.stream.split();
            let mut received = Vec::new();
            let send = async {
                let _ = writing.write_all(request.as_bytes()).await;
            };
            let receive = async {
                let mut buffer = [0; 4096];
                let count = reading.read(&mut buffer).await.unwrap();
                received.extend_from_slice(&buffer[..count]);
            };
            tokio::join!(send, receive);
            let text = String::from_utf8_lossy(&received);
            assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
            assert!(text.contains("Connection: close\r\n"));
        }
        let refused = exchange(
            server.addr,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n",
        )
        .await
        .unwrap();
        assert_eq!(refused.status, 413);
        let passed = exchange(
            server.addr,
            format!(
                "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1024\r\n\r\n{}",
                "x".repeat(1024)
            ),
        );
        assert_eq!(passed.await.unwrap().status, 200);
    });
}

#[test]
fn a_client_that_goes_away_ends_the_work_for_it() {
    struct Guard(Rc<Cell<usize>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    on_worker(async {
        let dropped = Rc::new(Cell::new(0));
        let counter = Rc::clone(&dropped);
        let server = serve(ServerConfig::default(), move |_| {
            let guard = Guard(Rc::clone(&counter));
            async move {
                sleep(Duration::from_secs(600)).await;
                drop(guard);
                Response::status(200)
            }
        });
        let mut peer = Peer::connect(server.addr).await;
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        sleep(Duration::from_millis(50)).await;
        assert_eq!(dropped.get(), 0);
        drop(peer);
        sleep(Duration::from_millis(50)).await;
        assert_eq!(dropped.get(), 1);
    });
}

#[test]
fn the_log_phase_learns_what_was_sent() {
    on_worker(async {
        let reports: Rc<RefCell<Vec<SendReport>>> = Rc::default();
        let sink = Rc::clone(&reports);
        let server = serve(
            ServerConfig {
                send_timeout: Duration::from_millis(200),
                ..ServerConfig::default()
            },
            move |request| {
                let sink = Rc::clone(&sink);
                async move {
                    let mut response = match request.head.path() {
                        b"/huge" => Response::new(ResponseHead::new(200), Bytes::from(vec![0; 20_000_000])),
                        b"/forever" => {
                            Response::new(ResponseHead::new(200), slow((0..10_000).map(|_| Ok("x")).collect()))
                        }
                        _ => answer(request).await,
                    };
                    response.on_finish = Some(Box::new(move |report| sink.borrow_mut().push(report)));
                    response
                }
            },
        );
        let mut peer = Peer::connect(server.addr).await;
        peer.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = peer.answer().await.unwrap();
        let framing = "3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n".len();
        let sent = (answer.head.len() + framing) as u64;
        assert_eq!(
            reports.borrow_mut().pop(),
            Some(SendReport {
                bytes_sent: sent,
                body_bytes_sent: 11,
                aborted: false
            })
        );
        // A client that does not read.
        peer.send("GET /huge HTTP/1.1\r\nHost: a\r\n\r\n").await;
        sleep(Duration::from_millis(700)).await;
        let report = reports.borrow_mut().pop().unwrap();
        assert!(report.aborted && report.bytes_sent < 20_000_000);
        // A client that leaves during the response.
        let mut peer = Peer::connect(server.addr).await;
        peer.send("GET /forever HTTP/1.1\r\nHost: a\r\n\r\n").await;
        peer.until("1\r\nx").await.unwrap();
        drop(peer);
        sleep(Duration::from_millis(100)).await;
        assert!(reports.borrow_mut().pop().unwrap().aborted);
    });
}

#[test]
fn a_drain_lets_requests_finish_and_closes_the_rest() {
    on_worker(async {
        let config = ServerConfig {
            drain_grace: Duration::from_millis(50),
            ..ServerConfig::default()
        };
        let server = serve(config, |request| async {
            sleep(Duration::from_millis(150)).await;
            answer(request).await
        });
        let mut idle = Peer::connect(server.addr).await;
        idle.send("GET /memory HTTP/1.1\r\nHost: a\r\n\r\n").await;
        idle.answer().await.unwrap();
        let mut busy = Peer::connect(server.addr).await;
        busy.send("GET /memory HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut fresh = Peer::connect(server.addr).await;
        sleep(Duration::from_millis(50)).await;
        server.drain.start();
        // One more request within the grace is answered, and told to be the last.
        idle.send("GET /memory HTTP/1.1\r\nHost: a\r\n\r\n").await;
        for peer in [&mut busy, &mut idle] {
            let answer = peer.answer().await.unwrap();
            assert_eq!(
                (answer.text().as_str(), answer.header("connection")),
                ("hello", Some("close"))
            );
            assert!(peer.is_closed().await);
        }
        assert!(fresh.is_closed().await);
        server.run.await.unwrap().unwrap();
        assert!(tokio::net::TcpStream::connect(server.addr).await.is_err());
    });
}

#[test]
fn an_upgraded_connection_is_handed_over_with_what_was_sent_ahead() {
    on_worker(async {
        let server = serve(ServerConfig::default(), |_| async {
            let mut response = Response::status(101);
            response.head.headers.append("Upgrade", "websocket");
            Upgrade::new(|mut io| async move {
                let mut bytes = [0; 5];
                io.read_exact(&mut bytes).await.unwrap();
                bytes.reverse();
                io.write_all(&bytes).await.unwrap();
                kong_http::TunnelReport::default()
            })
            .attach(&mut response);
            response
        });
        let mut peer = Peer::connect(server.addr).await;
        peer.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nab")
            .await;
        let answer = peer.answer().await.unwrap();
        assert_eq!(
            (answer.status, answer.header("connection"), answer.header("upgrade")),
            (101, Some("upgrade"), Some("websocket"))
        );
        assert!(answer.header("content-length").is_none() && answer.header("transfer-encoding").is_none());
        peer.send("cde").await;
        while peer.more().await {}
        assert_eq!(peer.received, b"edcba");
    });
}
