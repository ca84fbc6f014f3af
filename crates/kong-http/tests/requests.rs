//! What is accepted, what is refused, and that it does not depend on how the bytes are cut.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use kong_http::ServerConfig;
use std::time::Duration;
use support::{Peer, echo, exchange, on_worker, serve};

/// A request that asks for the connection to be closed.
fn get(head: &str) -> String {
    format!("GET / HTTP/1.1\r\n{head}Connection: close\r\n\r\n")
}

fn post(head: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{head}Connection: close\r\n\r\n{body}")
}

/// Request, expected status, and text that the echoed request must contain (for 200).
fn rows() -> Vec<(String, u16, &'static str)> {
    let line = |line: &str| format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n");
    let host = |host: &str| get(&format!("Host:{host}\r\n"));
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    let length = |length: &str| post(&format!("Content-Length: {length}\r\n"), "abc");
    let filler = |count: usize| "v".repeat(count);
    let mut rows = vec![
        // === the request line ===
        ("GARBAGE\r\n\r\n".into(), 400, ""),
        ("\x16\x03\x01\x02\x00".into(), 400, ""),
        (line("get / HTTP/1.1"), 400, ""),
        (line("G-T / HTTP/1.1"), 200, "G-T / "),
        (line("G_T / HTTP/1.1"), 200, "G_T / "),
        (line("G1T / HTTP/1.1"), 400, ""),
        (line("G!T / HTTP/1.1"), 400, ""),
        (line("GET / HTTX/1.1"), 400, ""),
        (line("GET / http/1.1"), 400, ""),
        (line("GET / FTP/1.0"), 400, ""),
        (line("GET / HTTP/1.2"), 200, "GET / Http1x"),
        (line("GET / HTTP/1.1 "), 200, "GET / Http11"),
        (line("GET / HTTP/2.0"), 505, ""),
        (line("GET / HTTP/3.0"), 505, ""),
        (line("GET / HTTP/10.0"), 505, ""),
        (line("GET / HTTP/1"), 400, ""),
        (line("GET / HTTP/0.9"), 400, ""),
        (line("GET / HTTP/1.x"), 400, ""),
        (line("GET / HTTP/1.1 x"), 400, ""),
        (line("GET /"), 400, ""),
        (line("GET  / HTTP/1.1"), 200, "GET / "),
        (line("GET /  HTTP/1.1"), 200, "GET / "),
        (line("GET\t/ HTTP/1.1"), 400, ""),
        (line("GET / a HTTP/1.1"), 400, ""),
        (line(" GET / HTTP/1.1"), 400, ""),
        (format!("\r\n\n\r\n{}", line("GET / HTTP/1.1")), 200, "GET / "),
        // === the target ===
        (line("GET x HTTP/1.1"), 400, ""),
        (line("GET ?a HTTP/1.1"), 400, ""),
        (line("GET @x HTTP/1.1"), 400, ""),
        (line("OPTIONS * HTTP/1.1"), 400, ""),
        (line("CONNECT a:80 HTTP/1.1"), 400, ""),
        (line("CONNECT / HTTP/1.1"), 405, ""),
        (line("TRACE / HTTP/1.1"), 405, ""),
        (line("GET /\u{fc}\"<>\\^`{|} HTTP/1.1"), 200, "GET /\u{fc}\"<>\\^`{|} "),
        (line("GET /a\x01 HTTP/1.1"), 400, ""),
        (line("GET /a\x7f HTTP/1.1"), 400, ""),
        (line("GET /a% HTTP/1.1"), 400, ""),
        (line("GET /a%2 HTTP/1.1"), 400, ""),
        (line("GET /a%zz HTTP/1.1"), 400, ""),
        (line("GET /%%41 HTTP/1.1"), 400, ""),
        (line("GET /a%00b HTTP/1.1"), 400, ""),
        (line("GET /?a=%zz%2 HTTP/1.1"), 200, "GET /?a=%zz%2 "),
        (line("GET /?a=/../.. HTTP/1.1"), 200, ""),
        (line("GET /.. HTTP/1.1"), 400, ""),
        (line("GET /a/../../b HTTP/1.1"), 400, ""),
        (line("GET /%2e%2e/b HTTP/1.1"), 400, ""),
        (line("GET /..%2fb HTTP/1.1"), 400, ""),
        (line("GET /a/..%2fb HTTP/1.1"), 200, ""),
        (line("GET http://b/x?y HTTP/1.1"), 200, "GET http://b/x?y "),
        (line("GET http://b?y HTTP/1.1"), 200, ""),
        (line("GET ftp://b HTTP/1.1"), 200, ""),
        (line("GET http:///x HTTP/1.1"), 400, ""),
        (line("GET http://u@b/x HTTP/1.1"), 400, ""),
        (line("GET http://a..b/x HTTP/1.1"), 400, ""),
        ("GET http://b/x HTTP/1.1\r\nConnection: close\r\n\r\n".into(), 400, ""),
        ("GET http://b/x HTTP/1.0\r\n\r\n".into(), 200, ""),
        // === Host ===
        (get(""), 400, ""),
        ("GET / HTTP/1.0\r\n\r\n".into(), 200, ""),
        (get("Host: a\r\nHost: a\r\n"), 400, ""),
        (get("Host\r\n"), 400, ""),
        // === lengths ===
        (
            post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            400,
            "",
        ),
        (
            post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"),
            400,
            "",
        ),
        (post("Content-Length: 1\r\nContent-Length: 1\r\n", "x"), 400, ""),
        (post("Content-Length: 1\r\nContent-Length: 2\r\n", "xx"), 400, ""),
        (
            post(
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                "0\r\n\r\n",
            ),
            400,
            "",
        ),
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            400,
            "",
        ),
        (length("0003"), 200, "\n\nabc"),
        (chunked("3;ext=1\r\nabc\r\n0\r\n\r\n"), 200, "\n\nabc"),
        (chunked("A\r\n0123456789\r\n0\r\n\r\n"), 200, "\n\n0123456789"),
        (chunked("3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"), 200, "\n\nabcde"),
        (chunked("003\nabc\n0\n\n"), 200, "\n\nabc"),
        (chunked("0\r\n\r\n"), 200, "\n\n"),
        (chunked("x\r\n"), 400, ""),
        (chunked("3\r\nabcd\r\n"), 400, ""),
        (chunked("-3\r\nabc\r\n0\r\n\r\n"), 400, ""),
        (
            post("Transfer-Encoding: Chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"),
            200,
            "\n\nabc",
        ),
        // === header lines ===
        (get("Host: a\r\nbogus\r\n"), 200, "\nbogus=\n"),
        (get("Host: a\r\nX-A : 1\r\n"), 400, ""),
        (get("Host: a\r\nX A: 1\r\n"), 400, ""),
        (get("Host: a\r\n: 1\r\n"), 400, ""),
        (get("Host: a\r\nX-A: 1\r\n 2\r\n"), 400, ""),
        (get("Host: a\r\nX-A: 1\r\n\t2\r\n"), 400, ""),
        (get(" X: 1\r\nHost: a\r\n"), 400, ""),
        (get("Host: a\r\nX-A: a\0b\r\n"), 400, ""),
        (get("Host: a\r\nX\0A: b\r\n"), 400, ""),
        (get("Host: a\r\nX-A: a\rb\r\n"), 400, ""),
        (
            get("Host: a\r\nX-A: a\x01\x7f\t\x0b\u{ff}b\r\n"),
            200,
            "X-A=a\x01\x7f\t\x0b\u{ff}b\n",
        ),
        (
            get("Host: a\r\nX$A: b\r\nX\u{e4}: c\r\nX_B: d\r\n"),
            200,
            "Host=a\nX_B=d\n",
        ),
        (
            "GET / HTTP/1.1\nHost: a\nX-A: 1\nConnection: close\n\n".into(),
            200,
            "Host=a\nX-A=1\n",
        ),
        (
            get("Host:   a  \r\nX-A:\t1 \r\nX-B:2\r\n"),
            200,
            "Host=a\nX-A=1\nX-B=2\n",
        ),
        (get("Host: a\r\nAuthorization: a\r\nauthorization: b\r\n"), 400, ""),
        // === sizes ===
        (get(&format!("Host: a\r\nX-A: {}\r\n", filler(9000))), 400, ""),
        (get(&format!("Host: a\r\nX-A: {}\r\n", filler(8100))), 200, ""),
        (line(&format!("GET /{} HTTP/1.1", filler(9000))), 414, ""),
        (line(&format!("GET /?{} HTTP/1.1", filler(9000))), 414, ""),
        (line(&format!("GET /{} HTTP/1.1", filler(8100))), 200, ""),
        (
            get(&format!(
                "Host: a\r\n{}",
                format!("X-A: {}\r\n", filler(4000)).repeat(9)
            )),
            400,
            "",
        ),
        (
            get(&format!(
                "Host: a\r\n{}",
                format!("X-A: {}\r\n", filler(4000)).repeat(7)
            )),
            200,
            "",
        ),
    ];
    for bad in ["", "  ", " a/b", " a b", " a\tb", " ..", " a..b", " a\x01"] {
        rows.push((host(bad), 400, ""));
    }
    for good in [
        ".a", "a_b", "-a-", "a.", "a:", "a:b", "[::1", "user@a", "a,b", "a;b", "a%41",
    ] {
        rows.push((host(good), 200, ""));
    }
    for bad in [
        "x",
        "-1",
        "+1",
        "1x",
        "0x1",
        "1,1",
        "99999999999999999999999",
        "",
        "9223372036854775808",
    ] {
        rows.push((length(bad), 400, ""));
    }
    for coding in ["gzip", "gzip, chunked", "identity", "chunked, chunked", "xchunked", ""] {
        rows.push((post(&format!("Transfer-Encoding: {coding}\r\n"), "0\r\n\r\n"), 501, ""));
    }
    rows
}

