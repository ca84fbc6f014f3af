//! Asks name servers, by way of hickory (upstream.md §13). One per thread, as its sockets belong to a runtime.
//!
//! The hosts file, the search list and the order of record types are dealt with here; hickory is asked for one complete
//! name and type at a time and keeps nothing, since how long answers are kept differs by who asks.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record as DnsRecord, RecordType};
use hickory_resolver::{Resolver, TokioResolver, system_conf};
use kong_balancer::{Answer, LITERAL_TTL, Record, RecordKind, Resolve, ResolveError, Resolving};

/// How names are resolved: the `dns_*` properties.
#[derive(Debug, Clone)]
pub struct DnsSettings {
    /// Name servers; empty: those of the system.
    pub servers: Vec<SocketAddr>,
    /// File of static names.
    pub hosts_file: PathBuf,
    /// Types in the order in which they are asked for.
    pub order: Vec<RecordKind>,
    /// The type that a name had last is asked for first.
    pub last_first: bool,
    /// SRV records are asked for only where the name looks like one of them, `_service._proto.name`.
    pub srv_by_form: bool,
    /// Overrides the answers' own times.
    pub valid_ttl: Option<Duration>,
    /// How long an expired answer is used while it is refreshed.
    pub stale_ttl: Duration,
    /// How long it is remembered that a name does not exist.
    pub not_found_ttl: Duration,
    /// How long a failure is remembered.
    pub error_ttl: Duration,
    /// Answers kept by each worker.
    pub cache_size: usize,
}

impl Default for DnsSettings {
    fn default() -> Self {
        DnsSettings {
            servers: Vec::new(),
            hosts_file: PathBuf::from("/etc/hosts"),
            order: vec![RecordKind::Srv, RecordKind::A],
            last_first: true,
            srv_by_form: false,
            valid_ttl: None,
            stale_ttl: Duration::from_secs(3600),
            not_found_ttl: Duration::from_secs(30),
            error_ttl: Duration::from_secs(1),
            cache_size: 10_000,
        }
    }
}

/// See the module.
pub struct Dns {
    settings: DnsSettings,
    hosts: HashMap<String, IpAddr>,
    search: Vec<Name>,
    ndots: usize,
    /// Absent where the system has no name server that could be asked.
    resolver: Option<TokioResolver>,
    last: Mutex<HashMap<String, RecordKind>>,
}

/// Name servers that are asked.
const MAX_SERVERS: usize = 3;
/// Search suffixes that are tried.
const MAX_SEARCH: usize = 6;
/// SRV records of an answer that are followed.
const MAX_SRV: usize = 64;

impl Dns {
    /// Reads the hosts file and the system's settings.
    pub fn new(settings: DnsSettings) -> Self {
        let system = system_conf::read_system_conf().ok();
        let (config, mut options) = system.unwrap_or_else(|| {
            let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
            (nobody, ResolverOpts::default())
        });
        let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let is_set = |name: &str| text.split_whitespace().any(|word| word.starts_with(name));
        if !is_set("timeout:") || options.timeout.is_zero() {
            options.timeout = Duration::from_secs(2);
        }
        if !is_set("attempts:") {
            options.attempts = 5;
        }
        // A file without the option means one dot, whatever the system's library thinks.
        options.cache_size = 0;
        options.edns0 = false;
        let ndots = options.ndots;
        let search: Vec<Name> = config.search().iter().take(MAX_SEARCH).cloned().collect();
        let servers: Vec<NameServerConfig> = match settings.servers.is_empty() {
            false => settings.servers.iter().map(name_server).collect(),
            true => config.name_servers().iter().take(MAX_SERVERS).cloned().collect(),
        };
        let resolver = match servers.is_empty() {
            true => None,
            false => {
                let config = ResolverConfig::from_parts(None, Vec::new(), servers);
                let builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
                builder
                    .with_options(options)
                    .build()
                    .inspect_err(|error| tracing::error!("names cannot be resolved: {error}"))
                    .ok()
            }
        };
        let hosts = std::fs::read_to_string(&settings.hosts_file).unwrap_or_default();
        Dns {
            hosts: static_names(&hosts),
            search,
            ndots,
            resolver,
            last: Mutex::default(),
            settings,
        }
    }

    /// How names are resolved.
    pub fn settings(&self) -> &DnsSettings {
        &self.settings
    }

