//! Version stamps: what tells a load, and a thread's own copy, that its key has been invalidated since.
//!
//! There is a fixed number of stamps, each shared by the keys that hash to it; an invalidation of one key makes copies
//! of the others load again, which is harmless. The lock of a stripe orders "store what was loaded" against
//! "invalidate", so that a load that began before an invalidation is never stored after it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const STRIPES: usize = 4096;

#[derive(Debug, Default)]
struct Stripe {
    version: AtomicU64,
    lock: Mutex<()>,
}

/// What was current when something was read or a load began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    stripe: u32,
    version: u64,
    epoch: u64,
}

impl Stamp {
    pub(crate) fn epoch(self) -> u64 {
        self.epoch
    }
}

/// All stamps of a cache.
#[derive(Debug)]
pub(crate) struct Stripes {
    stripes: Box<[Stripe]>,
    /// Counts purges.
    epoch: AtomicU64,
    hasher: ahash::RandomState,
}

impl Stripes {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
            epoch: AtomicU64::new(0),
            hasher: ahash::RandomState::new(),
        }
    }

    fn stripe(&self, stripe: u32) -> Option<&Stripe> {
        self.stripes.get(stripe as usize)
    }

    fn of(&self, key: &str) -> u32 {
        // The remainder is below 4096.
        (self.hasher.hash_one(key) % STRIPES as u64) as u32
    }

    /// The stamp of a key now.
    pub(crate) fn stamp(&self, key: &str) -> Stamp {
        let stripe = self.of(key);
        let version = self.stripe(stripe).map_or(0, |s| s.version.load(Ordering::Acquire));
        Stamp {
            stripe,
            version,
            epoch: self.epoch.load(Ordering::Acquire),
        }
    }

    /// Whether nothing was invalidated since. On the request path: two loads.
    #[inline]
    pub(crate) fn is_current(&self, stamp: Stamp) -> bool {
        self.stripe(stamp.stripe)
            .is_some_and(|s| s.version.load(Ordering::Acquire) == stamp.version)
            && self.epoch.load(Ordering::Acquire) == stamp.epoch
    }

    /// Number of purges so far.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Runs `store` unless the key was invalidated since the stamp; no invalidation gets in between.
    pub(crate) fn if_current(&self, stamp: Stamp, store: impl FnOnce()) -> bool {
        let Some(stripe) = self.stripe(stamp.stripe) else {
            return false;
        };
        let _ordered = lock(stripe);
        let current = self.is_current(stamp);
        if current {
            store();
        }
        current
    }

    /// Invalidates a key; `remove` takes it out of the shared cache.
    ///
    /// The stamp changes twice: the first change stops loads and copies that began before; the second those that found
    /// the new stamp, but still the old value, while `remove` was at work.
    pub(crate) fn invalidate(&self, key: &str, remove: impl FnOnce()) {
        let Some(stripe) = self.stripe(self.of(key)) else {
            return;
        };
        let _ordered = lock(stripe);
        stripe.version.fetch_add(1, Ordering::AcqRel);
        remove();
        stripe.version.fetch_add(1, Ordering::AcqRel);
    }

    /// Invalidates everything. Values carry the epoch they were loaded in, so `remove` only frees memory.
    pub(crate) fn purge(&self, remove: impl FnOnce()) {
        // Every stripe's lock is held for a moment, so that no store that has seen the old epoch is still under way.
        self.epoch.fetch_add(1, Ordering::AcqRel);
        for stripe in &self.stripes {
            drop(lock(stripe));
        }
        remove();
    }
}

fn lock(stripe: &Stripe) -> MutexGuard<'_, ()> {
    stripe.lock.lock().unwrap_or_else(PoisonError::into_inner)
}
