//! Headers that the gateway adds to and removes from responses (upstream.md §8).
//!
//! On the request path: edits are an overlay of the received head, numbers are formatted without allocation.

use kong_message::{Body, HeaderBlock, HeaderKey, ResponseHead};
use kong_plugin::{Exchange, Source};
use smallvec::SmallVec;

use crate::error_page::stock_page;
use crate::settings::ProxySettings;

/// Decimal digits of a number, without allocation.
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        for (n, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
            start = n;
            if number == 0 {
                break;
            }
        }
        Decimal { digits, start }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}

const HOP_BY_HOP: &[HeaderKey] = &[
    HeaderKey::new("connection"),
    HeaderKey::new("keep-alive"),
    HeaderKey::new("proxy-connection"),
];

/// What the gateway says about itself. Most responses have none of them yet, so that ours can simply be appended.
const OURS: &[HeaderKey] = &[
    HeaderKey::new("x-kong-proxy-latency"),
    HeaderKey::new("x-kong-request-id"),
    HeaderKey::new("x-kong-response-latency"),
    HeaderKey::new("x-kong-upstream-latency"),
];

/// Removes from an upstream's response what concerns only the hop behind it.
pub(crate) fn strip_hop_by_hop(head: &mut ResponseHead, keeps_trailer: bool, negotiated_upgrade: Option<&str>) {
    let headers = &mut head.headers;
    if let Some(value) = headers.get_str("connection")
        && !value.eq_ignore_ascii_case("keep-alive")
        && !value.eq_ignore_ascii_case("close")
    {
        let listed: Vec<String> = headers
            .get_all("connection")
            .flat_map(|value| {
                String::from_utf8_lossy(value)
                    .split(',')
                    .map(|t| t.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .filter(|token| {
                !matches!(
                    token.to_ascii_lowercase().as_str(),
                    "" | "close" | "upgrade" | "keep-alive"
                )
            })
            .collect();
        for name in listed {
            headers.remove(&name);
        }
    }
    headers.remove_all(HOP_BY_HOP);
    if let Some(upgrade) = headers.get_str("upgrade")
        && negotiated_upgrade.is_none_or(|negotiated| !upgrade.eq_ignore_ascii_case(negotiated))
    {
        headers.remove("upgrade");
    }
    if !keeps_trailer {
        headers.remove("trailer");
    }
    // Instructions to the proxy, not for the client.
    if headers.iter().any(|(name, _)| {
        name.get(..8)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"x-accel-"))
    }) {
        headers.retain(|name, _| {
            !name
                .get(..8)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"x-accel-"))
        });
    }
}

/// Status of the last upstream answer, before the plugins' header phase.
pub(crate) fn set_upstream_status(exchange: &mut Exchange, settings: &ProxySettings, status: u16) {
    if settings.headers.upstream_status
        && let Some(head) = &mut exchange.response
    {
        head.headers
            .set("X-Kong-Upstream-Status", Decimal::new(status.into()).as_bytes());
    }
}

/// Adds the gateway's own headers, after the plugins' header phase.
pub(crate) fn finish(exchange: &mut Exchange, settings: &ProxySettings, is_proxied: bool) {
    let latencies = exchange.latencies();
    let id = exchange.id;
    let debug = settings.allow_debug_header && exchange.head.headers.contains("kong-debug");
    let is_grpc = exchange
        .upstream
        .as_ref()
        .is_some_and(|upstream| upstream.scheme.starts_with("grpc"));
    let token = exchange.node.server_token;
    let is_stock_redirect = is_stock_redirect(exchange);
    let waited = exchange
        .timings
        .peer_chosen
        .map(|chosen| u64::try_from(chosen.elapsed().as_millis()).unwrap_or(u64::MAX));
    let Some(head) = &mut exchange.response else { return };
    let tokens = &settings.headers;
    let headers = &mut head.headers;
    add_charset(headers, settings, is_stock_redirect);
    let is_taken = headers.contains_any(OURS);
    let put = |headers: &mut HeaderBlock, name: &str, value: &[u8]| {
        if is_taken {
            headers.set(name, value);
        } else {
            headers.append(name, value);
        }
    };
    if is_proxied {
        if tokens.server && !headers.contains("server") {
            headers.append("Server", token);
        }
        if tokens.upstream_latency
            // A failed upstream has a latency too: how long it was waited for.
            && let Some(latency) = latencies.upstream.or(waited)
        {
            put(headers, "X-Kong-Upstream-Latency", Decimal::new(latency).as_bytes());
        }
        if tokens.proxy_latency {
            let latency = latencies.proxy.unwrap_or(latencies.total);
            put(headers, "X-Kong-Proxy-Latency", Decimal::new(latency).as_bytes());
        }
        if tokens.via {
            let version = if is_grpc { "2 " } else { "1.1 " };
            append_to_list(headers, "Via", &[version.as_bytes(), token.as_bytes()]);
        }
    } else {
        if tokens.response_latency {
            put(
                headers,
                "X-Kong-Response-Latency",
                Decimal::new(latencies.total).as_bytes(),
            );
        }
        let is_via_ours = tokens.via && headers.get("via").is_some_and(|via| via == token.as_bytes());
        if tokens.server && !is_via_ours {
            headers.set("Server", token);
        } else if !tokens.server {
            headers.remove("server");
        }
    }
    if tokens.request_id {
        put(headers, "X-Kong-Request-Id", &id);
    }
    if debug {
        add_debug(exchange);
    }
}

