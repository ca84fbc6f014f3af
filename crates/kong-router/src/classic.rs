//! The predicate of a route's classic fields (routing.md §3).
//!
//! On the request path: nothing here allocates unless a header value is not ASCII.

use std::sync::Arc;

use crate::captures::Captures;
use crate::flavor::Flavor;
use crate::header::{HeaderRule, HeaderValue};
use crate::host::{HostPattern, NamePattern};
use crate::index::{HostKey, LONGEST_KEY, Places, Selector, SelectorKind};
use crate::matcher::Facts;
use crate::network::EndpointRule;
use crate::pattern::{Pattern, PatternCache};
use crate::request::Scheme;
use crate::traditional;
use kong_model::{Protocol, Route};

/// Conditions on all of which a request must agree; an empty list agrees with everything.
#[derive(Debug, Default)]
pub(crate) struct Classic {
    pub(crate) methods: Box<[Box<str>]>,
    pub(crate) hosts: Box<[HostPattern]>,
    pub(crate) prefixes: Box<[Box<str>]>,
    pub(crate) regexes: Box<[Arc<Pattern>]>,
    pub(crate) headers: Box<[HeaderRule]>,
    pub(crate) snis: Box<[NamePattern]>,
    pub(crate) sources: Box<[EndpointRule]>,
    pub(crate) destinations: Box<[EndpointRule]>,
    /// Values of `net.protocol`; only in the expressions flavor.
    pub(crate) schemes: Box<[Scheme]>,
    /// The rules are those of the traditional flavor.
    is_traditional: bool,
    /// The host's entry in the index does not tell all.
    hosts_unsettled: bool,
    /// There is more to a request than what the index has checked.
    pub(crate) unsettled: bool,
}

impl Classic {
    /// Translates the fields of `route`, with `paths` in place of all its paths.
    pub(crate) fn new(route: &Route, paths: &[&str], flavor: Flavor, patterns: &PatternCache) -> Result<Self, String> {
        let is_traditional = flavor == Flavor::Traditional;
        let mut prefixes = Vec::new();
        let mut regexes = Vec::new();
        for path in paths {
            match path.strip_prefix('~') {
                Some(regex) => regexes.push(patterns.compile(&format!("^{regex}"))?),
                None => prefixes.push(Box::from(*path)),
            }
        }
        let mut headers = Vec::new();
        for (name, values) in route.headers.iter().flatten().filter(|(_, values)| !values.is_empty()) {
            headers.push(HeaderRule::new(name, values, is_traditional, patterns)?);
        }
        let endpoints = |rules: &Option<Vec<kong_model::IpPort>>| {
            rules
                .iter()
                .flatten()
                .map(EndpointRule::new)
                .collect::<Result<Box<[_]>, _>>()
        };
        let host_pattern = if is_traditional {
            traditional::host_pattern
        } else {
            HostPattern::new
        };
        let mut classic = Classic {
            methods: route
                .methods
                .iter()
                .flatten()
                .map(|method| method.as_str().into())
                .collect(),
            hosts: route.hosts.iter().flatten().map(|host| host_pattern(host)).collect(),
            prefixes: prefixes.into(),
            regexes: regexes.into(),
            headers: headers.into(),
            snis: route.snis.iter().flatten().map(|sni| NamePattern::sni(sni)).collect(),
            sources: endpoints(&route.sources)?,
            destinations: endpoints(&route.destinations)?,
            schemes: if flavor == Flavor::Expressions {
                required_schemes(&route.protocols)
            } else {
                Box::default()
            },
            is_traditional,
            hosts_unsettled: false,
            unsettled: false,
        };
        let is_settled = |host: &HostPattern| !is_traditional && host.port.is_none() && host_key(host) != HostKey::Any;
        classic.hosts_unsettled = !classic.hosts.iter().all(is_settled);
        classic.unsettled = classic.hosts_unsettled
            || !classic.methods.is_empty()
            || !classic.regexes.is_empty()
            || !classic.headers.is_empty()
            || !classic.snis.is_empty()
            || !classic.sources.is_empty()
            || !classic.destinations.is_empty()
            || !classic.schemes.is_empty()
            || classic.has_long_prefix();
        Ok(classic)
    }

    fn has_long_prefix(&self) -> bool {
        self.prefixes.iter().any(|prefix| prefix.len() > LONGEST_KEY)
    }