    async fn lookup(&self, name: &str) -> Result<Answer, ResolveError> {
        let Some(resolver) = &self.resolver else {
            return Err(ResolveError::Failed("dns client error: no name server".to_owned()));
        };
        let candidates = self.candidates(name)?;
        let mut kinds = self.settings.order.clone();
        if self.settings.srv_by_form && !is_service(name) {
            kinds.retain(|kind| *kind != RecordKind::Srv);
        }
        if self.settings.last_first
            && let Some(last) = self.last_kind(name)
            && let Some(at) = kinds.iter().position(|kind| *kind == last)
        {
            let kind = kinds.remove(at);
            kinds.insert(0, kind);
        }
        let mut error = ResolveError::NotFound("dns client error: 101 empty record received".to_owned());
        for kind in kinds {
            let mut is_absent = true;
            for candidate in &candidates {
                match self.query(resolver, candidate, kind).await {
                    Ok(Some(answer)) => {
                        self.remember(name, kind);
                        return Ok(answer);
                    }
                    Ok(None) => is_absent = false,
                    Err(Refused::Nothing(refusal, is_name_absent)) => {
                        is_absent &= is_name_absent;
                        error = refusal;
                    }
                    // Nobody answers: other names and types will not be answered either.
                    Err(Refused::Network(refusal)) => return Err(refusal),
                }
            }
            // None of the names exists, whatever the type.
            if is_absent {
                break;
            }
        }
        Err(error)
    }

    /// One name and type. `None`: only records that cannot be used.
    async fn query(
        &self,
        resolver: &TokioResolver,
        name: &Name,
        kind: RecordKind,
    ) -> Result<Option<Answer>, Refused> {
        let record_type = match kind {
            RecordKind::A => RecordType::A,
            RecordKind::Aaaa => RecordType::AAAA,
            RecordKind::Srv => RecordType::SRV,
        };
        let lookup = resolver.lookup(name.clone(), record_type).await.map_err(refused)?;
        let records = lookup.answers();
        let mut ttl = self.ttl(records);
        let addresses: Vec<Record> = records.iter().filter_map(|record| address(&record.data)).collect();
        if kind != RecordKind::Srv {
            return match addresses.is_empty() {
                true => Err(Refused::empty()),
                false => Ok(Some(Answer {
                    kind,
                    records: addresses,
                    ttl,
                })),
            };
        }
        let services: Vec<_> = records
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(srv),
                _ => None,
            })
            .take(MAX_SRV)
            .collect();
        let Some(priority) = services.iter().map(|srv| srv.priority).min() else {
            return Err(Refused::empty());
        };
        if services.iter().all(|srv| srv.target == *name) {
            return Ok(None);
        }
        let mut found = Vec::new();
        let mut last = Refused::empty();
        for srv in services.into_iter().filter(|srv| srv.priority == priority) {
            let target = srv.target.to_ascii();
            let target = target.trim_end_matches('.');
            let answer = match self.known(target) {
                Some(answer) => Ok((answer.records, answer.ttl)),
                None => resolver
                    .lookup(srv.target.clone(), RecordType::A)
                    .await
                    .map_err(refused)
                    .map(|lookup| {
                        let records = lookup.answers();
                        let addresses = records.iter().filter_map(|record| address(&record.data)).collect();
                        (addresses, self.ttl(records))
                    }),
            };
            match answer {
                Ok((addresses, its_ttl)) => {
                    ttl = ttl.min(its_ttl);
                    found.extend(addresses.into_iter().map(|record: Record| Record {
                        port: (srv.port != 0).then_some(srv.port),
                        weight: Some(u32::from(srv.weight).max(1)),
                        name: Some(target.into()),
                        ..record
                    }));
                }
                Err(refusal) => last = refusal,
            }
        }
        match found.is_empty() {
            true => Err(last),
            false => Ok(Some(Answer {
                kind,
                records: found,
                ttl,
            })),
        }
    }

    /// Complete names to ask for.
    fn candidates(&self, name: &str) -> Result<Vec<Name>, ResolveError> {
        let parse = |name: &str| {
            let mut name = Name::from_ascii(name).ok()?;
            name.set_fqdn(true);
            Some(name)
        };
        let invalid = || ResolveError::NotFound("dns client error: 103 invalid name".to_owned());
        let bare = parse(name).ok_or_else(invalid)?;
        if name.ends_with('.') {
            return Ok(vec![bare]);
        }
        let mut relative = bare.clone();
        relative.set_fqdn(false);
        let mut candidates: Vec<Name> = self
            .search
            .iter()
            .filter_map(|suffix| relative.clone().append_domain(suffix).ok())
            .collect();
        let dots = name.bytes().filter(|b| *b == b'.').count();
        let at = if dots >= self.ndots { 0 } else { candidates.len() };
        candidates.insert(at, bare);
        Ok(candidates)
    }

    fn ttl(&self, records: &[DnsRecord]) -> Duration {
        let own = records.iter().map(|record| record.ttl).min().unwrap_or_default();
        self.settings.valid_ttl.unwrap_or(Duration::from_secs(own.into()))
    }

    fn last_kind(&self, name: &str) -> Option<RecordKind> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(name).copied()
    }

    fn remember(&self, name: &str, kind: RecordKind) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= self.settings.cache_size.max(1) {
            last.clear();
        }
        last.insert(name.to_owned(), kind);
    }
}

