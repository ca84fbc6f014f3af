//! Counters of the `local` policy, shared by all workers of the node.
//!
//! On the request path: one hash, one read lock of a shard, one compare-and-swap a window; an allocation only for an
//! identity that was not seen before. A shard is locked for writing only to add or drop an identity, never to count.
//!
//! A request is counted *before* it is admitted, in a word that holds window and count together, so that no number of
//! workers admits more than the limit. A request that a later window refuses gives back what it took in the earlier
//! ones: a refused request consumes nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use ahash::RandomState;

const SHARDS: usize = 64;
/// Most identities a shard remembers, about 20 MB in all.
const SHARD_CAPACITY: usize = 2048;
/// How many identities are compared to find one that was not seen for long.
const SAMPLE: usize = 8;

/// A limit of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Index of the period.
    pub period: usize,
    /// Start, Unix seconds.
    pub start: u64,
    /// Most requests.
    pub cap: u32,
}

/// Usage of the windows before this request, in the order asked for.
pub type Usage = [u32; 6];

/// Whether a request was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Counted in every window.
    Admitted(Usage),
    /// Counted in none.
    Refused(Usage),
}

struct Entry {
    /// Window start (high half) and count (low half) of each period.
    words: [AtomicU64; 6],
    last_seen: AtomicU32,
}

impl Entry {
    fn new() -> Self {
        Entry {
            words: Default::default(),
            last_seen: AtomicU32::new(0),
        }
    }
}

struct Shard {
    entries: RwLock<HashMap<Box<[u8]>, Entry, RandomState>>,
}

/// The counters of a node.
pub struct Counters {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

impl Default for Counters {
    fn default() -> Self {
        let hasher = RandomState::new();
        let shard = || Shard {
            entries: RwLock::new(HashMap::with_hasher(hasher.clone())),
        };
        Counters {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher,
        }
    }
}

fn pack(start: u64, count: u32) -> u64 {
    // Unix seconds fit into 32 bits until 2106.
    start << 32 | u64::from(count)
}

fn unpack(word: u64) -> (u64, u32) {
    (word >> 32, word as u32)
}

impl Counters {
    /// Counts a request of this identity in all windows (at most six), or in none.
    pub fn count(&self, identity: &[u8], windows: &[Window], now: u64) -> Verdict {
        let hash = self.hasher.hash_one(identity);
        // The map uses the low and the highest bits of the same hash.
        let Some(shard) = self.shards.get((hash >> 32) as usize % SHARDS) else {
            return Verdict::Admitted([0; 6]);
        };
        {
            let entries = shard.entries.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = entries.get(identity) {
                return take(entry, windows, now);
            }
        }
        let mut entries = shard.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= SHARD_CAPACITY && !entries.contains_key(identity) {
            make_room(&mut entries);
        }
        take(entries.entry(identity.into()).or_insert_with(Entry::new), windows, now)
    }

    /// How many identities are remembered.
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|s| s.entries.read().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Forgets the one of a few identities that was not seen for the longest time.
fn make_room(entries: &mut HashMap<Box<[u8]>, Entry, RandomState>) {
    // The order of iteration is that of the hashes, so the first few are as good as any.
    let oldest = entries
        .iter()
        .take(SAMPLE)
        .min_by_key(|(_, entry)| entry.last_seen.load(Ordering::Relaxed))
        .map(|(identity, _)| identity.clone());
    if let Some(identity) = oldest {
        entries.remove(&identity);
    }
}

fn take(entry: &Entry, windows: &[Window], now: u64) -> Verdict {
    let seconds = now as u32;
    if entry.last_seen.load(Ordering::Relaxed) != seconds {
        entry.last_seen.store(seconds, Ordering::Relaxed);
    }
    let mut usage: Usage = [0; 6];
    // A look first: most refusals need no change, and a window that is full anyway is told of in the headers.
    let mut is_refused = false;
    for (window, used) in windows.iter().zip(&mut usage) {
        *used = current(entry, window);
        is_refused |= *used >= window.cap;
    }
    if is_refused {
        return Verdict::Refused(usage);
    }
    for (index, (window, used)) in windows.iter().zip(&mut usage).enumerate() {
        match increment(entry, window) {
            Ok(before) => *used = before,
            Err(full) => {
                *used = full;
                windows.iter().take(index).for_each(|window| give_back(entry, window));
                return Verdict::Refused(usage);
            }
        }
    }
    Verdict::Admitted(usage)
}

fn word<'a>(entry: &'a Entry, window: &Window) -> &'a AtomicU64 {
    // Periods are indices below six.
    &entry.words[window.period.min(5)]
}

