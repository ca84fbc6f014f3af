//! Addresses and ports of `sources` and `destinations`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use kong_model::IpPort;

/// A range of addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    network: IpAddr,
    bits: u8,
}

impl Cidr {
    /// Parses `address/bits`; bits of the host part are cleared.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let bits: u8 = bits.parse().ok()?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        (bits <= widest).then(|| Cidr {
            network: masked(address, bits),
            bits,
        })
    }

    /// Whether `text`'s address had bits set in its host part.
    pub(crate) fn has_host_bits(text: &str) -> bool {
        let address = text
            .split_once('/')
            .and_then(|(address, _)| address.parse::<IpAddr>().ok());
        match (Cidr::parse(text), address) {
            (Some(cidr), Some(address)) => cidr.network != address,
            _ => false,
        }
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.network.is_ipv4() && masked(address, self.bits) == self.network
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(v4) & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Addresses {
    Any,
    One(IpAddr),
    Range(Cidr),
}

/// One value of `sources` or `destinations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndpointRule {
    addresses: Addresses,
    pub(crate) port: Option<u16>,
}

impl EndpointRule {
    pub(crate) fn new(rule: &IpPort) -> Result<Self, String> {
        let addresses = match rule.ip.as_deref() {
            None => Addresses::Any,
            Some(text) if text.contains('/') => {
                Addresses::Range(Cidr::parse(text).ok_or_else(|| format!("'{text}' is not an address range"))?)
            }
            Some(text) => Addresses::One(text.parse().map_err(|_| format!("'{text}' is not an address"))?),
        };
        Ok(EndpointRule {
            addresses,
            port: rule.port,
        })
    }

    pub(crate) fn matches(&self, address: Option<IpAddr>, port: Option<i64>) -> bool {
        let address_fits = match (self.addresses, address) {
            (Addresses::Any, _) => true,
            (Addresses::One(own), Some(address)) => own == address,
            (Addresses::Range(own), Some(address)) => own.contains(address),
            (_, None) => false,
        };
        address_fits && self.port.is_none_or(|own| Some(i64::from(own)) == port)
    }
}

/// The address of an endpoint, an IPv4 address in IPv6 clothes being an IPv4 address.
pub(crate) fn address_of(endpoint: Option<SocketAddr>) -> Option<IpAddr> {
    endpoint.map(|endpoint| endpoint.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ranges_hold_the_addresses_of_their_own_family() {
        let rows = [
            ("10.0.0.0/8", "10.255.1.1", true),
            ("10.1.2.3/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("1.2.3.4/32", "1.2.3.4", true),
            ("1.2.3.4/32", "1.2.3.5", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "::1", true),
        ];
        for (range, address, expected) in rows {
            assert_eq!(
                Cidr::parse(range).unwrap().contains(address.parse().unwrap()),
                expected,
                "{range} {address}"
            );
        }
        for text in ["10.0.0.0/33", "10.0.0.0", "x/8", "::/129", "10.0.0.0/"] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
    }
}
