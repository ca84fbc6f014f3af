//! The table of routes.

use std::fmt;
use std::sync::Arc;

use kong_model::Route;
use uuid::Uuid;

use crate::compile::{Subsystem, compile};
use crate::flavor::Flavor;
use crate::index::{HeaderNames, Index, Places, Ranked, Trie};
use crate::matcher::{Facts, FieldUse, Match, Matcher, Target, Test};
use crate::pattern::PatternCache;
use crate::priority::Rank;
use crate::request::RequestQuery;

/// A change of the table.
#[derive(Debug, Clone)]
pub enum RouteChange<T> {
    /// Adds a route, or replaces the one with its id.
    Upsert(Arc<Route>, T),
    /// Takes the route with this id out; nothing happens if there is none.
    Remove(Uuid),
}

impl<T> RouteChange<T> {
    /// Adds or replaces `route`; `payload` comes back with its matches.
    pub fn upsert(route: Arc<Route>, payload: T) -> Self {
        RouteChange::Upsert(route, payload)
    }
}

/// A route that is left out because it does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route {route} is left out: {reason}")]
pub struct RouteError {
    /// The id of the route.
    pub route: Uuid,
    /// What is wrong with it.
    pub reason: String,
}

/// The routes of a change that are left out; the others are in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteErrors(pub Vec<RouteError>);

impl RouteErrors {
    /// Whether every route is in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for RouteErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for RouteErrors {}

/// Finds the route of a request. Immutable, and cheap to clone.
pub struct Router<T> {
    flavor: Flavor,
    subsystem: Subsystem,
    patterns: Arc<PatternCache>,
    routes: Trie<Filed<T>>,
    len: usize,
    index: Index<T>,
    uses: FieldUses,
}

/// The matchers of one route.
struct Filed<T> {
    matchers: Arc<[Arc<Matcher<T>>]>,
}

/// Which fields of a request some route looks at. One that is not UTF-8 makes the request match nothing.
#[derive(Clone, Default)]
struct FieldUses {
    hosts: usize,
    paths: usize,
    headers: HeaderNames,
}

impl<T> Clone for Filed<T> {
    fn clone(&self) -> Self {
        Filed {
            matchers: Arc::clone(&self.matchers),
        }
    }
}

impl<T> Ranked for Filed<T> {
    fn top(&self) -> u64 {
        0
    }
}

impl<T> Clone for Router<T> {
    fn clone(&self) -> Self {
        Router {
            flavor: self.flavor,
            subsystem: self.subsystem,
            patterns: Arc::clone(&self.patterns),
            routes: self.routes.clone(),
            len: self.len,
            index: self.index.clone(),
            uses: self.uses.clone(),
        }
    }
}

impl<T> Router<T> {
    /// A router for HTTP and gRPC requests that has no routes yet.
    pub fn empty(flavor: Flavor) -> Self {
        Router::new(flavor, Subsystem::Http)
    }

    /// A router for stream connections that has no routes yet.
    pub fn empty_stream(flavor: Flavor) -> Self {
        Router::new(flavor, Subsystem::Stream)
    }

    fn new(flavor: Flavor, subsystem: Subsystem) -> Self {
        Router {
            flavor,
            subsystem,
            patterns: Arc::default(),
            routes: Trie::default(),
            len: 0,
            index: Index::default(),
            uses: FieldUses::default(),
        }
    }

    /// The rules that decide.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no routes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The table after `changes`. The old one stays as it is; the cost is in proportion to the changes.
    ///
    /// Routes of the other subsystem (by their protocols) are not taken in. Routes of disabled services are the caller's to
    /// leave out. A route that does not compile is reported and left out, also when an older version of it was in.
    pub fn apply(&self, changes: impl IntoIterator<Item = RouteChange<T>>) -> (Self, RouteErrors) {
        let mut router = self.clone();
        let mut errors = RouteErrors::default();
        let mut touched = Vec::new();
        for change in changes {
            match change {
                RouteChange::Remove(id) => router.remove(id, &mut touched),
                RouteChange::Upsert(route, payload) => {
                    router.remove(route.id, &mut touched);
                    if !router.subsystem.serves(&route) {
                        continue;
                    }
                    let target = Arc::new(Target { route, payload });
                    match compile(router.flavor, router.subsystem, &target, &router.patterns) {
                        Ok(matchers) => router.insert(matchers, &mut touched),
                        Err(reason) => errors.0.push(RouteError {
                            route: target.route.id,
                            reason,
                        }),
                    }
                }
            }
        }
        // What would otherwise be built while a request waits.
        for (rank, places) in &touched {
            router.index.prepare(rank, places);
        }
        (router, errors)
    }

