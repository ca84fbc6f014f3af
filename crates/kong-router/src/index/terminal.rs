//! The matchers of one host and one path prefix.

use std::sync::Arc;

use super::directory::Directory;
use super::list::List;
use super::{Best, Ranked};
use crate::matcher::{Facts, Matcher};
use crate::priority::Rank;

/// From this many matchers on a directory sorts them by what else they ask for.
const DIRECTORY: usize = 8;

pub(crate) enum Terminal<T> {
    Plain(List<T>),
    Sorted(Arc<Directory<T>>),
}

impl<T> Clone for Terminal<T> {
    fn clone(&self) -> Self {
        match self {
            Terminal::Plain(list) => Terminal::Plain(list.clone()),
            Terminal::Sorted(directory) => Terminal::Sorted(Arc::clone(directory)),
        }
    }
}

impl<T> Default for Terminal<T> {
    fn default() -> Self {
        Terminal::Plain(List::default())
    }
}

impl<T> Ranked for Terminal<T> {
    #[inline]
    fn top(&self) -> u64 {
        match self {
            Terminal::Plain(list) => list.top(),
            Terminal::Sorted(directory) => directory.top(),
        }
    }
}

impl<T> Terminal<T> {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Terminal::Plain(list) => list.is_empty(),
            Terminal::Sorted(directory) => directory.is_empty(),
        }
    }

    pub(crate) fn insert(&mut self, matcher: &Arc<Matcher<T>>) {
        match self {
            Terminal::Plain(list) => {
                list.insert(matcher);
                if list.len() >= DIRECTORY {
                    let mut directory = Directory::default();
                    for entry in list.entries() {
                        directory.insert(&entry.matcher);
                    }
                    *self = Terminal::Sorted(Arc::new(directory));
                }
            }
            Terminal::Sorted(directory) => Arc::make_mut(directory).insert(matcher),
        }
    }

    pub(crate) fn remove(&mut self, matcher: &Arc<Matcher<T>>) {
        match self {
            Terminal::Plain(list) => {
                list.remove(&matcher.rank);
            }
            Terminal::Sorted(directory) => Arc::make_mut(directory).remove(matcher),
        }
    }

    pub(crate) fn prepare(&self, rank: &Rank) {
        if let Terminal::Sorted(directory) = self {
            directory.prepare(rank);
        }
    }

    #[inline]
    pub(crate) fn find<'t>(&'t self, facts: &Facts<'_>, best: &mut Best<'t, T>) {
        match self {
            Terminal::Plain(list) => list.find(facts, best),
            Terminal::Sorted(directory) => directory.find(facts, best),
        }
    }
}