#[test]
fn requests_are_accepted_and_refused_as_the_reference_says() {
    on_worker(async {
        let server = serve(ServerConfig::default(), echo);
        for (request, status, contains) in rows() {
            let shown: String = request.chars().take(120).collect();
            let answer = exchange(server.addr, &request).await;
            let answer = answer.unwrap_or_else(|| panic!("no answer to {shown:?}"));
            assert_eq!(answer.status, status, "{shown:?}");
            assert!(
                answer.text().contains(contains),
                "{shown:?} was read as {:?}",
                answer.text()
            );
            assert_eq!(answer.header("connection"), Some("close"), "{shown:?}");
        }
    });
}

#[test]
fn the_answer_does_not_depend_on_how_the_bytes_are_cut() {
    on_worker(async {
        let server = serve(ServerConfig::default(), echo);
        for (request, ..) in rows() {
            let request = request.as_bytes();
            let whole = exchange(server.addr, request)
                .await
                .map(|answer| (answer.status, answer.body));
            // Every cut of a short request, some cuts of a long one.
            let step = request.len() / 150 + 1;
            for cut in (1..request.len()).step_by(step) {
                let cut_answer = in_pieces(server.addr, &[&request[..cut], &request[cut..]]).await;
                assert_eq!(
                    cut_answer,
                    whole,
                    "{:?} cut at {cut}",
                    String::from_utf8_lossy(&request[..request.len().min(120)])
                );
            }
        }
    });
}

