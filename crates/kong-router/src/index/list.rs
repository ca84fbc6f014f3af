//! Matchers in order of evaluation.
//!
//! Long lists are split in chunks, so that a change copies one chunk and the list of chunks.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use super::automaton::Automaton;
use super::{Best, Ranked};
use crate::matcher::{Facts, Matcher};
use crate::priority::Rank;

/// A matcher, with what decides most comparisons at hand.
pub(crate) struct Entry<T> {
    major: u64,
    pub(crate) matcher: Arc<Matcher<T>>,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Entry {
            major: self.major,
            matcher: Arc::clone(&self.matcher),
        }
    }
}

impl<T> Entry<T> {
    fn new(matcher: &Arc<Matcher<T>>) -> Self {
        Entry {
            major: matcher.rank.major,
            matcher: Arc::clone(matcher),
        }
    }

    /// How this entry's place relates to that of `rank`: the greater rank comes first.
    fn order(&self, rank: &Rank) -> Ordering {
        rank.major.cmp(&self.major).then_with(|| rank.cmp(&self.matcher.rank))
    }

    #[inline]
    fn outranks(&self, best: &Best<'_, T>) -> bool {
        match best {
            None => true,
            Some(best) if self.major != best.rank.major => self.major > best.rank.major,
            Some(best) => self.matcher.rank > best.rank,
        }
    }
}

/// At most this many entries stand together.
pub(crate) const CHUNK: usize = 64;

pub(crate) struct Chunk<T> {
    pub(crate) entries: Vec<Entry<T>>,
    /// The path regexes of all entries in one, where that pays.
    automaton: OnceLock<Option<Automaton>>,
}

impl<T> Clone for Chunk<T> {
    fn clone(&self) -> Self {
        Chunk::new(self.entries.clone())
    }
}

impl<T> Chunk<T> {
    fn new(entries: Vec<Entry<T>>) -> Self {
        Chunk {
            entries,
            automaton: OnceLock::new(),
        }
    }

    fn automaton(&self) -> Option<&Automaton> {
        self.automaton.get_or_init(|| Automaton::new(&self.entries)).as_ref()
    }

    #[inline]
    fn find<'t>(&'t self, facts: &Facts<'_>, best: &mut Best<'t, T>) {
        for entry in &self.entries {
            if !entry.outranks(best) {
                return;
            }
            if entry.matcher.agrees_with_indexed(facts) {
                *best = Some(&entry.matcher);
                return;
            }
        }
    }

    fn find_by_automaton<'t>(&'t self, facts: &Facts<'_>, best: &mut Best<'t, T>) {
        let Some(automaton) = self.automaton() else {
            return self.find(facts, best);
        };
        let mut candidates = automaton.candidates(facts.query.path);
        while candidates != 0 {
            let Some(entry) = self.entries.get(candidates.trailing_zeros() as usize) else {
                return;
            };
            candidates &= candidates - 1;
            if !entry.outranks(best) {
                return;
            }
            if entry.matcher.agrees_with_indexed(facts) {
                *best = Some(&entry.matcher);
                return;
            }
        }
    }
}

#[derive(Default)]
pub(crate) enum List<T> {
    #[default]
    Empty,
    One(Entry<T>),
    Few(Arc<Chunk<T>>),
    /// Chunks in order, none of them empty.
    Many(Arc<Chunks<T>>),
}

pub(crate) struct Chunks<T> {
    chunks: Vec<Arc<Chunk<T>>>,
    len: usize,
}

impl<T> Clone for Chunks<T> {
    fn clone(&self) -> Self {
        Chunks {
            chunks: self.chunks.clone(),
            len: self.len,
        }
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        match self {
            List::Empty => List::Empty,
            List::One(entry) => List::One(entry.clone()),
            List::Few(chunk) => List::Few(Arc::clone(chunk)),
            List::Many(chunks) => List::Many(Arc::clone(chunks)),
        }
    }
}

impl<T> Ranked for List<T> {
    #[inline]
    fn top(&self) -> u64 {
        let first = match self {
            List::Empty => None,
            List::One(entry) => Some(entry),
            List::Few(chunk) => chunk.entries.first(),
            List::Many(chunks) => chunks.chunks.first().and_then(|chunk| chunk.entries.first()),
        };
        first.map_or(0, |entry| entry.major)
    }
}

impl<T> List<T> {
    pub(crate) fn len(&self) -> usize {
        match self {
            List::Empty => 0,
            List::One(_) => 1,
            List::Few(chunk) => chunk.entries.len(),
            List::Many(chunks) => chunks.len,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, List::Empty)
    }

