//! Weighted round-robin (upstream.md §11).
//!
//! The original shuffles its wheel; ours spreads the turns of each address evenly over it, which keeps the shares exact
//! over every stretch and bursts on one address out. Each worker has a pointer of its own with a start of its own, so
//! that workers neither share a cache line nor march in step.

use std::sync::atomic::{AtomicU32, Ordering};

/// Most slots; greater sums of weights are scaled down.
const MAX_SLOTS: u64 = 65_536;
/// Pointers; workers beyond share them.
const POINTERS: usize = 32;

#[derive(Debug)]
pub(crate) struct Wheel {
    slots: Vec<u32>,
    pointers: Box<[Pointer]>,
}

/// Alone on its cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Pointer(AtomicU32);

impl Wheel {
    /// A wheel over peers with these weights.
    pub(crate) fn new(weights: &[u32]) -> Self {
        let slots = slots(weights);
        let start = |_| Pointer(AtomicU32::new(fastrand::u32(..)));
        Wheel {
            pointers: (0..POINTERS).map(start).collect(),
            slots,
        }
    }

    /// The next peer in turn that passes.
    pub(crate) fn next(&self, worker: usize, mut passes: impl FnMut(usize) -> bool) -> Option<usize> {
        let pointer = &self.pointers.get(worker % POINTERS)?.0;
        let len = self.slots.len();
        for _ in 0..len {
            let turn = pointer.fetch_add(1, Ordering::Relaxed) as usize;
            let peer = self.slots.get(turn % len).copied()? as usize;
            if passes(peer) {
                return Some(peer);
            }
        }
        None
    }
}

/// The order of turns: turn k of weight w is due at (k + ½)/w.
fn slots(weights: &[u32]) -> Vec<u32> {
    let divisor = weights.iter().copied().filter(|w| *w > 0).fold(0, gcd).max(1);
    let total: u64 = weights.iter().map(|w| u64::from(w / divisor)).sum();
    let turns = |weight: u32| -> u64 {
        let weight = u64::from(weight / divisor);
        match total > MAX_SLOTS {
            true if weight > 0 => (weight * MAX_SLOTS / total).max(1),
            _ => weight,
        }
    };
    let mut due: Vec<(f64, u32)> = Vec::new();
    for (peer, weight) in (0_u32..).zip(weights) {
        let turns = turns(*weight);
        due.extend((0..turns).map(|turn| ((turn as f64 + 0.5) / turns as f64, peer)));
    }
    due.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    due.into_iter().map(|(_, peer)| peer).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    match b {
        0 => a,
        b => gcd(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_spread_evenly() {
        let rows: [(&[u32], &[u32]); 6] = [
            (&[], &[]),
            (&[0, 0], &[]),
            (&[100], &[0]),
            (&[100, 100], &[0, 1]),
            (&[100, 0, 50], &[0, 2, 0]),
            (&[5, 1, 1], &[0, 0, 0, 1, 2, 0, 0]),
        ];
        for (weights, expected) in rows {
            assert_eq!(slots(weights), expected, "{weights:?}");
        }
    }

    #[test]
    fn shares_are_exact_over_any_weights() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let weights: Vec<u32> = (0..random.usize(1..12)).map(|_| random.u32(0..300)).collect();
            let divisor = weights.iter().copied().fold(0, gcd).max(1);
            let wheel = Wheel::new(&weights);
            let total: u32 = weights.iter().map(|w| w / divisor).sum();
            let mut counts = vec![0; weights.len()];
            for _ in 0..total * 3 {
                counts[wheel.next(3, |_| true).unwrap_or_default()] += 1;
            }
            let expected: Vec<u32> = weights.iter().map(|w| w / divisor * 3).collect();
            assert_eq!(counts, expected);
        }
    }

    #[test]
    fn huge_weights_make_no_huge_wheel() {
        let weights: Vec<u32> = (0..1000).map(|n| 65_535 - n % 7).chain([1]).collect();
        let slots = slots(&weights);
        assert!(slots.len() < 70_000);
        assert!(slots.contains(&1000), "the smallest weight has a turn");
    }

    #[test]
    fn who_does_not_pass_is_skipped() {
        let wheel = Wheel::new(&[1, 1, 1]);
        for _ in 0..10 {
            assert_eq!(wheel.next(0, |peer| peer == 1), Some(1));
        }
        assert_eq!(wheel.next(0, |_| false), None);
    }
}
