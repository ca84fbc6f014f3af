//! A small cache per thread before the shared one.
//!
//! On the request path. A hit costs one hash, one comparison of the key and two atomic loads; no lock, no allocation,
//! nothing shared that other threads write to. Copies are validated by their stamp, so that an invalidation takes effect
//! at once on every thread. Only values go in, never absences: unknown keys cannot push known ones out.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Weak};

use kong_schema::Schema;

use crate::entry::Entry;
use crate::stripes::{Stamp, Stripes};

/// Sets of two copies per thread and cache.
const SETS: usize = 2048;

/// How a value is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By<'a> {
    /// Primary key `id`.
    Id(&'a str),
    /// Unique field and value.
    Unique(&'a str, &'a str),
    /// Foreign field and parent: a list.
    Below(&'a str, &'a str),
}

impl<'a> By<'a> {
    #[inline]
    fn parts(self) -> (u8, &'a str, &'a str) {
        match self {
            Self::Id(id) => (0, "", id),
            Self::Unique(field, value) => (1, field, value),
            Self::Below(field, parent) => (2, field, parent),
        }
    }
}

struct Copy {
    hash: u64,
    kind: u8,
    stamp: Stamp,
    entity: Box<str>,
    field: Box<str>,
    value: Box<str>,
    entry: Arc<Entry>,
}

impl Copy {
    #[inline]
    fn is(&self, hash: u64, entity: &str, by: By<'_>) -> bool {
        let (kind, field, value) = by.parts();
        self.hash == hash
            && self.kind == kind
            && *self.value == *value
            && *self.field == *field
            && *self.entity == *entity
    }
}

struct Local {
    owner: u64,
    alive: Weak<()>,
    sets: Box<[[Option<Copy>; 2]]>,
}

thread_local! {
    static LOCALS: RefCell<Vec<Local>> = const { RefCell::new(Vec::new()) };
}

/// A cache's view on its copies in the present thread.
#[derive(Debug)]
pub(crate) struct LocalCopies {
    owner: u64,
    alive: Arc<()>,
    hasher: ahash::RandomState,
}

impl LocalCopies {
    pub(crate) fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let owner = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Self {
            owner,
            alive: Arc::new(()),
            hasher: ahash::RandomState::new(),
        }
    }

    #[inline]
    fn hash(&self, entity: &str, by: By<'_>) -> u64 {
        let (kind, field, value) = by.parts();
        let mut hasher = self.hasher.build_hasher();
        hasher.write(entity.as_bytes());
        hasher.write(field.as_bytes());
        hasher.write_u8(kind);
        hasher.write(value.as_bytes());
        hasher.finish()
    }

    /// A copy that is still good.
    #[inline]
    pub(crate) fn get<T>(
        &self,
        stripes: &Stripes,
        schema: &Schema,
        by: By<'_>,
        take: impl FnOnce(&Entry) -> T,
    ) -> Option<T> {
        let hash = self.hash(&schema.name, by);
        LOCALS.with_borrow(|locals| {
            let local = locals.iter().find(|l| l.owner == self.owner)?;
            let set = local.sets.get(hash as usize % SETS)?;
            let copy = set.iter().flatten().find(|c| c.is(hash, &schema.name, by))?;
            (stripes.is_current(copy.stamp) && copy.entry.is_fresh()).then(|| take(&copy.entry))
        })
    }

    /// Keeps a copy; `stamp` was taken before the value was found.
    pub(crate) fn put(&self, schema: &Schema, by: By<'_>, stamp: Stamp, entry: &Arc<Entry>) {
        let (kind, field, value) = by.parts();
        let hash = self.hash(&schema.name, by);
        let copy = Copy {
            hash,
            kind,
            stamp,
            entity: schema.name.as_str().into(),
            field: field.into(),
            value: value.into(),
            entry: entry.clone(),
        };
        let replaced = LOCALS.with_borrow_mut(|locals| {
            let local = match locals.iter().position(|l| l.owner == self.owner) {
                Some(index) => locals.get_mut(index),
                None => {
                    // Copies of caches that are gone go too.
                    locals.retain(|l| l.alive.strong_count() > 0);
                    let sets = (0..SETS).map(|_| [None, None]).collect();
                    locals.push(Local {
                        owner: self.owner,
                        alive: Arc::downgrade(&self.alive),
                        sets,
                    });
                    locals.last_mut()
                }
            };
            let [newer, older] = local?.sets.get_mut(hash as usize % SETS)?;
            let same = newer.as_ref().is_some_and(|c| c.is(hash, &schema.name, by));
            if same {
                newer.replace(copy)
            } else {
                std::mem::replace(older, newer.replace(copy))
            }
        });
        // Dropped outside: a value's destructor is none of the borrow's business.
        drop(replaced);
    }
}
