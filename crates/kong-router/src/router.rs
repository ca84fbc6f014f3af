//! The table of routes.

use std::fmt;
use std::sync::Arc;

use kong_model::Route;
use uuid::Uuid;

use crate::compile::{Subsystem, compile};
use crate::flavor::Flavor;
use crate::matcher::{Facts, Match, Matcher, Target};
use crate::pattern::PatternCache;
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
    matchers: Vec<Arc<Matcher<T>>>,
}

impl<T> Clone for Router<T> {
    fn clone(&self) -> Self {
        Router {
            flavor: self.flavor,
            subsystem: self.subsystem,
            patterns: Arc::clone(&self.patterns),
            matchers: self.matchers.clone(),
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
            matchers: Vec::new(),
        }
    }

    /// The table after `changes`. The old one stays as it is; the cost is in proportion to the changes.
    ///
    /// Routes of the other subsystem (by their protocols) are not taken in. Routes of disabled services are the caller's to
    /// leave out. A route that does not compile is reported and left out, also when an older version of it was in.
    pub fn apply(&self, changes: impl IntoIterator<Item = RouteChange<T>>) -> (Self, RouteErrors) {
        let mut router = self.clone();
        let mut errors = RouteErrors::default();
        for change in changes {
            match change {
                RouteChange::Remove(id) => router.remove(id),
                RouteChange::Upsert(route, payload) => {
                    router.remove(route.id);
                    if !router.subsystem.serves(&route) {
                        continue;
                    }
                    let target = Arc::new(Target { route, payload });
                    match compile(router.flavor, router.subsystem, &target, &router.patterns) {
                        Ok(matchers) => router.matchers.extend(matchers.into_iter().map(Arc::new)),
                        Err(reason) => errors.0.push(RouteError {
                            route: target.route.id,
                            reason,
                        }),
                    }
                }
            }
        }
        router.matchers.sort_by_key(|matcher| std::cmp::Reverse(matcher.rank));
        (router, errors)
    }

    fn remove(&mut self, id: Uuid) {
        self.matchers.retain(|matcher| matcher.target.route.id != id);
    }

    /// The route of a request, if any matches. Does not allocate on the common path.
    pub fn find<'a>(&'a self, query: &RequestQuery<'a>) -> Option<Match<'a, T>> {
        let facts = Facts::new(query);
        let matcher = self.matchers.iter().find(|matcher| matcher.agrees(&facts))?;
        Some(Match { matcher, query: *query })
    }
}
