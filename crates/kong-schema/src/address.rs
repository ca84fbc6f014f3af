//! Parser for addresses as hosts, targets and upstream names are written (entities.md §3.1).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A parsed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Host part.
    pub host: Host,
    /// Port, when given.
    pub port: Option<u16>,
}

/// Host part of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// IPv4, read in decimal whatever its leading zeros.
    V4(Ipv4Addr),
    /// IPv6.
    V6(Ipv6Addr),
    /// Host name as written.
    Name(String),
}

/// Why a text is no address; the texts are those of the reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Digits and dots that are no address.
    #[error("invalid ipv4 address: {0}")]
    Ipv4(String),
    /// More than one colon, but no address.
    #[error("invalid ipv6 address: {0}")]
    Ipv6(String),
    /// Characters or labels that no host name has.
    #[error("invalid hostname: {0}")]
    Hostname(String),
    /// Above 65535.
    #[error("invalid port number")]
    Port,
}

impl Address {
    /// Parses `host`, `host:port`, `a.b.c.d`, `a.b.c.d:port`, `v6`, `[v6]` or `[v6]:port`.
    ///
    /// # Errors
    ///
    /// The text is none of these.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let colons = text.bytes().filter(|b| *b == b':').count();
        if colons > 1 {
            return parse_v6(text);
        }
        let looks_like_v4 = text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b':') && text.len() > colons;
        if looks_like_v4 {
            parse_v4(text)
        } else {
            parse_name(text)
        }
    }

    /// Whether the host is an IP address.
    pub fn is_ip(&self) -> bool {
        !matches!(self.host, Host::Name(_))
    }
}

/// The original's form: IPv6 in brackets with all groups written out, then the port.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::V4(ip) => write!(f, "{ip}")?,
            Host::V6(ip) => {
                f.write_str("[")?;
                for (i, group) in ip.segments().iter().enumerate() {
                    if i > 0 {
                        f.write_str(":")?;
                    }
                    write!(f, "{group:04x}")?;
                }
                f.write_str("]")?;
            }
            Host::Name(name) => f.write_str(name)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

fn port(digits: &str) -> Option<Result<u16, AddressError>> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().map_err(|_| AddressError::Port))
}

fn parse_v4(text: &str) -> Result<Address, AddressError> {
    let invalid = || AddressError::Ipv4(text.to_owned());
    let (host, port_text) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let mut octets = [0; 4];
    let mut parts = host.split('.');
    for octet in &mut octets {
        let part = parts
            .next()
            .filter(|p| (1..=3).contains(&p.len()))
            .ok_or_else(invalid)?;
        *octet = part.parse().map_err(|_| invalid())?;
    }
    if parts.next().is_some() {
        return Err(invalid());
    }
    let port = port_text.map(|text| port(text).ok_or_else(invalid)?).transpose()?;
    Ok(Address {
        host: Host::V4(octets.into()),
        port,
    })
}

fn parse_v6(text: &str) -> Result<Address, AddressError> {
    let invalid = || AddressError::Ipv6(text.to_owned());
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(invalid)?;
            let port = match rest.strip_prefix(':') {
                Some(digits) => Some(port(digits).ok_or_else(invalid)??),
                None if rest.is_empty() => None,
                None => return Err(invalid()),
            };
            (host, port)
        }
        None => (text, None),
    };
    // Dotted quads at the end are not part of the original's grammar.
    if host.contains('.') {
        return Err(invalid());
    }
    let ip = host.parse().map_err(|_| invalid())?;
    Ok(Address {
        host: Host::V6(ip),
        port,
    })
}

fn parse_name(text: &str) -> Result<Address, AddressError> {
    let invalid = || AddressError::Hostname(text.to_owned());
    let (name, port) = match text.rsplit_once(':').map(|(name, digits)| (name, port(digits))) {
        Some((name, Some(port))) => (name, Some(port?)),
        _ => (text, None),
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(invalid());
    }
    let labels = name.strip_suffix('.').unwrap_or(name);
    if labels.split('.').any(|label| label.is_empty() || label.ends_with('-')) {
        return Err(invalid());
    }
    Ok(Address {
        host: Host::Name(name.to_owned()),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_and_normalised() {
        let rows = [
            ("example.com", "example.com"),
            ("example.com.", "example.com."),
            ("-a.b", "-a.b"),
            ("a_b:80", "a_b:80"),
            ("a", "a"),
            ("010.000.0.1", "10.0.0.1"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("::1", "[0000:0000:0000:0000:0000:0000:0000:0001]"),
            ("[::1]", "[0000:0000:0000:0000:0000:0000:0000:0001]"),
            ("[::1]:80", "[0000:0000:0000:0000:0000:0000:0000:0001]:80"),
            ("FE80::A:b", "[fe80:0000:0000:0000:0000:0000:000a:000b]"),
        ];
        for (text, expected) in rows {
            assert_eq!(
                Address::parse(text).map(|a| a.to_string()),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn malformed_addresses_have_the_texts_of_the_reference() {
        let rows = [
            ("10.0.0.256", "invalid ipv4 address: 10.0.0.256"),
            ("1.2.3", "invalid ipv4 address: 1.2.3"),
            ("1.2.3.4.5", "invalid ipv4 address: 1.2.3.4.5"),
            ("10.0.0.1:99999", "invalid port number"),
            ("a.test:99999", "invalid port number"),
            ("a.test:x", "invalid hostname: a.test:x"),
            ("a b", "invalid hostname: a b"),
            ("a..b", "invalid hostname: a..b"),
            (".a", "invalid hostname: .a"),
            ("a-.test", "invalid hostname: a-.test"),
            ("ä.test", "invalid hostname: ä.test"),
            ("", "invalid hostname: "),
            (":", "invalid hostname: :"),
            ("[::1", "invalid ipv6 address: [::1"),
            ("[::1]x", "invalid ipv6 address: [::1]x"),
            ("::ffff:1.2.3.4", "invalid ipv6 address: ::ffff:1.2.3.4"),
            ("host:80:90x", "invalid ipv6 address: host:80:90x"),
        ];
        for (text, expected) in rows {
            assert_eq!(
                Address::parse(text).map_err(|e| e.to_string()),
                Err(expected.to_owned()),
                "{text}"
            );
        }
    }
}
