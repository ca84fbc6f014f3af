//! What the traditional flavor does differently (routing.md §5).
//!
//! Its search by categories comes down to one order over all candidates: number of fields that a route uses, which they are,
//! and finer distinctions among those that use the same. So it shares the index with the other flavors.

use kong_model::Route;
use uuid::Uuid;

use crate::host::{HostPattern, NamePattern};
use crate::priority::{PathShape, Rank};
use crate::request::{RequestQuery, Scheme};

const HOST: u64 = 0x40;
const HEADER: u64 = 0x20;
const PATH: u64 = 0x10;
const METHOD: u64 = 0x08;
const SNI: u64 = 0x04;
const SOURCE: u64 = 0x02;
const DESTINATION: u64 = 0x01;

/// The place of a candidate with a path of this shape.
pub(crate) fn rank(route: &Route, path: PathShape, id: Uuid) -> Rank {
    fn bit<T>(values: &Option<Vec<T>>, bit: u64) -> u64 {
        if values.as_ref().is_some_and(|values| !values.is_empty()) {
            bit
        } else {
            0
        }
    }
    let headers = route.headers.as_ref().map_or(0, |headers| headers.len() as u64);
    let category = bit(&route.hosts, HOST)
        | if headers > 0 { HEADER } else { 0 }
        | bit(&route.paths, PATH)
        | bit(&route.methods, METHOD)
        | bit(&route.snis, SNI)
        | bit(&route.sources, SOURCE)
        | bit(&route.destinations, DESTINATION);
    let mut endpoints = route.sources.iter().chain(&route.destinations).flatten();
    let whole_endpoint = endpoints.any(|endpoint| endpoint.ip.is_some() && endpoint.port.is_some());
    let hosts = route.hosts.as_deref().unwrap_or_default();
    let wildcard_with_port = hosts
        .iter()
        .any(|host| host.contains('*') && split(host.as_bytes()).1.is_some());
    let only_plain_hosts = !hosts.is_empty() && hosts.iter().all(|host| !host.contains('*'));
    let is_regex = matches!(path, PathShape::Regex);
    let submatch = u64::from(wildcard_with_port) << 2 | u64::from(only_plain_hosts) << 1 | u64::from(is_regex);
    let major = u64::from(category.count_ones()) << 32
        | category << 24
        | u64::from(whole_endpoint) << 20
        | submatch << 16
        | headers.min(0xFFFF);

    let regex_priority = if is_regex { route.regex_priority.unwrap_or(0) } else { 0 };
    // Moved so that the order of the unsigned numbers is that of the signed ones.
    let regex_priority = u128::from((regex_priority as u64) ^ (1 << 63));
    let length = match path {
        PathShape::Prefix(length) => length.min(0xF_FFFF) as u128,
        _ => 0,
    };
    const AGE: u128 = (1 << 44) - 1;
    let age = AGE - (route.created_at.max(0) as u128).min(AGE);
    Rank {
        major,
        minor: regex_priority << 64 | length << 44 | age,
        id: id.as_u128(),
    }
}

/// Host and port; unlike elsewhere, literal IPv6 addresses are understood.
fn split(value: &[u8]) -> (&[u8], Option<i64>) {
    if value.starts_with(b"[") {
        return match value.iter().position(|byte| *byte == b']') {
            Some(end) => {
                let (host, rest) = value.split_at(end + 1);
                match rest.strip_prefix(b":").map(port) {
                    Some(Some(port)) => (host, Some(port)),
                    _ => (value, None),
                }
            }
            None => (value, None),
        };
    }
    let mut parts = value.splitn(2, |byte| *byte == b':');
    match (parts.next(), parts.next()) {
        (Some(host), Some(rest)) if !rest.contains(&b':') => match port(rest) {
            Some(port) => (host, Some(port)),
            None => (value, None),
        },
        _ => (value, None),
    }
}

fn port(digits: &[u8]) -> Option<i64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if is_number {
        std::str::from_utf8(digits).ok()?.parse().ok()
    } else {
        None
    }
}

/// A value of `hosts`.
pub(crate) fn host_pattern(text: &str) -> HostPattern {
    let (name, port) = split(text.as_bytes());
    HostPattern {
        name: NamePattern::new(text.get(..name.len()).unwrap_or(text)),
        port,
    }
}

