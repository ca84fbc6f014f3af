//! What the router may know of a request or connection.

use std::net::SocketAddr;

/// Where the request came in. The value of `net.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// A plaintext HTTP listener, also for gRPC.
    Http,
    /// An HTTP listener behind TLS, also for gRPC.
    Https,
    /// A plaintext stream listener.
    Tcp,
    /// A stream connection whose ClientHello was seen.
    Tls,
    /// A datagram listener.
    Udp,
}

impl Scheme {
    /// The text that `net.protocol` is compared with.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Tcp => "tcp",
            Scheme::Tls => "tls",
            Scheme::Udp => "udp",
        }
    }

    pub(crate) fn has_sni(self) -> bool {
        matches!(self, Scheme::Https | Scheme::Tls)
    }
}

/// One request, borrowed from wherever its bytes are. For a stream connection `method`, `path`, `host` and `headers` stay
/// empty.
#[derive(Clone, Copy)]
pub struct RequestQuery<'a> {
    /// The method with its letter case.
    pub method: &'a str,
    /// The `Host` header as received, port included.
    pub host: Option<&'a [u8]>,
    /// The path after [`uri::normalize`](crate::uri::normalize): raw bytes, no query.
    pub path: &'a [u8],
    /// The query without its `?`; only expressions look at it.
    pub query: Option<&'a [u8]>,
    /// The request's header fields.
    pub headers: &'a dyn HeaderLookup,
    /// The listener's scheme (never what a proxy in front claims).
    pub scheme: Scheme,
    /// The server name of the TLS handshake.
    pub sni: Option<&'a str>,
    /// The client's address after real-ip processing.
    pub source: Option<SocketAddr>,
    /// The local address of the connection. Its port should be the listener's after `port_maps`; for HTTP, a port in
    /// the `Host` header takes its place.
    pub destination: Option<SocketAddr>,
}

impl<'a> RequestQuery<'a> {
    /// A plaintext HTTP request of which nothing else is known; complete it with struct update syntax.
    pub fn http(method: &'a str, path: &'a [u8], headers: &'a dyn HeaderLookup) -> Self {
        RequestQuery {
            method,
            host: None,
            path,
            query: None,
            headers,
            scheme: Scheme::Http,
            sni: None,
            source: None,
            destination: None,
        }
    }

    /// A stream connection.
    pub fn stream(scheme: Scheme, sni: Option<&'a str>, source: SocketAddr, destination: SocketAddr) -> Self {
        RequestQuery {
            scheme,
            sni,
            source: Some(source),
            destination: Some(destination),
            ..RequestQuery::http("", b"", &NoHeaders)
        }
    }
}

/// Access to header fields in whatever form they were received; called on the request path, so neither method should
/// allocate.
///
/// Only the first `lua_max_req_headers` (100) fields should be shown.
pub trait HeaderLookup {
    /// Shows `visit` the values of every field whose name [matches](header_name_matches) `name`, in order of
    /// appearance, until it answers true. Answers whether it did.
    ///
    /// `name` is in lower case and has `_` where the header has `-`.
    fn any(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool;

    /// Shows every field (name as received, value) until `visit` answers true. Answers whether it did.
    fn any_field(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool;
}

/// Whether the `received` header name equals `name`, which is in lower case with `_` for `-`: letter case and the
/// difference between `-` and `_` don't count.
#[inline]
pub fn header_name_matches(received: &[u8], name: &str) -> bool {
    received.len() == name.len()
        && received
            .iter()
            .zip(name.as_bytes())
            .all(|(received, name)| canonical_name_byte(*received) == *name)
}

#[inline]
pub(crate) fn canonical_name_byte(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() }
}

/// A request without header fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHeaders;

impl HeaderLookup for NoHeaders {
    fn any(&self, _name: &str, _visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }

    fn any_field(&self, _visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        false
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> HeaderLookup for Vec<(N, V)> {
    fn any(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.iter()
            .any(|(received, value)| header_name_matches(received.as_ref(), name) && visit(value.as_ref()))
    }

    fn any_field(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        self.iter().any(|(name, value)| visit(name.as_ref(), value.as_ref()))
    }
}