    /// Puts the matchers of one route in, and notes where those with regexes are.
    fn insert(&mut self, matchers: Vec<Matcher<T>>, touched: &mut Vec<(Rank, Places)>) {
        let matchers: Arc<[Arc<Matcher<T>>]> = matchers.into_iter().map(Arc::new).collect();
        let Some(first) = matchers.first() else { return };
        for matcher in matchers.iter() {
            let places = matcher.test.places();
            self.index.insert(matcher, &places);
            self.uses.add(&matcher.test);
            if !matcher.test.path_regexes().is_empty() {
                touched.push((matcher.rank, places));
            }
        }
        let key = route_key(first.target.route.id);
        self.routes.update(&key, &mut |filed| {
            *filed = Some(Filed {
                matchers: Arc::clone(&matchers),
            })
        });
        self.len += 1;
    }

    fn remove(&mut self, id: Uuid, touched: &mut Vec<(Rank, Places)>) {
        let mut removed = None;
        self.routes.update(&route_key(id), &mut |filed| removed = filed.take());
        let Some(filed) = removed else { return };
        self.len -= 1;
        for matcher in filed.matchers.iter() {
            let places = matcher.test.places();
            self.index.remove(matcher, &places);
            self.uses.remove(&matcher.test);
            if !matcher.test.path_regexes().is_empty() {
                touched.push((matcher.rank, places));
            }
        }
    }

    /// The route of a request, if any matches. Does not allocate on the common path.
    #[inline]
    pub fn find<'a>(&'a self, query: &RequestQuery<'a>) -> Option<Match<'a, T>> {
        let facts = Facts::new(query);
        if self.flavor != Flavor::Traditional && !self.uses.are_readable(&facts) {
            return None;
        }
        let matcher = self.index.find(&facts)?;
        Some(Match { matcher, query: *query })
    }
}

#[cfg(test)]
impl<T> Router<T> {
    pub(crate) fn matchers(&self) -> Vec<&Arc<Matcher<T>>> {
        let mut all = Vec::new();
        self.routes.for_each(&mut |filed| all.extend(filed.matchers.iter()));
        all
    }

    /// Whether no trace of a route is left.
    pub(crate) fn is_vacant(&self) -> bool {
        self.routes.is_empty()
            && self.index.is_empty()
            && self.uses.headers.is_empty()
            && self.uses.paths + self.uses.hosts == 0
    }
}

/// The id in steps of four bits, which keeps the nodes of the map small: they are copied with every change.
fn route_key(id: Uuid) -> [u8; 32] {
    let mut key = [0; 32];
    for (pair, byte) in key.chunks_exact_mut(2).zip(id.as_bytes()) {
        pair.copy_from_slice(&[byte >> 4, byte & 15]);
    }
    key
}

impl FieldUses {
    fn add(&mut self, test: &Test) {
        test.for_each_field(&mut |field| match field {
            FieldUse::Host => self.hosts += 1,
            FieldUse::Path => self.paths += 1,
            FieldUse::Header(name) => self.headers.add(name),
        });
    }

    fn remove(&mut self, test: &Test) {
        test.for_each_field(&mut |field| match field {
            FieldUse::Host => self.hosts -= 1,
            FieldUse::Path => self.paths -= 1,
            FieldUse::Header(name) => self.headers.remove(name),
        });
    }

    #[inline]
    fn are_readable(&self, facts: &Facts<'_>) -> bool {
        let is_text = |bytes: &[u8]| bytes.is_ascii() || std::str::from_utf8(bytes).is_ok();
        (self.paths == 0 || is_text(facts.query.path))
            && (self.hosts == 0 || facts.host.is_none_or(is_text))
            && (self.headers.is_empty() || !self.headers.any(facts.query.headers, &mut |_, value| !is_text(value)))
    }
}

#[cfg(test)]
pub(crate) mod tests;