/// Whether the request is for the host. A missing port is the scheme's.
pub(crate) fn host_agrees(pattern: &HostPattern, query: &RequestQuery<'_>) -> bool {
    let Some(value) = query.host else { return false };
    let (host, port) = split(value);
    let port = port.unwrap_or(if query.scheme == Scheme::Https { 443 } else { 80 });
    let name_agrees = match &pattern.name {
        // The asterisk stands for at least one character.
        NamePattern::Ending(ending) => host.len() > ending.len() && host.ends_with(ending.as_bytes()),
        name => name.matches(host),
    };
    name_agrees && pattern.port.is_none_or(|own| own == port)
}

#[cfg(test)]
mod tests {
    use crate::Flavor;
    use crate::router::tests::run;

    fn traditional(case: &str) {
        assert!(run(Flavor::Traditional, case) > 0);
    }

    #[test]
    fn number_of_fields_decides_then_which_they_are() {
        traditional(
            r#"
            path: {"paths":["/p/long"]}
            method_path: {"methods":["GET"],"paths":["/p"]}
            host: {"hosts":["h.test"]}
            header_path: {"headers":{"X":["1"]},"paths":["/"]}
            GET h.test /p/long -> method_path
            GET h.test /x -> host
            PUT a /p/long -> path
            GET h.test /p X: 1 -> header_path
            "#,
        );
    }

    #[test]
    fn same_fields_are_ranked_by_kind_of_host_regex_headers_and_length() {
        traditional(
            r#"
            wild: {"hosts":["*.test"]}
            plain: {"hosts":["a.test"]}
            ported: {"hosts":["*.test:81"]}
            GET a.test / -> plain
            GET b.test / -> wild
            GET a.test:81 / -> ported
            "#,
        );
        traditional(
            r#"
            short: {"paths":["/a"]}
            long: {"paths":["/a/b","/z"]}
            low: {"paths":["~/r/\\d"],"regex_priority":-1}
            high: {"paths":["~/r"],"regex_priority":2}
            regex: {"paths":["~/a/b/c"]}
            GET h /a/b -> long
            GET h /a/b/c -> regex
            GET h /r/1 -> high
            GET h /a -> short
            "#,
        );
    }

    #[test]
    fn older_of_two_equals_wins() {
        traditional(
            r#"
            new: {"paths":["/a"],"created_at":20}
            old: {"paths":["/a"],"created_at":10}
            GET h /a -> old
            "#,
        );
    }

    #[test]
    fn missing_ports_are_those_of_the_scheme() {
        traditional(
            r#"
            http: {"hosts":["a.test:80"]}
            https: {"hosts":["a.test:443"]}
            v6: {"hosts":["[::1]"]}
            bare: {"hosts":["fe80::1"]}
            v6_port: {"hosts":["[::2]:80"]}
            GET a.test / -> http
            GET https()a.test / -> https
            GET a.test:443 / -> https
            GET a.test:81 / -> -
            GET [::1]:99 / -> v6
            GET [::1] / -> v6
            GET [::2] / -> v6_port
            GET fe80::1 / -> bare
            "#,
        );
    }

    #[test]
    fn asterisk_stands_for_at_least_one_character() {
        traditional(
            r#"
            left: {"hosts":["*.w.test"]}
            GET a.w.test / -> left
            GET .w.test / -> -
            "#,
        );
    }

    #[test]
    fn server_names_alone_match_nothing_without_tls() {
        traditional(
            r#"
            sni: {"snis":["a.test"],"protocols":["https"]}
            both: {"snis":["a.test"],"paths":["/p"],"protocols":["https"]}
            GET https(a.test)h / -> sni
            GET https(b.test)h / -> -
            GET h / -> -
            GET h /p -> both
            "#,
        );
    }

    #[test]
    fn header_regex_must_stand_alone() {
        traditional(
            r#"
            regex: {"headers":{"X-R":["~*^ab+$"]}}
            literal: {"headers":{"X-V":["plain","~*^re"]}}
            GET h / X-R: ABB -> regex
            GET h / X-V: PLAIN -> literal
            GET h / X-V: rex -> -
            GET h / X-V: ~*^re -> literal
            "#,
        );
    }
}