fn current(entry: &Entry, window: &Window) -> u32 {
    let (start, count) = unpack(word(entry, window).load(Ordering::Relaxed));
    // Another worker may already be in the next window; then this request belongs to that one too.
    if start >= window.start { count } else { 0 }
}

/// Count before; `Err`: the window is full.
fn increment(entry: &Entry, window: &Window) -> Result<u32, u32> {
    let word = word(entry, window);
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let (start, count) = unpack(seen);
        let (start, count) = if start >= window.start {
            (start, count)
        } else {
            (window.start, 0)
        };
        if count >= window.cap {
            return Err(count);
        }
        match word.compare_exchange_weak(seen, pack(start, count + 1), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Ok(count),
            Err(changed) => seen = changed,
        }
    }
}

fn give_back(entry: &Entry, window: &Window) {
    let word = word(entry, window);
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let (start, count) = unpack(seen);
        // A window that is over took its counts with it.
        if start > window.start || count == 0 {
            return;
        }
        match word.compare_exchange_weak(seen, pack(start, count - 1), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(changed) => seen = changed,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    fn window(period: usize, start: u64, cap: u32) -> Window {
        Window { period, start, cap }
    }

    #[test]
    fn workers_never_admit_more_than_the_limit() {
        for round in 0..20 {
            let counters = Arc::new(Counters::default());
            let admitted = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let (counters, admitted) = (counters.clone(), admitted.clone());
                    std::thread::spawn(move || {
                        for _ in 0..500 {
                            let windows = [window(0, 10, 700), window(1, 0, 1000)];
                            if let Verdict::Admitted(_) = counters.count(b"x", &windows, 10) {
                                admitted.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|t| t.join().unwrap());
            assert_eq!(admitted.load(Ordering::Relaxed), 700, "round {round}");
            // What the full second refused was not taken from the minute.
            let verdict = counters.count(b"x", &[window(1, 0, 1000)], 10);
            assert_eq!(verdict, Verdict::Admitted([700, 0, 0, 0, 0, 0]));
        }
    }

    #[test]
    fn a_refused_request_consumes_nothing_in_any_window() {
        let counters = Counters::default();
        let windows = |second| [window(0, second, 5), window(1, 0, 2)];
        assert_eq!(
            counters.count(b"x", &windows(1), 1),
            Verdict::Admitted([0, 0, 0, 0, 0, 0])
        );
        assert_eq!(
            counters.count(b"x", &windows(1), 1),
            Verdict::Admitted([1, 1, 0, 0, 0, 0])
        );
        for _ in 0..10 {
            assert_eq!(
                counters.count(b"x", &windows(1), 1),
                Verdict::Refused([2, 2, 0, 0, 0, 0])
            );
        }
        assert_eq!(
            counters.count(b"x", &windows(2), 2),
            Verdict::Refused([0, 2, 0, 0, 0, 0])
        );
    }

    #[test]
    fn a_new_window_starts_at_zero_and_an_old_clock_does_not_reopen_one() {
        let counters = Counters::default();
        assert_eq!(counters.count(b"x", &[window(0, 5, 1)], 5), Verdict::Admitted([0; 6]));
        assert_eq!(counters.count(b"x", &[window(0, 6, 1)], 6), Verdict::Admitted([0; 6]));
        assert_eq!(
            counters.count(b"x", &[window(0, 5, 1)], 5),
            Verdict::Refused([1, 0, 0, 0, 0, 0])
        );
    }

    #[test]
    fn memory_is_bounded_and_the_long_unseen_go_first() {
        let counters = Counters::default();
        let windows = [window(5, 0, 10)];
        counters.count(b"keeper", &windows, 4_000_000);
        for i in 0..400_000_u32 {
            counters.count(&i.to_le_bytes(), &windows, u64::from(i / 1000));
        }
        assert!(counters.len() <= SHARDS * SHARD_CAPACITY);
        assert_eq!(
            counters.count(b"keeper", &windows, 4_000_001),
            Verdict::Admitted([1, 0, 0, 0, 0, 0])
        );
    }
}
