//! One compiled rule of a route, and the match it makes.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use kong_model::Route;

use crate::captures::Captures;
use crate::classic::Classic;
use crate::expression::{ExpressionTest, Field};
use crate::host::split_host_port;
use crate::index::{Places, Selector};
use crate::network::address_of;
use crate::pattern::Pattern;
use crate::priority::Rank;
use crate::request::RequestQuery;

/// A route with what its owner attached to it.
#[derive(Debug)]
pub(crate) struct Target<T> {
    pub(crate) route: Arc<Route>,
    pub(crate) payload: T,
}

/// A predicate with its place in the order of evaluation. A route has one or, split by its paths, several.
#[derive(Debug)]
pub(crate) struct Matcher<T> {
    pub(crate) rank: Rank,
    pub(crate) target: Arc<Target<T>>,
    pub(crate) test: Test,
}

#[derive(Debug)]
pub(crate) enum Test {
    Classic(Classic),
    /// An expression, and the regexes of which one must match the path.
    Expression(ExpressionTest, Box<[Arc<Pattern>]>),
}

/// A field that a matcher looks at.
pub(crate) enum FieldUse<'t> {
    Host,
    Path,
    Header(&'t str),
}

impl Test {
    /// Where the index files it.
    pub(crate) fn places(&self) -> Places {
        match self {
            Test::Classic(classic) => classic.places(),
            Test::Expression(expression, _) => expression.places(),
        }
    }

    /// Conditions by which it may be told from others with the same host and path.
    pub(crate) fn selectors(&self) -> Vec<Selector> {
        match self {
            Test::Classic(classic) => classic.selectors(),
            Test::Expression(expression, _) => expression.selectors(),
        }
    }

    /// Shows the fields that it looks at.
    pub(crate) fn for_each_field(&self, visit: &mut dyn FnMut(FieldUse<'_>)) {
        match self {
            Test::Classic(classic) => {
                if !classic.hosts.is_empty() {
                    visit(FieldUse::Host);
                }
                if !classic.prefixes.is_empty() || !classic.regexes.is_empty() {
                    visit(FieldUse::Path);
                }
                classic
                    .headers
                    .iter()
                    .for_each(|rule| visit(FieldUse::Header(&rule.name)));
            }
            Test::Expression(expression, _) => expression.root.for_each(&mut |comparison| match &comparison.field {
                Field::Host => visit(FieldUse::Host),
                Field::Path | Field::Segments(..) => visit(FieldUse::Path),
                Field::Header(name) => visit(FieldUse::Header(name)),
                _ => {}
            }),
        }
    }

    /// Regexes of which one must match the path; none if there is no such condition.
    pub(crate) fn path_regexes(&self) -> &[Arc<Pattern>] {
        match self {
            Test::Classic(classic) => &classic.regexes,
            Test::Expression(_, regexes) => regexes,
        }
    }
}

/// A request with what is read from it once.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) query: &'a RequestQuery<'a>,
    /// Without a numeric port.
    pub(crate) host: Option<&'a [u8]>,
    host_port: Option<i64>,
}

impl<'a> Facts<'a> {
    #[inline]
    pub(crate) fn new(query: &'a RequestQuery<'a>) -> Self {
        match query.host {
            Some(value) => {
                let (host, host_port) = split_host_port(value);
                Facts {
                    query,
                    host: Some(host),
                    host_port,
                }
            }
            None => Facts {
                query,
                host: None,
                host_port: None,
            },
        }
    }

    pub(crate) fn source_address(&self) -> Option<IpAddr> {
        address_of(self.query.source)
    }

    pub(crate) fn source_port(&self) -> Option<i64> {
        self.query.source.map(|endpoint| i64::from(endpoint.port()))
    }

    pub(crate) fn destination_address(&self) -> Option<IpAddr> {
        address_of(self.query.destination)
    }

    /// The port of the `Host` header, else the listener's.
    pub(crate) fn destination_port(&self) -> Option<i64> {
        self.host_port
            .or_else(|| self.query.destination.map(|endpoint| i64::from(endpoint.port())))
    }
}

impl<T> Matcher<T> {
    /// Whether the request agrees, without help of an index.
    #[cfg(test)]
    pub(crate) fn agrees(&self, facts: &Facts<'_>) -> bool {
        match &self.test {
            Test::Classic(classic) => classic.agrees(facts),
            Test::Expression(expression, _) => expression.agrees(facts),
        }
    }

    /// Whether the request agrees, given that the index has found one of the hosts and one of the paths.
    #[inline]
    pub(crate) fn agrees_with_indexed(&self, facts: &Facts<'_>) -> bool {
        match &self.test {
            Test::Classic(classic) => classic.agrees_with_indexed(facts),
            Test::Expression(expression, _) => expression.agrees(facts),
        }
    }
}

/// The route that a request goes to. Borrows from the router and the request; the payload is cheap to get, what regexes
/// matched is worked out when asked for.
pub struct Match<'a, T> {
    pub(crate) matcher: &'a Matcher<T>,
    pub(crate) query: RequestQuery<'a>,
}

impl<'a, T> Match<'a, T> {
    /// The route.
    pub fn route(&self) -> &'a Arc<Route> {
        &self.matcher.target.route
    }

    /// What was given with the route.
    pub fn payload(&self) -> &'a T {
        &self.matcher.target.payload
    }

    /// The part of the normalised path that the route's path matched: the whole prefix, or what a regex matched.
    /// `None` if the path played no part.
    ///
    /// With `strip_path` as many bytes go from the path's beginning.
    pub fn matched_path(&self) -> Option<Cow<'a, [u8]>> {
        match &self.matcher.test {
            Test::Classic(classic) => classic.matched_path(self.query.path).map(Cow::Borrowed),
            Test::Expression(expression, _) => expression.record(&Facts::new(&self.query)).path.map(Cow::Owned),
        }
    }

    /// What the groups of the route's regexes matched; `None` if there is nothing but a whole match.
    pub fn captures(&self) -> Option<Captures> {
        match &self.matcher.test {
            Test::Classic(classic) if classic.has_captures() => {
                classic.captures(&Facts::new(&self.query)).unless_trivial()
            }
            Test::Expression(expression, _) if expression.has_regex() => {
                expression.record(&Facts::new(&self.query)).captures.unless_trivial()
            }
            _ => None,
        }
    }
}
