//! What names stand for. Asking name servers is done behind [`Resolve`].

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// How long an address that is written out, or stands in the hosts file, is right.
pub const LITERAL_TTL: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Type of the records of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum RecordKind {
    A,
    Aaaa,
    Srv,
}

impl RecordKind {
    /// As it is written in zone files.
    pub fn name(self) -> &'static str {
        match self {
            RecordKind::A => "A",
            RecordKind::Aaaa => "AAAA",
            RecordKind::Srv => "SRV",
        }
    }
}

/// One address of a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Record {
    /// Address.
    pub ip: IpAddr,
    /// Port of an SRV record, unless it says 0.
    pub port: Option<u16>,
    /// Weight of an SRV record, at least 1.
    pub weight: Option<u32>,
    /// The name in an SRV record.
    pub name: Option<Arc<str>>,
}

impl Record {
    /// A plain address.
    pub fn address(ip: IpAddr) -> Self {
        Record {
            ip,
            port: None,
            weight: None,
            name: None,
        }
    }
}

/// Addresses of a name, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What kind of records they come from.
    pub kind: RecordKind,
    /// In the order of the answer.
    pub records: Vec<Record>,
    /// How long they may be used.
    pub ttl: Duration,
}

impl Answer {
    /// The answer for an address that is written out.
    pub fn literal(ip: IpAddr) -> Self {
        Answer {
            kind: match ip {
                IpAddr::V4(_) => RecordKind::A,
                IpAddr::V6(_) => RecordKind::Aaaa,
            },
            records: vec![Record::address(ip)],
            ttl: LITERAL_TTL,
        }
    }
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name does not exist, or has no address: the text says which.
    #[error("{0}")]
    NotFound(String),
    /// The look-up failed: time-out, refused, server failure.
    #[error("{0}")]
    Failed(String),
}

/// A look-up in progress.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = Result<Answer, ResolveError>> + Send + 'a>>;

/// Resolves names, without a cache.
pub trait Resolve: Send + Sync {
    /// The addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;

    /// The answer that needs nobody to be asked: of an address that is written out, or of a static name.
    fn known(&self, name: &str) -> Option<Answer> {
        literal(name).map(Answer::literal)
    }
}

/// The address that a host is, if it is none by name. Brackets are allowed.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host
            .parse::<Ipv4Addr>()
            .map(IpAddr::V4)
            .or_else(|_| host.parse::<Ipv6Addr>().map(IpAddr::V6))
            .ok(),
    }
}

/// What is known of a target's name.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolution {
    /// Nobody answered yet.
    Pending,
    /// Its addresses.
    Known(Answer),
    /// It has none.
    Failed(ResolveError),
}

impl Resolution {
    /// Of a host that is an address; [`Resolution::Pending`] for a name.
    pub fn of_literal(host: &str) -> Self {
        match literal(host) {
            Some(ip) => Resolution::Known(Answer::literal(ip)),
            None => Resolution::Pending,
        }
    }

    /// What the Admin API shows as `dns`.
    pub fn label(&self) -> String {
        match self {
            Resolution::Pending => "unknown".to_owned(),
            Resolution::Known(answer) => answer.kind.name().to_owned(),
            Resolution::Failed(error) => error.to_string(),
        }
    }

    pub(crate) fn records(&self) -> &[Record] {
        match self {
            Resolution::Known(answer) => &answer.records,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_names() {
        let rows = [
            ("10.0.0.1", Some("10.0.0.1")),
            ("[::1]", Some("::1")),
            ("::1", Some("::1")),
            ("[0000:0000:0000:0000:0000:0000:0000:0001]", Some("::1")),
            ("[10.0.0.1]", None),
            ("a.test", None),
            ("10.0.0", None),
            ("", None),
        ];
        for (host, expected) in rows {
            assert_eq!(literal(host).map(|ip| ip.to_string()).as_deref(), expected, "{host}");
        }
    }
}
