//! Asks name servers (upstream.md §13).
//!
//! The hosts file, the search list, the order of record types and the sockets are our own; hickory's protocol crate reads
//! and writes the messages. Its resolver was tried: it does not notice that a name server is not there, and would take
//! twelve seconds to say what the original says at once.

mod exchange;
mod resolv_conf;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record as DnsRecord, RecordType};
use kong_balancer::{Answer, LITERAL_TTL, Record, RecordKind, Resolve, ResolveError, Resolving};

use exchange::Servers;
use resolv_conf::ResolvConf;

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
    servers: Servers,
    last: Mutex<HashMap<String, RecordKind>>,
}

/// SRV records of an answer that are followed.
const MAX_SRV: usize = 64;
/// Aliases that are followed where the server does not do it.
const MAX_ALIASES: usize = 8;

impl Dns {
    /// Reads the hosts file and the system's settings.
    pub fn new(settings: DnsSettings) -> Self {
        let system = ResolvConf::system();
        let addresses = match settings.servers.is_empty() {
            true => system.servers,
            false => settings.servers.clone(),
        };
        let hosts = std::fs::read_to_string(&settings.hosts_file).unwrap_or_default();
        let suffixes = system.search.iter();
        Dns {
            hosts: static_names(&hosts),
            search: suffixes.filter_map(|suffix| Name::from_ascii(suffix).ok()).collect(),
            ndots: system.ndots,
            servers: Servers::new(addresses, system.timeout, system.attempts, system.rotates),
            last: Mutex::default(),
            settings,
        }
    }

    /// How names are resolved.
    pub fn settings(&self) -> &DnsSettings {
        &self.settings
    }

    async fn lookup(&self, name: &str) -> Result<Answer, ResolveError> {
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
                match self.query(candidate, kind).await {
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

    /// Records of one name and type, and how long they are good.
    async fn records(&self, name: &Name, kind: RecordKind) -> Result<(Vec<DnsRecord>, Duration), Refused> {
        let record_type = match kind {
            RecordKind::A => RecordType::A,
            RecordKind::Aaaa => RecordType::AAAA,
            RecordKind::Srv => RecordType::SRV,
        };
        let mut name = name.clone();
        let mut ttl = Duration::MAX;
        for _ in 0..MAX_ALIASES {
            let answer = self.servers.ask(&name, record_type).await.map_err(Refused::Network)?;
            refuse(answer.metadata.response_code)?;
            ttl = ttl.min(self.ttl(&answer.answers));
            let (wanted, others): (Vec<_>, Vec<_>) = answer
                .answers
                .into_iter()
                .partition(|record| record.record_type() == record_type);
            if !wanted.is_empty() {
                return Ok((wanted, ttl));
            }
            let alias = others.into_iter().find_map(|record| match record.data {
                RData::CNAME(alias) if record.name == name => Some(alias.0),
                _ => None,
            });
            name = alias.ok_or_else(Refused::empty)?;
        }
        let text = "dns client error: recursion detected".to_owned();
        Err(Refused::Nothing(ResolveError::Failed(text), false))
    }

    /// One name and type. `None`: only records that cannot be used.
    async fn query(&self, name: &Name, kind: RecordKind) -> Result<Option<Answer>, Refused> {
        let (records, mut ttl) = self.records(name, kind).await?;
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
                None => self.records(&srv.target, RecordKind::A).await.map(|(records, ttl)| {
                    let addresses = records.iter().filter_map(|record| address(&record.data));
                    (addresses.collect(), ttl)
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

fn refuse(code: ResponseCode) -> Result<(), Refused> {
    match code {
        ResponseCode::NoError => Ok(()),
        ResponseCode::NXDomain => Err(Refused::Nothing(
            ResolveError::NotFound("dns server error: 3 name error".to_owned()),
            true,
        )),
        code => {
            let text = match u16::from(code) {
                1 => "format error",
                2 => "server failure",
                4 => "not implemented",
                5 => "refused",
                _ => "unknown",
            };
            let text = format!("dns server error: {} {text}", u16::from(code));
            Err(Refused::Nothing(ResolveError::Failed(text), false))
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
mod tests;
