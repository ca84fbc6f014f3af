//! Every target over its seeds and 20,000 mutations.

use kong_fuzz::mutation::run;

const COUNT: usize = 20_000;

#[test]
fn request_heads() {
    let seeds: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /a/b?c=d HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
        b"PUT http://h/%41/../x HTTP/1.0\nTransfer-Encoding: chunked\nExpect: 100-continue\nX_y:1 \n\n",
    ];
    run(seeds, COUNT, kong_fuzz::request_head);
}

#[test]
fn response_heads() {
    let seeds: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nServer: x\r\n\r\nabc",
        b"HTTP/1.0 404 Not Here\nTransfer-Encoding: chunked\nConnection: close\n\n",
    ];
    run(seeds, COUNT, kong_fuzz::response_head);
}

#[test]
fn chunked_bodies() {
    let seeds: &[&[u8]] = &[
        b"3\r\nabc\r\n0\r\n\r\n",
        b"A;x=y\n0123456789\n1 \r\nz\r\n00\nTrailer: 1\n\nGET / HTTP/1.1",
    ];
    run(seeds, COUNT, kong_fuzz::chunked_body);
}

#[test]
fn uris() {
    let seeds: &[&[u8]] = &[b"a/b/../c//d/./e%20f%2Fg", b"%41%zz/..%2f../\xc3\xbc", b"..;/a"];
    run(seeds, COUNT, kong_fuzz::uri);
}
