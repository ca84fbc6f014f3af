//! The path regexes of many matchers in one automaton.

use std::cell::RefCell;

use regex_automata::{Input, MatchKind, PatternSet, meta, nfa::thompson::WhichCaptures};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

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
        let mut hirs = Vec::with_capacity(sources.len());
        for source in sources {
            hirs.push(rough(&regex_syntax::parse(source).ok()?));
        }
        let config = config()
            .which_captures(WhichCaptures::None)
            .match_kind(MatchKind::All)
            .utf8_empty(false);
        let regex = meta::Regex::builder()
            .configure(config)
            .build_many_from_hir(&hirs)
            .ok()?;
        Some(Automaton { regex, owners, always })
    }

    /// The entries, as bits, that may match `path`; they must be asked themselves.
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

/// An expression that matches wherever `hir` does and is far cheaper to build: whatever may match a character beyond
/// ASCII matches any, and word boundaries are everywhere.
fn rough(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(Class::Bytes(_)) => hir.clone(),
        HirKind::Look(Look::Start | Look::End) => hir.clone(),
        HirKind::Look(_) => Hir::empty(),
        HirKind::Class(Class::Unicode(class)) => {
            let ascii = class
                .ranges()
                .iter()
                .filter(|range| range.start().is_ascii())
                .map(|range| {
                    let end = u8::try_from(range.end()).map_or(0x7F, |end| end.min(0x7F));
                    ClassBytesRange::new(range.start() as u8, end)
                });
            let mut parts = vec![Hir::class(Class::Bytes(ClassBytes::new(ascii)))];
            if !class.is_ascii() {
                let beyond = Hir::class(Class::Bytes(ClassBytes::new([ClassBytesRange::new(0x80, 0xFF)])));
                parts.push(Hir::repetition(Repetition {
                    min: 1,
                    max: Some(4),
                    greedy: true,
                    sub: Box::new(beyond),
                }));
            }
            Hir::alternation(parts)
        }
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(rough(&repetition.sub))),
        HirKind::Capture(capture) => rough(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(rough).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(rough).collect()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rough_expressions_match_wherever_the_exact_ones_do() {
        let sources = [
            r"^/\w+/x\d$",
            r"^/[^/]+/é?$",
            r"(?i)^/straße|ß",
            r"\bü\b",
            r"^/.{2}$",
            r"(?m)^b$",
            r"^/(a|[à-ü])*\.$",
            r"^/\p{Greek}+",
            r"^\S\s?$",
            r"(?-u:[a-c])x",
            r"[a-z&&[^m]]$",
            r"^$",
        ];
        let mut random = fastrand::Rng::with_seed(9);
        let alphabet = ['/', 'a', 'b', 'x', '1', '.', 'é', 'ß', 'α', 'ſ', '\n', ' ', '𝔘'];
        let mut matched = 0;
        for source in sources {
            let exact = meta::Regex::new(source).unwrap();
            let rough = rough(&regex_syntax::parse(source).unwrap());
            let rough = meta::Regex::builder()
                .configure(config().utf8_empty(false))
                .build_from_hir(&rough)
                .unwrap();
            for _ in 0..3000 {
                let text: String = (0..random.usize(..6))
                    .map(|_| alphabet[random.usize(..alphabet.len())])
                    .collect();
                if exact.is_match(&text) {
                    matched += 1;
                    assert!(rough.is_match(&text), "{source} {text}");
                }
            }
        }
        assert!(matched > 2000, "{matched}");
    }
}
