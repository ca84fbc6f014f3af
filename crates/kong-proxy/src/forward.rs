//! Headers of the request that goes upstream (upstream.md §6).
//!
//! The request head that plugins and log entries see stays as it is; the forwarding headers go into a copy, as they are
//! the proxy's own and not the client's.

use std::net::IpAddr;

use kong_message::{HeaderBlock, HeaderKey};
use kong_plugin::Exchange;
use smallvec::SmallVec;

use crate::response_head::Decimal;
use crate::settings::ProxySettings;

/// What plugins may not change of the forwarding headers: computed before `access`.
pub(crate) struct Forwarding {
    /// `X-Forwarded-Proto`, which also decides about HTTPS enforcement.
    pub(crate) proto: Inline,
    /// `X-Forwarded-Host`; empty: not sent.
    pub(crate) host: Inline,
    port: Inline,
    /// `X-Forwarded-Path` of a trusted peer; else it follows from the target, which nothing changes.
    path: Option<Inline>,
    /// `X-Forwarded-Prefix` of a trusted peer.
    prefix: Option<Inline>,
}

impl Forwarding {
    pub(crate) fn of(exchange: &Exchange) -> Self {
        let headers = &exchange.head.headers;
        let trusted = |name: &str| match exchange.client.is_trusted {
            true => headers.get(name).map(Inline::from_slice),
            false => None,
        };
        Forwarding {
            proto: trusted("x-forwarded-proto").unwrap_or_else(|| Inline::from_slice(exchange.scheme.as_bytes())),
            host: trusted("x-forwarded-host").unwrap_or_else(|| bare_host(exchange.head.host())),
            port: trusted("x-forwarded-port")
                .unwrap_or_else(|| Inline::from_slice(Decimal::new(exchange.host_port.into()).as_bytes())),
            path: trusted("x-forwarded-path"),
            prefix: trusted("x-forwarded-prefix"),
        }
    }
}

/// A short value without an allocation.
pub(crate) type Inline = SmallVec<[u8; 48]>;

/// Host without port and trailing dot, lower case; `kong` when the request has none (HTTP/1.0).
pub(crate) fn bare_host(host: Option<&[u8]>) -> Inline {
    let Some(host) = host else {
        return Inline::from_slice(b"kong");
    };
    let name = match host.first() {
        Some(b'[') => host
            .iter()
            .position(|b| *b == b']')
            .and_then(|end| host.get(..=end))
            .unwrap_or(host),
        _ => host.split(|b| *b == b':').next().unwrap_or_default(),
    };
    let mut name = Inline::from_slice(name.strip_suffix(b".").unwrap_or(name));
    name.make_ascii_lowercase();
    name
}

/// Whether the client asks for a WebSocket.
pub(crate) fn is_websocket_upgrade(headers: &HeaderBlock) -> bool {
    headers
        .get("upgrade")
        .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
}

/// What the proxy itself decides about: left out of the copy, and written anew where it is sent at all. `Host`,
/// `Connection` and the framing are written by the client.
const OWN: &[HeaderKey] = &[
    HeaderKey::new("connection"),
    HeaderKey::new("expect"),
    HeaderKey::new("keep-alive"),
    HeaderKey::new("proxy"),
    HeaderKey::new("proxy-connection"),
    HeaderKey::new("te"),
    HeaderKey::new("upgrade"),
    HeaderKey::new("via"),
    HeaderKey::new("x-forwarded-for"),
    HeaderKey::new("x-forwarded-host"),
    HeaderKey::new("x-forwarded-path"),
    HeaderKey::new("x-forwarded-port"),
    HeaderKey::new("x-forwarded-prefix"),
    HeaderKey::new("x-forwarded-proto"),
    HeaderKey::new("x-real-ip"),
    HeaderKey::new("x-kong-request-id"),
];

/// As [`OWN`] where the client's request id passes.
const OWN_BUT_REQUEST_ID: &[HeaderKey] = match OWN.split_last() {
    Some((_, rest)) => rest,
    None => OWN,
};

