//! Clients that are slow, half-open, huge or talk nonsense cost themselves their answer and the node nothing.

use std::net::Shutdown;
use std::time::Duration;

use kong_tests::{Client, Request};

use crate::{assert_unharmed, echo_gateway};

/// Nonsense, and whether it may be answered with a status of these. Every one may also just be closed.
const MALFORMED: [(&[u8], &[u16]); 19] = [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[400]),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505]),
    (b"GET\r\n\r\n", &[400]),
    (b"GET / HTTP/9.9\r\n\r\n", &[400, 505]),
    (b"GET / HTTP/1.1\r\n\r\n", &[400]),
    (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", &[400]),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400]),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX\x00: b\r\n\r\n", &[400]),
    (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", &[400]),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", &[400]),
    (
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        &[400, 413],
    ),
    (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        &[400],
    ),
    (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[400],
    ),
    (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        &[400, 501],
    ),
    (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        &[400],
    ),
    (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        &[400, 413],
    ),
    (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n",
        &[400],
    ),
    (b"\r\n\r\n\r\n\r\n\xff\xff\xff\xff\r\n\r\n", &[400]),
    (
        b"GET /%00%ff%zz/../../.. HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        &[400, 404],
    ),
];

fn statuses_of_nonsense(client: &Client) {
    for (bytes, statuses) in MALFORMED {
        let mut connection = client.connect().unwrap();
        connection.write(bytes).unwrap();
        let _ = connection.wire().tcp().shutdown(Shutdown::Write);
        let text = String::from_utf8_lossy(bytes);
        match connection.read_response(false) {
            Ok(response) => assert!(statuses.contains(&response.status), "{text:?}: {}", response.status),
            Err(e) => assert!(!format!("{e:#}").contains("not a status line"), "{text:?}: {e:#}"),
        }
        assert!(connection.closed_within(Duration::from_secs(10)), "{text:?}: kept open");
    }
}

#[test]
fn malformed_requests_are_refused_and_harm_nothing() {
    let (mut gateway, origin) = echo_gateway();
    statuses_of_nonsense(&gateway.proxy());
    statuses_of_nonsense(&gateway.proxy_ssl("a.test"));
    for (bytes, _) in MALFORMED {
        // The Admin API speaks through another codec; it only has to survive.
        let mut connection = gateway.admin().connect().unwrap();
        let _ = connection.write(bytes);
        let _ = connection.wire().tcp().shutdown(Shutdown::Write);
        let _ = connection.read_response(false);
    }
    // Not one of them reached the origin but those whose body turned out broken, and those it did not answer.
    assert!(origin.requests() <= 8, "{}", origin.requests());
    assert_eq!(gateway.proxy().get("/echo").unwrap().status, 200);
    assert_unharmed(&mut gateway);
}

#[test]
fn huge_heads_are_refused_without_growth() {
    let (mut gateway, _origin) = echo_gateway();
    let before = gateway.rss_kib();
    for _ in 0..20 {
        let huge_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(1 << 20));
        let huge_header = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
        let many = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: aaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(50_000)
        );
        for bytes in [huge_target, huge_header, many] {
            let mut connection = gateway.proxy().connect().unwrap();
            // The node may answer and close before all is written.
            let _ = connection.write(bytes.as_bytes());
            if let Ok(response) = connection.read_response(false) {
                assert!(matches!(response.status, 400 | 414 | 431 | 494), "{}", response.status);
            }
        }
    }
    let grown = gateway.rss_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "resident memory grew by {grown} KiB");
    assert_unharmed(&mut gateway);
}

#[test]
fn an_endless_head_is_cut_off() {
    let (mut gateway, _origin) = echo_gateway();
    let mut connection = gateway.proxy().connect().unwrap();
    connection.write(b"GET / HTTP/1.1\r\nHost: a\r\n").unwrap();
    let piece = "X-Fill: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(1000);
    // The node may go on reading for a while after its answer, so that the client gets to see that; it keeps nothing.
    let _ = (0..1000)
        .take_while(|_| connection.write(piece.as_bytes()).is_ok())
        .count();
    if let Ok(response) = connection.read_response(false) {
        assert!(matches!(response.status, 400 | 431 | 494), "{}", response.status);
    }
    let peak = gateway.peak_rss_kib();
    assert!(peak < 64 * 1024, "{peak} KiB resident at the highest");
    assert_unharmed(&mut gateway);
}

#[test]
fn a_request_that_trickles_in_is_answered() {
    let (mut gateway, _origin) = echo_gateway();
    let request = Request::new("POST", "/echo/slow").body("hello").to_bytes();
    let mut connection = gateway.proxy().connect().unwrap();
    for byte in &request {
        connection.write(std::slice::from_ref(byte)).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
    let response = connection.read_response(false).unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.json()["body"], "hello");
    assert_unharmed(&mut gateway);
}

#[test]
fn many_half_open_clients_leave_room_for_others() {
    let (mut gateway, _origin) = echo_gateway();
    let before = gateway.rss_kib();
    let pieces: [&[u8]; 4] = [
        b"",
        b"GET /echo HT",
        b"GET /echo HTTP/1.1\r\nHost: a\r\nX-",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhalf",
    ];
    let held: Vec<_> = (0..800)
        .map(|i| {
            let mut connection = gateway.proxy().connect().unwrap();
            connection.write(pieces[i % pieces.len()]).unwrap();
            connection
        })
        .collect();
    for _ in 0..50 {
        assert_eq!(gateway.proxy().get("/echo").unwrap().status, 200);
    }
    let per_client = gateway.rss_kib().saturating_sub(before) / held.len() as u64;
    assert!(per_client < 64, "{per_client} KiB of memory for each waiting client");
    drop(held);
    assert_eq!(gateway.proxy().get("/echo").unwrap().status, 200);
    assert_unharmed(&mut gateway);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (mut gateway, _origin) = echo_gateway();
    let mut connection = gateway.proxy().connect().unwrap();
    let bytes: Vec<u8> = (0..20)
        .flat_map(|i| {
            Request::new("POST", &format!("/echo/{i}"))
                .body(format!("b{i}"))
                .to_bytes()
        })
        .collect();
    connection.write(&bytes).unwrap();
    for i in 0..20 {
        let response = connection.read_response(false).unwrap();
        assert_eq!(response.json()["uri"], format!("/{i}"));
        assert_eq!(response.json()["body"], format!("b{i}"));
    }
    assert_unharmed(&mut gateway);
}

#[test]
fn an_origin_that_breaks_off_breaks_only_its_own_answer() {
    let (mut gateway, _origin) = echo_gateway();
    assert!(
        gateway.proxy().get("/echo/half").is_err(),
        "a cut body must not look whole"
    );
    assert_eq!(gateway.proxy().get("/echo/reset").unwrap().status, 502);
    assert_eq!(gateway.proxy().get("/echo").unwrap().status, 200);
    assert_unharmed(&mut gateway);
}
