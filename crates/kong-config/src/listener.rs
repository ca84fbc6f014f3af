//! The listener grammar: `<address>:<port> flag…`, several separated by commas, or `off`.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use crate::property::Subsystem;
use crate::value::{ConfigValue, split_list};

/// One address on which the node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// An IP address (IPv6 without brackets) or a host name.
    pub host: String,
    /// 0 lets the system choose.
    pub port: u16,
    /// Expect TLS.
    pub ssl: bool,
    /// Offer HTTP/2.
    pub http2: bool,
    /// Datagrams (stream only).
    pub udp: bool,
    /// Expect a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Accept only once data has arrived.
    pub deferred: bool,
    /// Bind this address on its own, also beside a wildcard.
    pub bind: bool,
    /// One socket per worker.
    pub reuseport: bool,
    /// Length of the accept queue.
    pub backlog: Option<u32>,
    /// Whether an IPv6 socket refuses IPv4.
    pub ipv6only: Option<bool>,
    /// TCP keep-alive.
    pub so_keepalive: Option<TcpKeepAlive>,
    flags: Vec<(&'static str, Option<String>)>,
}

/// TCP keep-alive of accepted connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpKeepAlive {
    /// Never.
    Off,
    /// With these times; what is none is the system's.
    On {
        /// Seconds without data before the first probe.
        idle: Option<u32>,
        /// Seconds between probes.
        interval: Option<u32>,
        /// Probes without an answer before the connection is given up.
        count: Option<u32>,
    },
}

/// A flag as it stands in the grammar, with the name under which `GET /` shows it while unused.
const HTTP_FLAGS: &[&str] = &[
    "ssl",
    "http2",
    "proxy_protocol",
    "deferred",
    "bind",
    "reuseport",
    "backlog=%d+",
    "ipv6only=on",
    "ipv6only=off",
    "so_keepalive=on",
    "so_keepalive=off",
    "so_keepalive=%w*:%w*:%d*",
];
const STREAM_FLAGS: &[&str] = &[
    "ssl",
    "udp",
    "proxy_protocol",
    "bind",
    "reuseport",
    "backlog=%d+",
    "ipv6only=on",
    "ipv6only=off",
    "so_keepalive=on",
    "so_keepalive=off",
    "so_keepalive=%w*:%w*:%d*",
];

fn flags_of(subsystem: Subsystem) -> &'static [&'static str] {
    match subsystem {
        Subsystem::Http => HTTP_FLAGS,
        Subsystem::Stream => STREAM_FLAGS,
    }
}

/// Reads the listeners of a property; the error is the message without the property's name.
pub(crate) fn parse_listeners(text: &str, subsystem: Subsystem) -> Result<Vec<Listener>, String> {
    let flags = flags_of(subsystem);
    let usage = || {
        let flags: String = flags.iter().map(|flag| format!(" [{flag}]")).collect();
        format!("must be of form: [off] | <ip>:<port>{flags}, [... next entry ...]")
    };
    let mut entries = split_list(text).peekable();
    match entries.peek() {
        None => return Err(usage()),
        Some(&"off") => return Ok(Vec::new()),
        Some(_) => {}
    }
    entries
        .map(|entry| parse_listener(entry, flags).ok_or_else(usage))
        .collect()
}

fn parse_listener(entry: &str, flags: &'static [&'static str]) -> Option<Listener> {
    let mut address = None;
    let mut given: Vec<Option<String>> = vec![None; flags.len()];
    for word in entry.split_whitespace() {
        match flags.iter().position(|flag| flag_matches(flag, word)) {
            Some(index) => given[index] = Some(word.to_owned()),
            // A second word that is no flag is neither an address nor anything else.
            None if address.is_none() => address = Some(word),
            None => return None,
        }
    }
    let (host, port) = split_address(address?)?;
    let has = |name: &str| {
        flags
            .iter()
            .zip(&given)
            .any(|(flag, given)| *flag == name && given.is_some())
    };
    let value = |name: &str| {
        flags
            .iter()
            .zip(&given)
            .filter(|(flag, _)| flag.starts_with(name))
            .find_map(|(_, given)| {
                given
                    .as_deref()
                    .and_then(|word| word.split_once('='))
                    .map(|(_, value)| value.to_owned())
            })
    };
    let backlog = match value("backlog=") {
        Some(number) => Some(number.parse().ok().filter(|&number: &u32| number <= i32::MAX as u32)?),
        None => None,
    };
    let so_keepalive = match value("so_keepalive=") {
        Some(text) => Some(parse_keepalive(&text)?),
        None => None,
    };
    Some(Listener {
        host,
        port,
        ssl: has("ssl"),
        http2: has("http2"),
        udp: has("udp"),
        proxy_protocol: has("proxy_protocol"),
        deferred: has("deferred"),
        bind: has("bind"),
        reuseport: has("reuseport"),
        backlog,
        ipv6only: value("ipv6only=").map(|text| text == "on"),
        so_keepalive,
        flags: flags.iter().copied().zip(given).collect(),
    })
}