    pub(crate) fn chunks(&self) -> &[Arc<Chunk<T>>] {
        match self {
            List::Empty | List::One(_) => &[],
            List::Few(chunk) => std::slice::from_ref(chunk),
            List::Many(chunks) => &chunks.chunks,
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry<T>> {
        let one = if let List::One(entry) = self { Some(entry) } else { None };
        one.into_iter()
            .chain(self.chunks().iter().flat_map(|chunk| &chunk.entries))
    }

    pub(crate) fn insert(&mut self, matcher: &Arc<Matcher<T>>) {
        let entry = Entry::new(matcher);
        match self {
            List::Empty => *self = List::One(entry),
            List::One(other) => {
                let mut entries = vec![other.clone(), entry];
                entries.sort_by(|a, b| a.order(&b.matcher.rank));
                *self = List::Few(Arc::new(Chunk::new(entries)));
            }
            List::Few(chunk) => {
                if let Some(second) = insert_in_chunk(chunk, entry) {
                    let len = chunk.entries.len() + second.entries.len();
                    *self = List::Many(Arc::new(Chunks {
                        chunks: vec![Arc::clone(chunk), second],
                        len,
                    }));
                }
            }
            List::Many(chunks) => Arc::make_mut(chunks).insert(entry),
        }
    }

    /// Answers whether the matcher was there.
    pub(crate) fn remove(&mut self, rank: &Rank) -> bool {
        match self {
            List::Empty => false,
            List::One(entry) => {
                let is_it = entry.matcher.rank == *rank;
                if is_it {
                    *self = List::Empty;
                }
                is_it
            }
            List::Few(chunk) => {
                let removed = remove_from_chunk(chunk, rank);
                match &chunk.entries[..] {
                    [] => *self = List::Empty,
                    [one] => *self = List::One(one.clone()),
                    _ => {}
                }
                removed
            }
            List::Many(chunks) => {
                let chunks = Arc::make_mut(chunks);
                let removed = chunks.remove(rank);
                if let [only] = &chunks.chunks[..] {
                    *self = List::Few(Arc::clone(only));
                }
                removed
            }
        }
    }

    /// Looks for a match that outranks `best`.
    #[inline]
    pub(crate) fn find<'t>(&'t self, facts: &Facts<'_>, best: &mut Best<'t, T>) {
        match self {
            List::Empty => {}
            List::One(entry) => {
                if entry.outranks(best) && entry.matcher.agrees_with_indexed(facts) {
                    *best = Some(&entry.matcher);
                }
            }
            List::Few(chunk) => chunk.find(facts, best),
            List::Many(chunks) => {
                for chunk in &chunks.chunks {
                    if !chunk.entries.first().is_some_and(|entry| entry.outranks(best)) {
                        return;
                    }
                    chunk.find(facts, best);
                }
            }
        }
    }

    /// The same for a list of matchers with path regexes: asks many regexes at once.
    pub(crate) fn find_regex<'t>(&'t self, facts: &Facts<'_>, best: &mut Best<'t, T>) {
        match self {
            List::Empty | List::One(_) => self.find(facts, best),
            List::Few(chunk) => chunk.find_by_automaton(facts, best),
            List::Many(chunks) => {
                for chunk in &chunks.chunks {
                    if !chunk.entries.first().is_some_and(|entry| entry.outranks(best)) {
                        return;
                    }
                    chunk.find_by_automaton(facts, best);
                }
            }
        }
    }

    /// Builds the automaton of the chunk in which `rank` is or was, if it is missing.
    pub(crate) fn prepare_regexes(&self, rank: &Rank) {
        let chunk = match self {
            List::Empty | List::One(_) => None,
            List::Few(chunk) => Some(chunk),
            List::Many(chunks) => chunks.chunks.get(chunks.position(rank)),
        };
        if let Some(chunk) = chunk {
            chunk.automaton();
        }
    }
}

impl<T> Chunks<T> {
    /// The chunk in which `rank` is or would be.
    fn position(&self, rank: &Rank) -> usize {
        let after = |chunk: &Arc<Chunk<T>>| chunk.entries.first().is_some_and(|first| first.order(rank).is_gt());
        self.chunks.partition_point(|chunk| !after(chunk)).saturating_sub(1)
    }

    fn insert(&mut self, entry: Entry<T>) {
        let position = self.position(&entry.matcher.rank);
        let Some(chunk) = self.chunks.get_mut(position) else {
            return;
        };
        let before = chunk.entries.len();
        match insert_in_chunk(chunk, entry) {
            None => self.len += chunk.entries.len() - before,
            Some(second) => {
                self.len += chunk.entries.len() + second.entries.len() - before;
                self.chunks.insert(position + 1, second);
            }
        }
    }

    fn remove(&mut self, rank: &Rank) -> bool {
        let position = self.position(rank);
        let Some(chunk) = self.chunks.get_mut(position) else {
            return false;
        };
        if !remove_from_chunk(chunk, rank) {
            return false;
        }
        self.len -= 1;
        let left = chunk.entries.len();
        // Small neighbours are put together, so that a list that shrinks does not end as crumbs.
        let next = self.chunks.get(position + 1).map_or(CHUNK, |next| next.entries.len());
        if left == 0 {
            self.chunks.remove(position);
        } else if left + next <= CHUNK / 2 {
            let next = self.chunks.remove(position + 1);
            if let Some(chunk) = self.chunks.get_mut(position) {
                let entries = chunk.entries.iter().chain(&next.entries).cloned().collect();
                *chunk = Arc::new(Chunk::new(entries));
            }
        }
        true
    }
}

/// Puts `entry` in its place. Answers with the second half if the chunk had to be divided.
fn insert_in_chunk<T>(chunk: &mut Arc<Chunk<T>>, entry: Entry<T>) -> Option<Arc<Chunk<T>>> {
    let owned = Arc::make_mut(chunk);
    owned.automaton = OnceLock::new();
    let rank = entry.matcher.rank;
    match owned.entries.binary_search_by(|own| own.order(&rank)) {
        Ok(index) => {
            owned.entries.splice(index..=index, [entry]);
        }
        Err(index) => owned.entries.insert(index, entry),
    }
    (owned.entries.len() > CHUNK).then(|| Arc::new(Chunk::new(owned.entries.split_off(CHUNK / 2))))
}

fn remove_from_chunk<T>(chunk: &mut Arc<Chunk<T>>, rank: &Rank) -> bool {
    let Ok(index) = chunk.entries.binary_search_by(|own| own.order(rank)) else {
        return false;
    };
    let owned = Arc::make_mut(chunk);
    owned.automaton = OnceLock::new();
    owned.entries.remove(index);
    true
}
