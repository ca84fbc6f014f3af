//! The path regexes of many matchers in one automaton.

use std::cell::RefCell;

use regex_automata::{Input, MatchKind, PatternSet, meta, nfa::thompson::WhichCaptures};

use super::list::{CHUNK, Entry};
use crate::pattern::config;

/// Most expressions in one automaton.
const PATTERNS: usize = 256;

/// With fewer it is as quick to ask each.
const WORTHWHILE: usize = 3;

#[derive(Debug)]
pub(crate) struct Automaton {
    regex: meta::Regex,
    /// The entry to which each expression belongs.
    owners: Vec<u8>,
    /// Entries that have no regex and must always be asked.
    always: u64,
}

const _: () = assert!(CHUNK <= 64, "entries are bits of a u64");

thread_local! {
    static FOUND: RefCell<PatternSet> = RefCell::new(PatternSet::new(PATTERNS));
}

impl Automaton {
    /// `None` where asking one by one is better, or where the expressions together grow too large.
    pub(crate) fn new<T>(entries: &[Entry<T>]) -> Option<Self> {
        let mut sources = Vec::new();
        let mut owners = Vec::new();
        let mut always = 0;
        for (index, entry) in entries.iter().enumerate() {
            let patterns = entry.matcher.test.path_regexes();
            if patterns.is_empty() {
                always |= 1 << index;
            }
            for pattern in patterns {
                sources.push(pattern.source());
                owners.push(index as u8);
            }
        }
        if !(WORTHWHILE..=PATTERNS).contains(&sources.len()) {
            return None;
        }
        let config = config().which_captures(WhichCaptures::None).match_kind(MatchKind::All);
        let regex = meta::Regex::builder().configure(config).build_many(&sources).ok()?;
        Some(Automaton { regex, owners, always })
    }

    /// The entries, as bits, that may match `path`.
    pub(crate) fn candidates(&self, path: &[u8]) -> u64 {
        FOUND.with_borrow_mut(|found| {
            found.clear();
            self.regex.which_overlapping_matches(&Input::new(path), found);
            found
                .iter()
                .filter_map(|pattern| self.owners.get(pattern.as_usize()))
                .fold(self.always, |bits, entry| bits | 1 << entry)
        })
    }
}
