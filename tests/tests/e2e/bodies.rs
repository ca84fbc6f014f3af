//! Bodies of a gigabyte pass in every buffering mode without being held in memory.

use std::time::{Duration, Instant};

use kong_tests::process::open_files;
use kong_tests::{Connection, Gateway, Origin, Request};
use serde_json::json;

const GIGABYTE: u64 = 1 << 30;
const RESIDENT_LIMIT_KIB: u64 = 50 * 1024;

/// `/tt`, `/tf`, `/ft`, `/ff`: request and response buffering on (t) and off (f).
fn start() -> (Gateway, Origin) {
    let origin = Origin::start().unwrap();
    let gateway = Gateway::builder().start().unwrap();
    gateway.add_service("s", &origin.url()).unwrap();
    for (path, request, response) in [
        ("/tt", true, true),
        ("/tf", true, false),
        ("/ft", false, true),
        ("/ff", false, false),
    ] {
        let route = json!({"paths": [path], "request_buffering": request, "response_buffering": response});
        gateway.add_route("s", route).unwrap();
    }
    (gateway, origin)
}

fn upload(connection: &mut Connection, path: &str, length: u64) {
    let head = Request::new("PUT", path)
        .header("Content-Length", &length.to_string())
        .to_bytes();
    connection.write(&head).unwrap();
    let piece = vec![b'u'; 1 << 20];
    let mut left = length;
    while left > 0 {
        let n = left.min(piece.len() as u64);
        connection.write(&piece[..n as usize]).unwrap();
        left -= n;
    }
}

fn assert_small(gateway: &Gateway, when: &str) {
    let peak = gateway.peak_rss_kib();
    assert!(peak < RESIDENT_LIMIT_KIB, "{when}: {peak} KiB resident at the highest");
}

fn spilled(gateway: &Gateway) -> usize {
    open_files(gateway.pid())
        .iter()
        .filter(|f| f.ends_with("(deleted)") && f.starts_with('/'))
        .count()
}

#[test]
fn a_gigabyte_up() {
    let (gateway, origin) = start();
    for path in ["/tt", "/ff"] {
        let before = origin.received();
        let mut connection = gateway.proxy().timeout(Duration::from_secs(120)).connect().unwrap();
        upload(&mut connection, &format!("{path}/sink"), GIGABYTE);
        let response = connection.read_response(false).unwrap();
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        assert_eq!(response.json()["received"], GIGABYTE);
        assert_eq!(origin.received() - before, GIGABYTE);
        assert_small(&gateway, path);
    }
    assert_eq!(spilled(&gateway), 0, "{:?}", open_files(gateway.pid()));
}

#[test]
fn a_gigabyte_down() {
    let (gateway, _origin) = start();
    for path in ["/tt/bytes", "/tf/bytes", "/ff/chunked"] {
        let mut connection = gateway.proxy().timeout(Duration::from_secs(120)).connect().unwrap();
        connection
            .write(&Request::new("GET", &format!("{path}/{GIGABYTE}")).to_bytes())
            .unwrap();
        let mut received = 0;
        let response = connection
            .read_response_into(false, |piece| received += piece.len() as u64)
            .unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(received, GIGABYTE);
        assert_small(&gateway, path);
    }
}

#[test]
fn a_client_that_does_not_read_slows_the_origin_down() {
    let (gateway, _origin) = start();
    let mut connection = gateway.proxy().connect().unwrap();
    connection
        .write(&Request::new("GET", &format!("/ff/bytes/{GIGABYTE}")).to_bytes())
        .unwrap();
    std::thread::sleep(Duration::from_secs(2));
    assert_small(&gateway, "nobody reads");
}

#[test]
fn an_aborted_upload_leaves_no_temporary_file() {
    let (gateway, origin) = start();
    assert_eq!(spilled(&gateway), 0);
    let mut connection = gateway.proxy().connect().unwrap();
    let head = Request::new("PUT", "/tt/sink")
        .header("Content-Length", "100000000")
        .to_bytes();
    connection.write(&head).unwrap();
    connection.write(&vec![b'u'; 20_000_000]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while spilled(&gateway) == 0 {
        assert!(
            Instant::now() < deadline,
            "the body went to no unlinked file: {:?}",
            open_files(gateway.pid())
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(connection);
    while spilled(&gateway) > 0 {
        assert!(
            Instant::now() < deadline,
            "the file is still open: {:?}",
            open_files(gateway.pid())
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(origin.requests(), 0, "a body that never came whole must not be sent on");
    assert_small(&gateway, "after the abort");
}
