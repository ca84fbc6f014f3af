//! Headers of the request that goes upstream (upstream.md §6).
//!
//! The request head that plugins and log entries see stays as it is; the forwarding headers go into a copy, as they are
//! the proxy's own and not the client's.

use std::net::IpAddr;

use kong_message::HeaderBlock;
use kong_plugin::Exchange;

use crate::response_head::Decimal;
use crate::settings::ProxySettings;

/// What plugins may not change of the forwarding headers: computed before `access`.
pub(crate) struct Forwarding {
    /// `X-Forwarded-Proto`, which also decides about HTTPS enforcement.
    pub(crate) proto: Vec<u8>,
    /// `X-Forwarded-Host`; empty: not sent.
    pub(crate) host: Vec<u8>,
    port: Vec<u8>,
    path: Vec<u8>,
    /// `X-Forwarded-Prefix` of a trusted peer.
    prefix: Option<Vec<u8>>,
}

impl Forwarding {
    pub(crate) fn of(exchange: &Exchange) -> Self {
        let headers = &exchange.head.headers;
        let trusted = |name: &str| match exchange.client.is_trusted {
            true => headers.get(name).map(<[u8]>::to_vec),
            false => None,
        };
        Forwarding {
            proto: trusted("x-forwarded-proto").unwrap_or_else(|| exchange.scheme.as_bytes().to_vec()),
            host: trusted("x-forwarded-host").unwrap_or_else(|| bare_host(exchange.head.host())),
            port: trusted("x-forwarded-port")
                .unwrap_or_else(|| Decimal::new(exchange.host_port.into()).as_bytes().to_vec()),
            path: trusted("x-forwarded-path").unwrap_or_else(|| match exchange.head.path() {
                b"" => b"/".to_vec(),
                path => path.to_vec(),
            }),
            prefix: trusted("x-forwarded-prefix"),
        }
    }
}

/// Host without port and trailing dot, lower case; `kong` when the request has none (HTTP/1.0).
pub(crate) fn bare_host(host: Option<&[u8]>) -> Vec<u8> {
    let Some(host) = host else { return b"kong".to_vec() };
    let name = match host.first() {
        Some(b'[') => host
            .iter()
            .position(|b| *b == b']')
            .and_then(|end| host.get(..=end))
            .unwrap_or(host),
        _ => host.split(|b| *b == b':').next().unwrap_or_default(),
    };
    name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase()
}

/// Whether the client asks for a WebSocket.
pub(crate) fn is_websocket_upgrade(headers: &HeaderBlock) -> bool {
    headers
        .get("upgrade")
        .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
}

/// The header lines for the upstream, without `Host`, `Connection`, `Upgrade` and the framing, which the client writes.
pub(crate) fn upstream_headers(
    exchange: &Exchange,
    forwarding: &Forwarding,
    stripped_prefix: Option<&[u8]>,
    settings: &ProxySettings,
) -> HeaderBlock {
    let mut headers = exchange.head.headers.clone();
    let is_upgrade = is_websocket_upgrade(&headers);
    remove_listed(&mut headers, is_upgrade);
    for name in [
        "keep-alive",
        "expect",
        "proxy",
        "proxy-connection",
        "upgrade",
        "connection",
    ] {
        headers.remove(name);
    }
    if headers.contains("te") {
        let has_trailers = headers.get_all("te").any(|te| {
            te.split(|b| *b == b',')
                .any(|t| t.trim_ascii().eq_ignore_ascii_case(b"trailers"))
        });
        if has_trailers {
            headers.set("TE", "trailers");
        } else {
            headers.remove("te");
        }
    }

    let mut value = Vec::with_capacity(64);
    if let Some(via) = headers.get("via") {
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
    headers.set("Via", &value);

    value.clear();
    match headers.get("x-forwarded-for") {
        Some(client) => {
            value.extend_from_slice(client);
            value.extend_from_slice(b", ");
            push_address(&mut value, exchange.client.peer.ip());
        }
        None => push_address(&mut value, exchange.client.ip),
    }
    headers.set("X-Forwarded-For", &value);
    set_or_remove(&mut headers, "X-Forwarded-Proto", &forwarding.proto);
    set_or_remove(&mut headers, "X-Forwarded-Host", &forwarding.host);
    set_or_remove(&mut headers, "X-Forwarded-Port", &forwarding.port);
    set_or_remove(&mut headers, "X-Forwarded-Path", &forwarding.path);
    let prefix = forwarding.prefix.as_deref().or(stripped_prefix).unwrap_or_default();
    set_or_remove(&mut headers, "X-Forwarded-Prefix", prefix);

    value.clear();
    push_address(&mut value, exchange.client.ip);
    headers.set("X-Real-IP", &value);
    if settings.headers.upstream_request_id {
        headers.set("X-Kong-Request-Id", exchange.id);
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
fn remove_listed(headers: &mut HeaderBlock, is_upgrade: bool) {
    let Some(first) = headers.get("connection") else { return };
    if [&b"keep-alive"[..], b"close", b"upgrade"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word))
    {
        return;
    }
    let listed: Vec<String> = headers
        .get_all("connection")
        .flat_map(|line| line.split(|b| *b == b','))
        .map(|token| String::from_utf8_lossy(token.trim_ascii()).into_owned())
        .collect();
    for name in listed {
        let is_word = ["close", "keep-alive"]
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word));
        if !is_word && !(is_upgrade && name.eq_ignore_ascii_case("upgrade")) {
            headers.remove(&name);
        }
    }
}

fn set_or_remove(headers: &mut HeaderBlock, name: &'static str, value: &[u8]) {
    if value.is_empty() {
        headers.remove(name);
    } else {
        headers.set(name, value);
    }
}

fn push_address(out: &mut Vec<u8>, address: IpAddr) {
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
            assert_eq!(bare_host(host), expected, "{host:?}");
        }
    }
}