    /// Where the index files it.
    pub(crate) fn places(&self) -> Places {
        let mut hosts: Vec<HostKey> = self.hosts.iter().map(host_key).collect();
        if hosts.is_empty() || hosts.contains(&HostKey::Any) {
            hosts = vec![HostKey::Any];
        }
        let prefixes = self.prefixes.iter().map(|prefix| prefix.as_bytes());
        let prefixes = prefixes.chain(self.regexes.iter().map(|pattern| &*pattern.prefix));
        let mut paths: Vec<&[u8]> = prefixes
            .map(|prefix| prefix.get(..LONGEST_KEY).unwrap_or(prefix))
            .collect();
        if paths.is_empty() {
            paths.push(b"");
        }
        // A request that comes by the longer of two nested prefixes comes by the shorter as well.
        paths.sort_unstable();
        paths.dedup_by(|longer, shorter| longer.starts_with(shorter));
        for index in (1..hosts.len()).rev() {
            if hosts.iter().take(index).any(|host| Some(host) == hosts.get(index)) {
                hosts.swap_remove(index);
            }
        }
        Places {
            hosts,
            paths: paths.into_iter().map(Box::from).collect(),
        }
    }

    /// Conditions by which it may be told from others with the same host and path.
    pub(crate) fn selectors(&self) -> Vec<Selector> {
        let mut selectors = Vec::new();
        for rule in &self.headers {
            let exact = rule.values.iter().map(|value| match value {
                HeaderValue::Exact(value) => Some(value.to_vec()),
                HeaderValue::Regex(_) => None,
            });
            if let Some(keys) = exact.collect() {
                selectors.push(Selector {
                    kind: SelectorKind::Header(rule.name.clone()),
                    keys,
                });
            }
        }
        let names = self.snis.iter().map(|sni| match sni {
            NamePattern::Exact(name) => Some(name.as_bytes().to_vec()),
            _ => None,
        });
        let ports = self
            .destinations
            .iter()
            .map(|rule| Some(i64::from(rule.port?).to_be_bytes().to_vec()));
        let host_ports = self.hosts.iter().map(|host| {
            // There, a missing port is not the listener's.
            if self.is_traditional {
                None
            } else {
                Some(host.port?.to_be_bytes().to_vec())
            }
        });
        let methods = self.methods.iter().map(|method| Some(method.as_bytes().to_vec()));
        let mut add = |kind, keys: Option<Vec<Vec<u8>>>| {
            if let Some(mut keys) = keys.filter(|keys| !keys.is_empty()) {
                keys.sort_unstable();
                keys.dedup();
                selectors.push(Selector { kind, keys });
            }
        };
        add(SelectorKind::Sni { plaintext_agrees: true }, names.collect());
        add(SelectorKind::Port, ports.collect());
        add(SelectorKind::Port, host_ports.collect());
        add(SelectorKind::Method, methods.collect());
        selectors
    }

    /// Whether the request agrees, given that the index has found one of the hosts and one of the paths.
    #[inline]
    pub(crate) fn agrees_with_indexed(&self, facts: &Facts<'_>) -> bool {
        !self.unsettled
            || (self.methods_agree(facts)
                && self.connection_agrees(facts)
                && (!self.hosts_unsettled || self.hosts_agree(facts))
                && (!self.has_long_prefix() || self.prefixes_agree(facts))
                && self.headers_agree(facts)
                && (self.regexes.is_empty() || self.regexes_agree(facts)))
    }

    /// Whether the request agrees, without help of an index.
    #[cfg(test)]
    pub(crate) fn agrees(&self, facts: &Facts<'_>) -> bool {
        self.methods_agree(facts)
            && self.connection_agrees(facts)
            && self.hosts_agree(facts)
            && self.headers_agree(facts)
            && ((self.prefixes.is_empty() && self.regexes.is_empty())
                || self.prefixes_agree(facts)
                || self.regexes_agree(facts))
    }

    #[inline]
    fn methods_agree(&self, facts: &Facts<'_>) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|method| **method == *facts.query.method)
    }

    fn hosts_agree(&self, facts: &Facts<'_>) -> bool {
        if self.hosts.is_empty() {
            return true;
        }
        if self.is_traditional {
            return self.hosts.iter().any(|own| traditional::host_agrees(own, facts.query));
        }
        facts
            .host
            .is_some_and(|host| self.hosts.iter().any(|own| own.matches(host, facts.destination_port())))
    }

    fn prefixes_agree(&self, facts: &Facts<'_>) -> bool {
        self.prefixes
            .iter()
            .any(|prefix| facts.query.path.starts_with(prefix.as_bytes()))
    }

    fn regexes_agree(&self, facts: &Facts<'_>) -> bool {
        self.regexes
            .iter()
            .any(|pattern| pattern.regex.is_match(facts.query.path))
    }

    #[inline]
    fn headers_agree(&self, facts: &Facts<'_>) -> bool {
        self.headers.iter().all(|rule| rule.agrees(facts))
    }