/// Appends an element to a comma-separated header.
fn append_to_list(headers: &mut HeaderBlock, name: &'static str, element: &[&[u8]]) {
    let mut value: SmallVec<[u8; 64]> = SmallVec::new();
    for (n, old) in headers.get_all(name).enumerate() {
        if n > 0 {
            value.extend_from_slice(b", ");
        }
        value.extend_from_slice(old);
    }
    if !value.is_empty() {
        value.extend_from_slice(b", ");
    }
    for part in element {
        value.extend_from_slice(part);
    }
    headers.set(name, &value);
}

fn add_debug(exchange: &mut Exchange) {
    let route = exchange.route.clone();
    let service = exchange.service.clone();
    let Some(head) = &mut exchange.response else { return };
    let mut set = |name: &'static str, value: Option<String>| {
        if let Some(value) = value {
            head.headers.set(name, value);
        }
    };
    set("Kong-Route-Id", route.as_ref().map(|route| route.id.to_string()));
    set("Kong-Route-Name", route.and_then(|route| route.name.clone()));
    set(
        "Kong-Service-Id",
        service.as_ref().map(|service| service.id.to_string()),
    );
    set("Kong-Service-Name", service.and_then(|service| service.name.clone()));
}

/// Text responses without a charset get one (plugins-auth-traffic.md §1.7).
fn add_charset(headers: &mut HeaderBlock, settings: &ProxySettings, is_stock_redirect: bool) {
    let Some(charset) = &settings.charset else { return };
    let Some(content_type) = headers.get_str("content-type") else {
        return;
    };
    // The server's own page for these two has no charset (plugins-auth-traffic.md §1.7).
    if is_stock_redirect {
        return;
    }
    const TYPES: [&str; 6] = [
        "text/html",
        "text/plain",
        "text/xml",
        "application/javascript",
        "application/rss+xml",
        "text/vnd.wap.wml",
    ];
    if TYPES.iter().any(|t| content_type.eq_ignore_ascii_case(t)) {
        let mut value: SmallVec<[u8; 64]> = SmallVec::new();
        for part in [content_type.as_bytes(), b"; charset=", charset.as_bytes()] {
            value.extend_from_slice(part);
        }
        headers.set("Content-Type", &value);
    }
}

/// Whether this is the server's own page of a redirect.
fn is_stock_redirect(exchange: &Exchange) -> bool {
    let Some(status @ (301 | 302)) = exchange.status() else {
        return false;
    };
    matches!(&exchange.response_body, Body::Memory(page) if *page == stock_page(status))
}

/// Whether responses from this source went through the proxy stage, 502 and 504 of failed tries included.
pub(crate) fn is_proxied(exchange: &Exchange) -> bool {
    exchange.source == Source::Service || !exchange.tries.is_empty()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn decimal_formats_like_display() {
        for number in [0, 7, 10, 999, 1000, u64::MAX] {
            assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn listed_headers_do_not_pass() {
        let mut head = ResponseHead::new(200);
        head.headers.append("Connection", "x-a, keep-alive, close");
        head.headers.append("X-A", "1");
        head.headers.append("X-B", "2");
        head.headers.append("Keep-Alive", "timeout=5");
        head.headers.append("Upgrade", "h2c");
        strip_hop_by_hop(&mut head, false, None);
        let left: Vec<_> = head.headers.iter().map(|(name, _)| name.to_vec()).collect();
        assert_eq!(left, [b"X-B"]);
    }
}
