//! The index over all matchers: from a request to the few matchers worth asking.
//!
//! Host first, then path: each is a persistent byte trie, so that a changed table shares all but the path from the root
//! to the change with the one before. At the end of both stand lists in order of evaluation. Of every list only as much is
//! looked at as outranks the best match so far.
//!
//! On the request path: no allocation unless a host or header is longer than the buffers on the stack.

mod automaton;
mod directory;
mod list;
mod names;
mod terminal;
mod trie;

use std::sync::Arc;

use smallvec::SmallVec;

pub(crate) use names::HeaderNames;
use terminal::Terminal;
pub(crate) use trie::{Ranked, Trie};

use crate::matcher::{Facts, Matcher};
use crate::priority::Rank;

/// Longest key of the tries; what is longer is checked by the matcher. Bounds their depth.
pub(crate) const LONGEST_KEY: usize = 256;

/// Where a matcher is filed by host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostKey {
    /// It asks for no host, or for one that can't be indexed.
    Any,
    Exact(Box<[u8]>),
    /// The ending, reversed.
    Ending(Box<[u8]>),
    Beginning(Box<[u8]>),
}

/// Where a matcher is filed: under each of the hosts and there under each of the path prefixes. A request that the matcher
/// agrees with comes by at least one of the places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) hosts: Vec<HostKey>,
    pub(crate) paths: Vec<Box<[u8]>>,
}

/// A condition that leads to a matcher among many with the same host and path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) kind: SelectorKind,
    /// One of these must hold.
    pub(crate) keys: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SelectorKind {
    /// A value of this header, in lower case.
    Header(Box<str>),
    /// The server name. If `plaintext_agrees`, requests without TLS pass as well.
    Sni {
        plaintext_agrees: bool,
    },
    /// The destination port.
    Port,
    Method,
}

/// The matchers of one host.
struct Bucket<T> {
    paths: Trie<Terminal<T>>,
}

impl<T> Clone for Bucket<T> {
    fn clone(&self) -> Self {
        Bucket {
            paths: self.paths.clone(),
        }
    }
}

impl<T> Ranked for Bucket<T> {
    fn top(&self) -> u64 {
        self.paths.top()
    }
}

/// All matchers.
pub(crate) struct Index<T> {
    exact: Trie<Bucket<T>>,
    endings: Trie<Bucket<T>>,
    beginnings: Trie<Bucket<T>>,
    any: Bucket<T>,
}

impl<T> Clone for Index<T> {
    fn clone(&self) -> Self {
        Index {
            exact: self.exact.clone(),
            endings: self.endings.clone(),
            beginnings: self.beginnings.clone(),
            any: self.any.clone(),
        }
    }
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Index {
            exact: Trie::default(),
            endings: Trie::default(),
            beginnings: Trie::default(),
            any: Bucket { paths: Trie::default() },
        }
    }
}

/// The best match so far.
pub(crate) type Best<'t, T> = Option<&'t Arc<Matcher<T>>>;

/// Nothing that ranks below this is of interest any more.
#[inline]
fn floor<T>(best: &Best<'_, T>) -> u64 {
    best.map_or(0, |matcher| matcher.rank.major)
}

impl<T> Index<T> {
    pub(crate) fn insert(&mut self, matcher: &Arc<Matcher<T>>, places: &Places) {
        self.at_places(places, &mut |terminal| {
            terminal.get_or_insert_with(Terminal::default).insert(matcher);
        });
    }

    pub(crate) fn remove(&mut self, matcher: &Arc<Matcher<T>>, places: &Places) {
        self.at_places(places, &mut |terminal| {
            if let Some(filed) = terminal {
                filed.remove(matcher);
                if filed.is_empty() {
                    *terminal = None;
                }
            }
        });
    }

    /// Builds what a request would otherwise have to build at its first visit of the places, now that a matcher of this
    /// rank has come or gone.
    pub(crate) fn prepare(&self, rank: &Rank, places: &Places) {
        for host in &places.hosts {
            let bucket = match host {
                HostKey::Any => Some(&self.any),
                HostKey::Exact(key) => self.exact.get(key),
                HostKey::Ending(key) => self.endings.get(key),
                HostKey::Beginning(key) => self.beginnings.get(key),
            };
            for terminal in bucket
                .iter()
                .flat_map(|bucket| places.paths.iter().filter_map(|path| bucket.paths.get(path)))
            {
                terminal.prepare(rank);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.endings.is_empty() && self.beginnings.is_empty() && self.any.paths.is_empty()
    }

    fn at_places(&mut self, places: &Places, change: &mut dyn FnMut(&mut Option<Terminal<T>>)) {
        let mut in_bucket = |bucket: &mut Bucket<T>| {
            for path in &places.paths {
                bucket.paths.update(path, &mut *change);
            }
        };
        for host in &places.hosts {
            let (hosts, key) = match host {
                HostKey::Any => {
                    in_bucket(&mut self.any);
                    continue;
                }
                HostKey::Exact(key) => (&mut self.exact, key),
                HostKey::Ending(key) => (&mut self.endings, key),
                HostKey::Beginning(key) => (&mut self.beginnings, key),
            };
            hosts.update(key, &mut |bucket: &mut Option<Bucket<T>>| {
                let mut changed = bucket.take().unwrap_or_else(|| Bucket { paths: Trie::default() });
                in_bucket(&mut changed);
                *bucket = (!changed.paths.is_empty()).then_some(changed);
            });
        }
    }

    /// The matcher of the greatest rank that agrees with the request.
    #[inline]
    pub(crate) fn find(&self, facts: &Facts<'_>) -> Best<'_, T> {
        let mut best = None;
        if let Some(host) = facts.host {
            if let Some(bucket) = self.exact.get(host) {
                bucket.find(facts, &mut best);
            }
            if self.endings.top() >= floor(&best) {
                self.endings.suffixes(host, &mut |bucket| bucket.find(facts, &mut best));
            }
            if self.beginnings.top() >= floor(&best) {
                self.beginnings
                    .prefixes(host, &mut |bucket| bucket.find(facts, &mut best));
            }
        }
        self.any.find(facts, &mut best);
        best
    }
}

impl<T> Bucket<T> {
    #[inline]
    fn find<'t>(&'t self, facts: &Facts<'_>, best: &mut Best<'t, T>) {
        if self.paths.top() < floor(best) {
            return;
        }
        let mut terminals: SmallVec<[&'t Terminal<T>; 16]> = SmallVec::new();
        self.paths
            .prefixes(facts.query.path, &mut |terminal| terminals.push(terminal));
        // The longest first: it tends to rank highest.
        for terminal in terminals.iter().rev() {
            if terminal.top() >= floor(best) {
                terminal.find(facts, best);
            }
        }
    }
}

#[cfg(test)]
mod tests;
