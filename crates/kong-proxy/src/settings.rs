//! What the operator decided about proxying (node.md §2, "Proxy behaviour").

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::error_page::Templates;

/// Headers that the gateway adds (upstream.md §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderTokens {
    /// `Server`.
    pub server: bool,
    /// `Via`.
    pub via: bool,
    /// `X-Kong-Proxy-Latency`.
    pub proxy_latency: bool,
    /// `X-Kong-Response-Latency`.
    pub response_latency: bool,
    /// `X-Kong-Upstream-Latency`.
    pub upstream_latency: bool,
    /// `X-Kong-Upstream-Status`.
    pub upstream_status: bool,
    /// `X-Kong-Request-Id`.
    pub request_id: bool,
    /// `X-Kong-Request-Id` towards the upstream (`headers_upstream`).
    pub upstream_request_id: bool,
}

impl Default for HeaderTokens {
    fn default() -> Self {
        HeaderTokens {
            server: true,
            via: true,
            proxy_latency: true,
            response_latency: true,
            upstream_latency: true,
            upstream_status: false,
            request_id: true,
            upstream_request_id: true,
        }
    }
}

/// An address range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: u128,
    mask: u128,
    is_v6: bool,
}

impl Cidr {
    /// Parses an address or a CIDR block; host bits are masked off.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv6() { 128 } else { 32 };
        let bits = bits.unwrap_or(width);
        if bits > width {
            return None;
        }
        let mask = u128::MAX.checked_shl(width - bits).unwrap_or(0);
        Some(Cidr {
            network: number(address) & mask,
            mask,
            is_v6: address.is_ipv6(),
        })
    }

    /// Whether the address lies in the range. IPv4-mapped IPv6 addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv6() == self.is_v6 && number(address) & self.mask == self.network
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// Headers that the gateway adds.
    pub headers: HeaderTokens,
    /// Peers whose `X-Forwarded-*` and real-ip headers count.
    pub trusted_ips: Vec<Cidr>,
    /// Header that holds the client address, lower case.
    pub real_ip_header: String,
    /// Skip trusted addresses in that header.
    pub real_ip_recursive: bool,
    /// Content type of the core's error documents when the request has neither `Accept` nor `Content-Type`.
    pub error_default_type: String,
    /// Error documents.
    pub templates: Templates,
    /// `Kong-Debug` makes the response name the route and the service.
    pub allow_debug_header: bool,
    /// Charset added to text responses without one; `None`: off.
    pub charset: Option<String>,
    /// Request bodies up to this size stay in memory, in bytes.
    pub client_body_buffer_size: usize,
    /// Largest request body in bytes; 0: unlimited.
    pub client_max_body_size: u64,
    /// Where larger request bodies are spooled.
    pub body_directory: PathBuf,
    /// Idle upstream connections kept per address and worker; 0: none.
    pub keepalive_pool_size: usize,
    /// Requests per upstream connection; 0: unlimited.
    pub keepalive_max_requests: u64,
    /// How long an upstream connection may stay idle; zero: forever.
    pub keepalive_idle_timeout: Duration,
    /// Listener port → port shown to plugins and upstreams (`port_maps`).
    pub port_maps: Vec<(u16, u16)>,
}

impl Default for ProxySettings {
    fn default() -> Self {
        ProxySettings {
            headers: HeaderTokens::default(),
            trusted_ips: Vec::new(),
            real_ip_header: "x-real-ip".to_owned(),
            real_ip_recursive: false,
            error_default_type: "text/plain".to_owned(),
            templates: Templates::default(),
            allow_debug_header: false,
            charset: Some("UTF-8".to_owned()),
            client_body_buffer_size: 8 * 1024,
            client_max_body_size: 0,
            body_directory: std::env::temp_dir(),
            keepalive_pool_size: 512,
            keepalive_max_requests: 10_000,
            keepalive_idle_timeout: Duration::from_secs(60),
            port_maps: Vec::new(),
        }
    }
}

impl ProxySettings {
    /// Whether the peer may speak for its clients.
    pub fn is_trusted(&self, peer: IpAddr) -> bool {
        self.trusted_ips.iter().any(|range| range.contains(peer))
    }

    /// Port of a listener as plugins and upstreams see it.
    pub fn host_port(&self, listener_port: u16) -> u16 {
        self.port_maps
            .iter()
            .find(|(kong, _)| *kong == listener_port)
            .map_or(listener_port, |(_, host)| *host)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_their_addresses() {
        let rows = [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ];
        for (range, address, expected) in rows {
            assert_eq!(
                Cidr::parse(range).unwrap().contains(address.parse().unwrap()),
                expected,
                "{range} {address}"
            );
        }
        assert_eq!(Cidr::parse("10.0.0.0/33"), None);
        assert_eq!(Cidr::parse("x"), None);
    }
}
