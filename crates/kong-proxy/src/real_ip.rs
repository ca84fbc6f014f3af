//! Who the client is (upstream.md §6, "real IP").

use std::net::{IpAddr, SocketAddr};

use kong_message::HeaderBlock;
use kong_plugin::Client;

use crate::settings::ProxySettings;

/// Determines the client behind a peer.
pub(crate) fn client(peer: SocketAddr, headers: &HeaderBlock, settings: &ProxySettings) -> Client {
    let direct = Client {
        peer,
        ip: peer.ip(),
        port: peer.port(),
        is_trusted: false,
    };
    if settings.trusted_ips.is_empty() || !settings.is_trusted(peer.ip()) {
        return direct;
    }
    let mut client = Client {
        is_trusted: true,
        ..direct
    };
    let joined: Vec<&[u8]> = headers.get_all(&settings.real_ip_header).collect();
    let Ok(text) = String::from_utf8(joined.join(&b',')) else {
        return client;
    };
    let mut addresses = text.rsplit(',').map(str::trim);
    while let Some((ip, port)) = addresses.next().and_then(address) {
        client.ip = ip;
        client.port = port.unwrap_or(0);
        if !settings.real_ip_recursive || !settings.is_trusted(ip) {
            break;
        }
    }
    client
}

/// An address with an optional port.
fn address(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(ip) = text.trim_matches(['[', ']']).parse() {
        return Some((ip, None));
    }
    text.parse::<SocketAddr>()
        .ok()
        .map(|address| (address.ip(), Some(address.port())))
}