impl Resolve for Dns {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            match self.known(name) {
                Some(answer) => Ok(answer),
                None => self.lookup(name).await,
            }
        })
    }

    fn known(&self, name: &str) -> Option<Answer> {
        if let kong_balancer::Resolution::Known(answer) = kong_balancer::Resolution::of_literal(name) {
            return Some(answer);
        }
        let lower = name.to_ascii_lowercase();
        let ip = *self.hosts.get(lower.strip_suffix('.').unwrap_or(&lower))?;
        Some(Answer {
            ttl: LITERAL_TTL,
            ..Answer::literal(ip)
        })
    }
}

/// Why a query brought nothing.
enum Refused {
    /// The server says so; and whether the name does not exist at all.
    Nothing(ResolveError, bool),
    /// No server answered.
    Network(ResolveError),
}

impl Refused {
    fn empty() -> Self {
        Refused::Nothing(
            ResolveError::NotFound("dns client error: 101 empty record received".to_owned()),
            false,
        )
    }
}

fn refused(error: NetError) -> Refused {
    let code = match &error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.response_code,
        NetError::Dns(DnsError::ResponseCode(code)) => *code,
        _ => return Refused::Network(ResolveError::Failed(format!("dns client error: {error}"))),
    };
    match code {
        ResponseCode::NoError => Refused::empty(),
        ResponseCode::NXDomain => Refused::Nothing(
            ResolveError::NotFound("dns server error: 3 name error".to_owned()),
            true,
        ),
        code => {
            let text = match u16::from(code) {
                1 => "format error",
                2 => "server failure",
                4 => "not implemented",
                5 => "refused",
                _ => "unknown",
            };
            let text = format!("dns server error: {} {text}", u16::from(code));
            Refused::Nothing(ResolveError::Failed(text), false)
        }
    }
}

fn address(data: &RData) -> Option<Record> {
    match data {
        RData::A(a) => Some(Record::address(IpAddr::V4(a.0))),
        RData::AAAA(aaaa) => Some(Record::address(IpAddr::V6(aaaa.0))),
        _ => None,
    }
}

/// `_service._proto.name`
fn is_service(name: &str) -> bool {
    let mut labels = name.split('.');
    let mut is_marked = || labels.next().is_some_and(|label| label.starts_with('_'));
    is_marked() && is_marked()
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connection = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    };
    let connections = vec![connection(ProtocolConfig::Udp), connection(ProtocolConfig::Tcp)];
    NameServerConfig::new(address.ip(), true, connections)
}

/// The first IPv4 address of each name, else the first IPv6 one.
fn static_names(text: &str) -> HashMap<String, IpAddr> {
    let mut names: HashMap<String, IpAddr> = HashMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(ip) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
            continue;
        };
        for name in words {
            let known = names.entry(name.to_ascii_lowercase()).or_insert(ip);
            if known.is_ipv6() && ip.is_ipv4() {
                *known = ip;
            }
        }
    }
    names
        .entry("localhost".to_owned())
        .or_insert(IpAddr::from([127, 0, 0, 1]));
    names
}

/// Resolvers of a node share nothing but their settings.
pub(crate) fn resolver(settings: &DnsSettings) -> Arc<dyn Resolve> {
    Arc::new(Dns::new(settings.clone()))
}

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
