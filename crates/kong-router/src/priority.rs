//! The order in which matchers are tried (routing.md §4).

use std::cmp::Ordering;

use kong_model::Route;
use uuid::Uuid;

/// The place of a matcher in the order of evaluation: the greater one is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rank {
    /// What decides nearly always.
    pub(crate) major: u64,
    /// Finer distinctions of the traditional flavor; 0 elsewhere.
    pub(crate) minor: u128,
    /// The matcher's own id, which breaks ties: no two matchers have the same.
    pub(crate) id: u128,
}

impl Ord for Rank {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.major
            .cmp(&other.major)
            .then_with(|| (self.minor, self.id).cmp(&(other.minor, other.id)))
    }
}

impl PartialOrd for Rank {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a group of paths contributes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PathShape {
    /// The route has no paths.
    None,
    /// Prefixes of this many bytes.
    Prefix(usize),
    /// At least one regex.
    Regex,
}

const PLAIN_HOSTS: u64 = 1 << 60;
const REGEX_PATH: u64 = 1 << 51;
/// A part that became negative as a 32-bit number: all that is left of it is the sign bit of the 64-bit value.
const NEGATIVE: u64 = 1 << 63;
const LENGTH_MASK: u64 = (1 << 19) - 1;

/// The priority of an HTTP matcher. The parts overlap because they are shifted as signed 32-bit numbers; clients have
/// come to depend on the order that results.
pub(crate) fn http(route: &Route, paths: PathShape) -> u64 {
    fn filled<T>(values: &Option<Vec<T>>) -> u32 {
        values.as_ref().is_some_and(|values| !values.is_empty()).into()
    }
    let headers = route.headers.as_ref().map_or(0, |headers| headers.len().min(255)) as u32;
    let categories = filled(&route.sources)
        + filled(&route.destinations)
        + filled(&route.methods)
        + filled(&route.hosts)
        + filled(&route.snis)
        + filled(&route.paths)
        + u32::from(headers > 0);

    let mut priority = shifted(categories, 29) | shifted(headers, 20);
    if route
        .hosts
        .as_ref()
        .is_some_and(|hosts| hosts.iter().all(|host| !host.contains('*')))
    {
        priority |= PLAIN_HOSTS;
    }
    match paths {
        PathShape::None => {}
        PathShape::Prefix(length) => priority |= length as u64 & LENGTH_MASK,
        // Only the low 13 bits of the configured number survive the shift.
        PathShape::Regex => priority |= REGEX_PATH | shifted(route.regex_priority.unwrap_or(0) as u32, 19),
    }
    priority
}

fn shifted(value: u32, bits: u32) -> u64 {
    let part = value << bits;
    if part >> 31 == 1 { NEGATIVE } else { u64::from(part) }
}

/// The priority of a stream matcher.
pub(crate) fn stream(route: &Route) -> u64 {
    let weight = |rules: &Option<Vec<kong_model::IpPort>>| {
        rules.iter().flatten().fold(0, |weight, rule| {
            let address = match &rule.ip {
                Some(ip) if ip.contains('/') => 1,
                Some(_) => 8,
                None => 0,
            };
            weight | address | if rule.port.is_some() { 4 } else { 0 }
        })
    };
    let (sources, destinations) = (weight(&route.sources), weight(&route.destinations));
    let has_snis = route.snis.as_ref().is_some_and(|snis| !snis.is_empty());
    let strong = has_snis || (sources != 0 && destinations != 0);
    u64::from(strong) << 61 | sources << 4 | destinations
}

/// The priority of a route with an expression: above every classic route.
pub(crate) fn expression(route: &Route) -> u64 {
    0xFF << 56 | route.priority.unwrap_or(0)
}

/// The tie-breaker of a matcher.
pub(crate) fn tie_breaker(id: Uuid) -> u128 {
    id.as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::tests::route;

    fn priority(fields: &str, shape: PathShape) -> u64 {
        http(&route(fields), shape)
    }

    #[test]
    fn parts_are_or_ed_as_shifted_32_bit_numbers() {
        let rows: &[(&str, PathShape, u64)] = &[
            (r#"{"methods":["GET"]}"#, PathShape::None, 1 << 29),
            (r#"{"paths":["/abc"]}"#, PathShape::Prefix(4), 1 << 29 | 4),
            (
                r#"{"hosts":["a"],"paths":["/abc"]}"#,
                PathShape::Prefix(4),
                1 << 60 | 2 << 29 | 4,
            ),
            (
                r#"{"hosts":["*.a"],"paths":["/abc"]}"#,
                PathShape::Prefix(4),
                2 << 29 | 4,
            ),
            (
                r#"{"hosts":["a","*.a"],"methods":["A"],"headers":{"x":["1"]}}"#,
                PathShape::None,
                3 << 29 | 1 << 20,
            ),
            (
                r#"{"hosts":["*.a"],"methods":["A"],"headers":{"x":["1"]},"paths":["/"]}"#,
                PathShape::Prefix(1),
                1 << 63 | 1 << 20 | 1,
            ),
            (
                r#"{"hosts":["a"],"methods":["A"],"headers":{"x":["1"]},"paths":["/"],"snis":["b"]}"#,
                PathShape::Prefix(1),
                1 << 63 | 1 << 60 | 1 << 20 | 1,
            ),
            (
                r#"{"paths":["~/"],"regex_priority":3}"#,
                PathShape::Regex,
                1 << 51 | 1 << 29 | 3 << 19,
            ),
            (
                r#"{"paths":["~/"],"regex_priority":8193}"#,
                PathShape::Regex,
                1 << 51 | 1 << 29 | 1 << 19,
            ),
            (
                r#"{"paths":["~/"],"regex_priority":8192}"#,
                PathShape::Regex,
                1 << 51 | 1 << 29,
            ),
            (
                r#"{"paths":["~/"],"regex_priority":4096}"#,
                PathShape::Regex,
                1 << 63 | 1 << 51 | 1 << 29,
            ),
            (
                r#"{"paths":["~/"],"regex_priority":-1}"#,
                PathShape::Regex,
                1 << 63 | 1 << 51 | 1 << 29,
            ),
            (
                r#"{"paths":["/"],"regex_priority":7}"#,
                PathShape::Prefix(1),
                1 << 29 | 1,
            ),
            (r#"{"hosts":[]}"#, PathShape::None, 1 << 60),
        ];
        for (fields, shape, expected) in rows {
            assert_eq!(priority(fields, *shape), *expected, "{fields}");
        }
    }

    #[test]
    fn stream_routes_rank_addresses_over_ports_over_networks() {
        let rows: &[(&str, u64)] = &[
            (r#"{"sources":[{"ip":"1.2.3.4"}]}"#, 0x80),
            (r#"{"sources":[{"port":1}]}"#, 0x40),
            (r#"{"sources":[{"ip":"1.0.0.0/8"}]}"#, 0x10),
            (r#"{"destinations":[{"ip":"1.2.3.4","port":1}]}"#, 0x0C),
            (
                r#"{"sources":[{"port":1}],"destinations":[{"port":1}]}"#,
                1 << 61 | 0x44,
            ),
            (r#"{"snis":["a"]}"#, 1 << 61),
        ];
        for (fields, expected) in rows {
            assert_eq!(stream(&route(fields)), *expected, "{fields}");
        }
    }
}