#[test]
fn requests_that_come_byte_by_byte_are_read_the_same() {
    on_worker(async {
        let server = serve(ServerConfig::default(), echo);
        for (request, ..) in rows().into_iter().filter(|(request, ..)| request.len() < 300) {
            let request = request.as_bytes();
            let whole = exchange(server.addr, request)
                .await
                .map(|answer| (answer.status, answer.body));
            let pieces: Vec<&[u8]> = request.chunks(1).collect();
            let cut_answer = in_pieces(server.addr, &pieces).await;
            assert_eq!(cut_answer, whole, "{:?}", String::from_utf8_lossy(request));
        }
    });
}

/// Sends the pieces one by one, giving the server a chance to read in between. A refused request may be answered before
/// all was sent.
async fn in_pieces(addr: std::net::SocketAddr, pieces: &[&[u8]]) -> Option<(u16, Vec<u8>)> {
    use tokio::io::AsyncWriteExt;
    let mut peer = Peer::connect(addr).await;
    for piece in pieces {
        if peer.stream.write_all(piece).await.is_err() {
            break;
        }
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }
    peer.answer().await.map(|answer| (answer.status, answer.body))
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    on_worker(async {
        let server = serve(ServerConfig::default(), echo);
        let mut peer = Peer::connect(server.addr).await;
        let requests = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
                        POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
                        POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n\
                        GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        for cut in 0..requests.len() {
            let mut peer = if cut == 0 {
                std::mem::replace(&mut peer, Peer::connect(server.addr).await)
            } else {
                Peer::connect(server.addr).await
            };
            peer.send(&requests[..cut]).await;
            tokio::task::yield_now().await;
            peer.send(&requests[cut..]).await;
            for (index, body) in ["", "abc", "de", ""].iter().enumerate() {
                let answer = peer.answer().await.unwrap();
                assert!(answer.text().contains(&format!(" /{} ", index + 1)), "cut at {cut}");
                assert!(answer.text().ends_with(&format!("\n\n{body}")), "cut at {cut}");
            }
            assert!(peer.is_closed().await);
        }
    });
}

#[test]
fn slow_and_half_open_clients_are_dropped() {
    on_worker(async {
        let short = Duration::from_millis(100);
        let config = ServerConfig {
            header_timeout: short,
            body_timeout: short,
            idle_timeout: short,
            ..ServerConfig::default()
        };
        let server = serve(config, echo);
        // Nothing sent: closed without a word.
        assert!(Peer::connect(server.addr).await.is_closed().await);
        // Half a head: 408.
        assert_eq!(exchange(server.addr, "GET / HTTP/1.1\r\nHo").await.unwrap().status, 408);
        // Half a body: the service is told.
        let half = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";
        let answer = exchange(server.addr, half).await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
        // An idle connection after a request.
        let mut peer = Peer::connect(server.addr).await;
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(peer.answer().await.unwrap().header("connection"), Some("keep-alive"));
        assert!(peer.is_closed().await);
    });
}