/// The header lines for the upstream, without `Host`, `Connection`, `Upgrade` and the framing, which the client writes.
pub(crate) fn upstream_headers(
    exchange: &Exchange,
    forwarding: &Forwarding,
    stripped_prefix: Option<&[u8]>,
    settings: &ProxySettings,
) -> HeaderBlock {
    let received = &exchange.head.headers;
    let sends_id = settings.headers.upstream_request_id;
    let mut headers = received.clone_except(if sends_id { OWN } else { OWN_BUT_REQUEST_ID });
    remove_listed(received, &mut headers);
    let has_trailers = received.get_all("te").any(|te| {
        te.split(|b| *b == b',')
            .any(|t| t.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    });
    if has_trailers {
        headers.append("TE", "trailers");
    }

    let mut value = Inline::new();
    if let Some(via) = received.get("via") {
        value.extend_from_slice(via);
        value.extend_from_slice(b", ");
    }
    // An unknown minor version has no name, as in the original.
    let version = exchange.head.version.via();
    value.extend_from_slice(version.as_bytes());
    if !version.is_empty() {
        value.push(b' ');
    }
    value.extend_from_slice(exchange.node.server_token.as_bytes());
    headers.append("Via", &value);

    let mut address = Inline::new();
    push_address(&mut address, exchange.client.ip);
    value.clear();
    match received.get("x-forwarded-for") {
        Some(client) => {
            value.extend_from_slice(client);
            value.extend_from_slice(b", ");
            push_address(&mut value, exchange.client.peer.ip());
        }
        None => value.extend_from_slice(&address),
    }
    headers.append("X-Forwarded-For", &value);
    let mut append = |name: &str, value: &[u8]| {
        // An empty computed value means that the header is not sent.
        if !value.is_empty() {
            headers.append(name, value);
        }
    };
    append("X-Forwarded-Proto", &forwarding.proto);
    append("X-Forwarded-Host", &forwarding.host);
    append("X-Forwarded-Port", &forwarding.port);
    append(
        "X-Forwarded-Path",
        match (&forwarding.path, exchange.head.path()) {
            (Some(path), _) => path,
            (None, b"") => b"/",
            (None, path) => path,
        },
    );
    append(
        "X-Forwarded-Prefix",
        forwarding.prefix.as_deref().or(stripped_prefix).unwrap_or_default(),
    );
    append("X-Real-IP", &address);
    if sends_id {
        append("X-Kong-Request-Id", &exchange.id);
    }
    headers
}

/// Whether the client's `Connection` lists `Content-Length`.
pub(crate) fn lists_content_length(headers: &HeaderBlock) -> bool {
    headers.get("connection").is_some_and(|value| value.len() > 10)
        && headers
            .get_all("connection")
            .flat_map(|line| line.split(|b| *b == b','))
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"content-length"))
}

/// Removes what the client's `Connection` lists.
fn remove_listed(received: &HeaderBlock, headers: &mut HeaderBlock) {
    let Some(first) = received.get("connection") else {
        return;
    };
    if [&b"keep-alive"[..], b"close", b"upgrade"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word))
    {
        return;
    }
    for token in received
        .get_all("connection")
        .flat_map(|line| line.split(|b| *b == b','))
    {
        let name = String::from_utf8_lossy(token.trim_ascii());
        // `close` and `keep-alive` are words here, not names: a header called `Close` passes.
        if !["close", "keep-alive"]
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word))
        {
            headers.remove(&name);
        }
    }
}

fn push_address(out: &mut Inline, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            for (n, octet) in v4.octets().into_iter().enumerate() {
                if n > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(Decimal::new(octet.into()).as_bytes());
            }
        }
        IpAddr::V6(v6) => out.extend_from_slice(v6.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_host_drops_port_case_and_dot() {
        let rows: [(Option<&[u8]>, &[u8]); 6] = [
            (None, b"kong"),
            (Some(b"Example.COM:8000"), b"example.com"),
            (Some(b"example.com."), b"example.com"),
            (Some(b"[::1]:80"), b"[::1]"),
            (Some(b"localhost"), b"localhost"),
            (Some(b"a:b"), b"a"),
        ];
        for (host, expected) in rows {
            assert_eq!(bare_host(host).as_slice(), expected, "{host:?}");
        }
    }
}
