//! The codec's fuzz functions over seeds and mutations; `fuzz/` has the same for cargo-fuzz.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../../../fuzz/src/mutation.rs"]
#[allow(unreachable_pub)]
mod mutation;

use kong_http::fuzzing;

const COUNT: usize = 20_000;

#[test]
fn request_heads_read_the_same_in_pieces_and_survive_being_written() {
    let seeds: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /a/b?c=d HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
        b"PUT http://h/%41/../x HTTP/1.0\nTransfer-Encoding: chunked\nExpect: 100-continue\nX_y:1 \n\n",
    ];
    mutation::run(seeds, COUNT, fuzzing::request_head);
}

#[test]
fn response_heads_read_the_same_in_pieces() {
    let seeds: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nServer: x\r\n\r\nabc",
        b"HTTP/1.0 404 Not Here\nTransfer-Encoding: chunked\nConnection: close\n\n",
    ];
    mutation::run(seeds, COUNT, fuzzing::response_head);
}

#[test]
fn chunked_bodies_read_the_same_in_pieces() {
    let seeds: &[&[u8]] = &[
        b"3\r\nabc\r\n0\r\n\r\n",
        b"A;x=y\n0123456789\n1 \r\nz\r\n00\nTrailer: 1\n\nGET / HTTP/1.1",
    ];
    mutation::run(seeds, COUNT, fuzzing::chunked_body);
}
