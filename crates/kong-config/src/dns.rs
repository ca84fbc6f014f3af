//! DNS properties.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::checks::Reader;

/// How names are resolved. With `new_dns_client` the values are those of the `resolver_*` properties.
#[derive(Debug, Clone)]
pub struct Dns {
    /// `new_dns_client`
    pub new_client: bool,
    /// Name servers; empty: those of the system.
    pub servers: Vec<SocketAddr>,
    /// File of static names.
    pub hosts_file: PathBuf,
    /// Record types in the order in which they are tried (`LAST`, `SRV`, `A`, `AAAA`, `CNAME`).
    pub order: Vec<String>,
    /// Overrides the answers' own times.
    pub valid_ttl: Option<Duration>,
    /// How long an expired answer is used while it is refreshed.
    pub stale_ttl: Duration,
    /// How long an empty answer is kept.
    pub not_found_ttl: Duration,
    /// How long a failure is kept.
    pub error_ttl: Duration,
    /// Answers kept per worker.
    pub cache_size: u64,
    /// Whether every request that misses asks itself.
    pub no_sync: bool,
}

impl Dns {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let old = Self::read_client(reader, false);
        let new = Self::read_client(reader, true);
        if new.new_client { new } else { old }
    }

    fn read_client(reader: &mut Reader<'_>, new: bool) -> Self {
        let values = reader.values;
        let name = |old: &'static str, newer: &'static str| if new { newer } else { old };
        let servers = servers(reader, name("dns_resolver", "resolver_address"));
        let hosts_name = name("dns_hostsfile", "resolver_hosts_file");
        let hosts_file = PathBuf::from(values.text(hosts_name).unwrap_or("/etc/hosts"));
        // A missing default file is an empty one; a missing file that somebody named is a mistake.
        if values.is_set(hosts_name) && !hosts_file.is_file() {
            reader.invalid(format!("{hosts_name}: file does not exist"));
        }
        let order_name = name("dns_order", "resolver_family");
        let allowed: &[&str] = if new {
            &["A", "AAAA", "SRV"]
        } else {
            &["LAST", "A", "AAAA", "CNAME", "SRV"]
        };
        let mut order = Vec::new();
        for item in values.list(order_name) {
            let upper = item.to_ascii_uppercase();
            if allowed.contains(&upper.as_str()) {
                order.push(upper);
            } else {
                reader.invalid(format!("{order_name}: invalid entry '{item}'"));
            }
        }
        let error_ttl = reader
            .seconds(name("dns_error_ttl", "resolver_error_ttl"))
            .unwrap_or(Duration::from_secs(1));
        let not_found_ttl = match new {
            true => error_ttl,
            false => reader.seconds("dns_not_found_ttl").unwrap_or(Duration::from_secs(30)),
        };
        Self {
            new_client: new && values.is_on("new_dns_client"),
            servers,
            hosts_file,
            order,
            valid_ttl: reader.seconds(name("dns_valid_ttl", "resolver_valid_ttl")),
            stale_ttl: reader
                .seconds(name("dns_stale_ttl", "resolver_stale_ttl"))
                .unwrap_or(Duration::from_secs(3600)),
            not_found_ttl,
            error_ttl,
            cache_size: reader
                .integer(
                    name("dns_cache_size", "resolver_lru_cache_size"),
                    0..=1 << 32,
                    "must be 0 or greater",
                )
                .unwrap_or(10_000),
            no_sync: !new && values.is_on("dns_no_sync"),
        }
    }
}

fn servers(reader: &mut Reader<'_>, name: &str) -> Vec<SocketAddr> {
    let mut servers = Vec::new();
    for item in reader.values.list(name) {
        let address = item.parse::<SocketAddr>().ok();
        let bare = item
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .ok();
        match address.or(bare.map(|ip| SocketAddr::new(ip, 53))) {
            Some(server) => servers.push(server),
            None => reader.invalid(format!(
                "{name} must be a comma separated list in the form of IPv4/6 or IPv4/6:port, got '{item}'"
            )),
        }
    }
    servers
}