/// Whether a word is this flag; the flags with a value are written as the original shows them.
fn flag_matches(flag: &str, word: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let letters = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    match flag {
        "backlog=%d+" => word
            .strip_prefix("backlog=")
            .is_some_and(|number| !number.is_empty() && digits(number)),
        "so_keepalive=%w*:%w*:%d*" => word.strip_prefix("so_keepalive=").is_some_and(|times| {
            let parts: Vec<_> = times.split(':').collect();
            matches!(parts[..], [idle, interval, count] if letters(idle) && letters(interval) && digits(count))
        }),
        exact => exact == word,
    }
}

fn parse_keepalive(text: &str) -> Option<TcpKeepAlive> {
    let seconds = |part: &str| match part {
        "" => Some(None),
        _ => crate::units::parse_duration(part)
            .and_then(|time| u32::try_from(time.as_secs()).ok())
            .map(Some),
    };
    match text {
        "on" => Some(TcpKeepAlive::On {
            idle: None,
            interval: None,
            count: None,
        }),
        "off" => Some(TcpKeepAlive::Off),
        times => {
            let mut parts = times.split(':');
            let (idle, interval) = (seconds(parts.next()?)?, seconds(parts.next()?)?);
            let count = match parts.next()? {
                "" => None,
                count => Some(count.parse().ok()?),
            };
            Some(TcpKeepAlive::On { idle, interval, count })
        }
    }
}

/// `<ip-or-name>:<port>`, IPv6 in brackets.
pub(crate) fn split_address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let port = port.parse().ok()?;
    if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some((address.to_string(), port));
    }
    let looks_numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if looks_numeric {
        return host
            .parse::<std::net::Ipv4Addr>()
            .ok()
            .map(|address| (address.to_string(), port));
    }
    let is_name = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.*".contains(&b));
    (!host.is_empty() && is_name).then(|| (host.to_owned(), port))
}

impl Listener {
    /// The address, unless the host is a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Every socket address it stands for; a name is looked up.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match self.ip() {
            Some(ip) => Ok(vec![SocketAddr::new(ip, self.port)]),
            None => (self.host.as_str(), self.port).to_socket_addrs().map(Iterator::collect),
        }
    }

    /// The host as `GET /` shows it: IPv6 in brackets, with all its digits.
    fn shown_host(&self) -> String {
        match self.host.parse::<Ipv6Addr>() {
            Ok(address) => {
                let groups: Vec<_> = address.segments().iter().map(|group| format!("{group:04x}")).collect();
                format!("[{}]", groups.join(":"))
            }
            Err(_) => self.host.clone(),
        }
    }

    /// A URL of it, for messages to people.
    pub fn url(&self) -> String {
        let scheme = if self.ssl { "https" } else { "http" };
        match self.host.parse::<Ipv6Addr>() {
            Ok(address) => format!("{scheme}://[{address}]:{}", self.port),
            Err(_) => format!("{scheme}://{}:{}", self.host, self.port),
        }
    }

    /// The element of `proxy_listeners` and the like in `GET /`.
    pub fn to_value(&self) -> ConfigValue {
        let mut members = BTreeMap::new();
        let mut listener = format!("{}:{}", self.shown_host(), self.port);
        for (flag, given) in &self.flags {
            let name = given.as_deref().unwrap_or(flag);
            members.insert(name.to_owned(), ConfigValue::Boolean(given.is_some()));
            if given.is_some() && *flag != "http2" {
                listener.push(' ');
                listener.push_str(name);
            }
        }
        members.insert("listener".into(), ConfigValue::Text(listener));
        members.insert("ip".into(), ConfigValue::Text(self.shown_host()));
        members.insert("port".into(), ConfigValue::Number(f64::from(self.port)));
        ConfigValue::Map(members)
    }
}

/// Whether any listener of the family offers HTTP/2: then all of its TLS listeners do.
pub fn offers_http2(family: &[Listener]) -> bool {
    family.iter().any(|listener| listener.http2)
}

#[cfg(test)]
mod tests;