    /// What belongs to the connection: server name, addresses, ports and scheme.
    #[inline]
    fn connection_agrees(&self, facts: &Facts<'_>) -> bool {
        let query = facts.query;
        (self.schemes.is_empty() || self.schemes.contains(&query.scheme))
            // A plaintext request has no server name; let it in so that it can be told to use HTTPS.
            && (self.snis.is_empty()
                || !(query.scheme.has_sni() || self.is_traditional && self.asks_for_snis_alone())
                || query.sni.is_some_and(|sni| self.snis.iter().any(|own| own.matches(sni.as_bytes()))))
            && (self.sources.is_empty()
                || self.sources.iter().any(|rule| rule.matches(facts.source_address(), facts.source_port())))
            && (self.destinations.is_empty()
                || self.destinations.iter().any(|rule| rule.matches(facts.destination_address(), facts.destination_port())))
    }

    fn asks_for_snis_alone(&self) -> bool {
        self.hosts.is_empty()
            && self.methods.is_empty()
            && self.prefixes.is_empty()
            && self.regexes.is_empty()
            && self.headers.is_empty()
            && self.sources.is_empty()
            && self.destinations.is_empty()
    }

    /// The part of the path that a path of the route matched.
    pub(crate) fn matched_path<'a>(&'a self, path: &'a [u8]) -> Option<&'a [u8]> {
        let prefix = self
            .prefixes
            .iter()
            .map(|prefix| prefix.as_bytes())
            .find(|prefix| path.starts_with(prefix));
        prefix.or_else(|| {
            let span = self.regexes.iter().find_map(|pattern| pattern.regex.find(path))?;
            path.get(span.range())
        })
    }

    /// Captures of the regexes, of paths first and headers after them.
    pub(crate) fn captures(&self, facts: &Facts<'_>) -> Captures {
        let mut captures = Captures::default();
        let _matched = self
            .regexes
            .iter()
            .any(|pattern| captures.record(pattern, facts.query.path));
        for rule in self.headers.iter().filter(|rule| rule.has_regex()) {
            rule.record(facts, &mut captures);
        }
        captures
    }

    pub(crate) fn has_captures(&self) -> bool {
        !self.regexes.is_empty() || self.headers.iter().any(HeaderRule::has_regex)
    }
}

fn host_key(host: &HostPattern) -> HostKey {
    match &host.name {
        // A colon in a name may be read as the beginning of a port.
        NamePattern::Exact(name) if name.contains(':') => HostKey::Any,
        NamePattern::Exact(name) if name.len() <= LONGEST_KEY => HostKey::Exact(name.as_bytes().into()),
        NamePattern::Ending(name) if name.len() <= LONGEST_KEY => HostKey::Ending(name.bytes().rev().collect()),
        NamePattern::Beginning(name) if name.len() <= LONGEST_KEY => HostKey::Beginning(name.as_bytes().into()),
        _ => HostKey::Any,
    }
}

/// The schemes that a route's protocols stand for in the expressions flavor; empty if none is asked for, so that a
/// route for TLS alone still sees plaintext requests and can turn them away.
pub(crate) fn required_schemes(protocols: &[Protocol]) -> Box<[Scheme]> {
    if let [Protocol::Https | Protocol::Tls | Protocol::TlsPassthrough] = protocols {
        return Box::default();
    }
    let scheme = |protocol: &Protocol| match protocol {
        Protocol::Http | Protocol::Grpc => Scheme::Http,
        Protocol::Https | Protocol::Grpcs => Scheme::Https,
        Protocol::Tcp | Protocol::TlsPassthrough => Scheme::Tcp,
        Protocol::Tls => Scheme::Tls,
        Protocol::Udp => Scheme::Udp,
    };
    protocols.iter().map(scheme).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A route with these fields and defaults for the rest.
    pub(crate) fn route(fields: &str) -> Route {
        let mut value = serde_json::json!({
            "id": "00000000-0000-4000-8000-000000000000", "created_at": 0, "updated_at": 0,
            "protocols": ["http", "https"], "https_redirect_status_code": 426, "strip_path": true,
            "preserve_host": false, "request_buffering": true, "response_buffering": true,
        });
        let fields: serde_json::Map<_, _> = serde_json::from_str(fields).unwrap();
        value.as_object_mut().unwrap().extend(fields);
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn tls_alone_asks_for_no_scheme() {
        assert!(required_schemes(&[Protocol::Https]).is_empty());
        assert_eq!(*required_schemes(&[Protocol::Grpcs]), [Scheme::Https]);
        assert_eq!(
            *required_schemes(&[Protocol::Http, Protocol::Https]),
            [Scheme::Http, Scheme::Https]
        );
    }
}
