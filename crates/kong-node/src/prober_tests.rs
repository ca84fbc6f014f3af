#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn status_lines() {
    let rows: [(&[u8], Option<u16>); 8] = [
        (b"HTTP/1.1 200 OK\r\n", Some(200)),
        (b"HTTP/1.0 503\r\n", Some(503)),
        (b"HTTP/2 404\n", Some(404)),
        (b"HTTP/1.1 20", None),
        (b"HTTP/1.1", None),
        (b"HTTP/1.1 abc", None),
        (b"SSH-2.0-x\r\n", None),
        (b"", None),
    ];
    for (line, expected) in rows {
        assert_eq!(parse_status(line), expected, "{:?}", String::from_utf8_lossy(line));
    }
}
