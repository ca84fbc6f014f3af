//! Many matchers of the same host and path, sorted by what else they ask for: without it, 10,000 routes that differ in
//! the value of one header would be asked one by one.
//!
//! Each matcher is filed under one of its conditions, the one that currently leads to the shortest lists.

use std::sync::Arc;

use smallvec::SmallVec;

use super::list::List;
use super::{Best, HeaderNames, LONGEST_KEY, Ranked, Selector, SelectorKind, Trie};
use crate::header::{Buffer, lower_case};
use crate::matcher::{Facts, Matcher};
use crate::priority::Rank;

pub(crate) struct Directory<T> {
    keyed: Trie<List<T>>,
    header_names: HeaderNames,
    /// How many matchers are filed by server name, port and method.
    by_sni: usize,
    by_port: usize,
    by_method: usize,
    /// Those filed by server name that plaintext requests pass as well.
    plaintext: List<T>,
    /// Matchers that have regexes on the path and nothing better to be filed under.
    regexes: List<T>,
    rest: List<T>,
}

impl<T> Clone for Directory<T> {
    fn clone(&self) -> Self {
        Directory {
            keyed: self.keyed.clone(),
            header_names: self.header_names.clone(),
            plaintext: self.plaintext.clone(),
            regexes: self.regexes.clone(),
            rest: self.rest.clone(),
            ..*self
        }
    }
}

impl<T> Default for Directory<T> {
    fn default() -> Self {
        Directory {
            keyed: Trie::default(),
            header_names: HeaderNames::default(),
            by_sni: 0,
            by_port: 0,
            by_method: 0,
            plaintext: List::default(),
            regexes: List::default(),
            rest: List::default(),
        }
    }
}

impl<T> Ranked for Directory<T> {
    fn top(&self) -> u64 {
        self.keyed.top().max(self.regexes.top()).max(self.rest.top())
    }
}

/// The key of a condition: its kind, the name of a header, and the value. Nothing if it is too long.
type Key = SmallVec<[u8; 128]>;

const HEADER: u8 = b'h';
const SNI: u8 = b's';
const PORT: u8 = b'p';
const METHOD: u8 = b'm';

fn key(kind: u8, name: &str, value: &[u8]) -> Option<Key> {
    if value.len() + name.len() > LONGEST_KEY {
        return None;
    }
    let mut key = Key::new();
    key.push(kind);
    if kind == HEADER {
        key.extend_from_slice(name.as_bytes());
        key.push(0);
    }
    key.extend_from_slice(value);
    Some(key)
}

/// The keys of a selector; nothing if one of them is too long to be a key.
fn keys(selector: &Selector) -> Option<Vec<Key>> {
    let (kind, name) = match &selector.kind {
        SelectorKind::Header(name) => (HEADER, &**name),
        SelectorKind::Sni { .. } => (SNI, ""),
        SelectorKind::Port => (PORT, ""),
        SelectorKind::Method => (METHOD, ""),
    };
    selector.keys.iter().map(|value| key(kind, name, value)).collect()
}

impl<T> Directory<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.keyed.is_empty() && self.regexes.is_empty() && self.rest.is_empty()
    }

    pub(crate) fn insert(&mut self, matcher: &Arc<Matcher<T>>) {
        let has_regexes = !matcher.test.path_regexes().is_empty();
        // Regexes are asked many at a time.
        let mut cost = if has_regexes {
            self.regexes.len() / 8
        } else {
            usize::MAX
        };
        let mut chosen = None;
        for selector in matcher.test.selectors() {
            let Some(keys) = keys(&selector) else { continue };
            let longest = keys
                .iter()
                .map(|key| self.keyed.get(key).map_or(0, List::len))
                .max()
                .unwrap_or(0);
            if longest < cost {
                cost = longest;
                chosen = Some((selector, keys));
            }
        }
        match chosen {
            Some((selector, keys)) => {
                for key in &keys {
                    self.keyed
                        .update(key, &mut |list| list.get_or_insert_with(List::default).insert(matcher));
                }
                match selector.kind {
                    SelectorKind::Header(name) => self.header_names.add(&name),
                    SelectorKind::Sni { plaintext_agrees } => {
                        self.by_sni += 1;
                        if plaintext_agrees {
                            self.plaintext.insert(matcher);
                        }
                    }
                    SelectorKind::Port => self.by_port += 1,
                    SelectorKind::Method => self.by_method += 1,
                }
            }
            None if has_regexes => self.regexes.insert(matcher),
            None => self.rest.insert(matcher),
        }
    }

    pub(crate) fn remove(&mut self, matcher: &Arc<Matcher<T>>) {
        let rank = &matcher.rank;
        if self.regexes.remove(rank) || self.rest.remove(rank) {
            return;
        }
        for selector in matcher.test.selectors() {
            let mut removed = false;
            for key in keys(&selector).iter().flatten() {
                self.keyed.update(key, &mut |list| {
                    if let Some(filed) = list {
                        removed |= filed.remove(rank);
                        if filed.is_empty() {
                            *list = None;
                        }
                    }
                });
            }
            if !removed {
                continue;
            }
            match selector.kind {
                SelectorKind::Header(name) => self.header_names.remove(&name),
                SelectorKind::Sni { .. } => {
                    self.by_sni -= 1;
                    self.plaintext.remove(rank);
                }
                SelectorKind::Port => self.by_port -= 1,
                SelectorKind::Method => self.by_method -= 1,
            }
            return;
        }
    }

    pub(crate) fn prepare(&self, rank: &Rank) {
        self.regexes.prepare_regexes(rank);
    }

    pub(crate) fn find<'t>(&'t self, facts: &Facts<'_>, best: &mut Best<'t, T>) {
        if !self.header_names.is_empty() {
            self.header_names.any(facts.query.headers, &mut |name, value| {
                let mut buffer = Buffer::new();
                if let Some(value) = lower_case(value, &mut buffer) {
                    self.find_keyed(key(HEADER, name, value), facts, best);
                }
                false
            });
        }
        if self.by_sni > 0 {
            if !facts.query.scheme.has_sni() {
                self.plaintext.find(facts, best);
            }
            if let Some(sni) = facts.query.sni {
                self.find_keyed(key(SNI, "", sni.as_bytes()), facts, best);
            }
        }
        if self.by_port > 0
            && let Some(port) = facts.destination_port()
        {
            self.find_keyed(key(PORT, "", &port.to_be_bytes()), facts, best);
        }
        if self.by_method > 0 {
            self.find_keyed(key(METHOD, "", facts.query.method.as_bytes()), facts, best);
        }
        self.regexes.find_regex(facts, best);
        self.rest.find(facts, best);
    }

    fn find_keyed<'t>(&'t self, key: Option<Key>, facts: &Facts<'_>, best: &mut Best<'t, T>) {
        if let Some(list) = key.and_then(|key| self.keyed.get(&key)) {
            list.find(facts, best);
        }
    }
}
