//! Which header names the matchers ask for, and how many ask for each.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Ranked, Trie};
use crate::request::{HeaderLookup, canonical_name_byte};

/// Up to this many names each is looked up in the request; with more it is cheaper to look up the request's names.
const FEW: usize = 6;

#[derive(Clone, Default)]
pub(crate) struct HeaderNames {
    uses: Trie<Use>,
    distinct: usize,
    /// All names, if they are few.
    few: SmallVec<[Arc<str>; FEW]>,
}

#[derive(Clone)]
struct Use {
    name: Arc<str>,
    count: usize,
}

impl Ranked for Use {
    fn top(&self) -> u64 {
        0
    }
}

impl HeaderNames {
    pub(crate) fn is_empty(&self) -> bool {
        self.distinct == 0
    }

    pub(crate) fn add(&mut self, name: &str) {
        let mut added = None;
        self.uses.update(name.as_bytes(), &mut |known| match known {
            Some(known) => known.count += 1,
            None => {
                let name: Arc<str> = name.into();
                added = Some(Arc::clone(&name));
                *known = Some(Use { name, count: 1 });
            }
        });
        if let Some(name) = added {
            self.distinct += 1;
            if self.distinct <= FEW {
                self.few.push(name);
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let mut gone = false;
        self.uses.update(name.as_bytes(), &mut |known| {
            if let Some(used) = known {
                used.count -= 1;
                if used.count == 0 {
                    *known = None;
                    gone = true;
                }
            }
        });
        if gone {
            self.distinct -= 1;
            if self.distinct <= FEW {
                self.few.clear();
                self.uses.for_each(&mut |used| self.few.push(Arc::clone(&used.name)));
            }
        }
    }

    /// Shows the names in use and their values in the request until `visit` answers true; answers whether it did.
    pub(crate) fn any(&self, headers: &dyn HeaderLookup, visit: &mut dyn FnMut(&str, &[u8]) -> bool) -> bool {
        match self.distinct {
            0 => false,
            1..=FEW => self
                .few
                .iter()
                .any(|name| headers.any(name, &mut |value| visit(name, value))),
            _ => headers.any_field(&mut |name, value| {
                let canonical: SmallVec<[u8; 64]> = name.iter().map(|byte| canonical_name_byte(*byte)).collect();
                self.uses.get(&canonical).is_some_and(|used| visit(&used.name, value))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_use_is_shown_however_many_there_are() {
        let headers: Vec<(String, &str)> = (0..10).map(|index| (format!("X-H{index}"), "v")).collect();
        let mut names = HeaderNames::default();
        for round in 0..3 {
            for count in 0..10 {
                names.add(&format!("x_h{count}"));
                names.add(&format!("x_h{count}"));
                assert_eq!(shown(&names, &headers), count + 1, "{round}");
            }
            for count in (0..10).rev() {
                names.remove(&format!("x_h{count}"));
                assert_eq!(shown(&names, &headers), count + 1);
                names.remove(&format!("x_h{count}"));
                assert_eq!(shown(&names, &headers), count);
            }
            assert!(names.is_empty());
        }
    }

    fn shown(names: &HeaderNames, headers: &dyn HeaderLookup) -> usize {
        let mut shown = 0;
        assert!(!names.any(headers, &mut |name, value| {
            assert!(name.starts_with("x_h") && value == b"v");
            shown += 1;
            false
        }));
        shown
    }
}
