//! Peak-sensitive moving average of an address's latency (upstream.md §11).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// After this many seconds an old value weighs 1/e.
const DECAY: f32 = 10.0;

/// A moving average in seconds and when it was last touched, in one word.
#[derive(Debug, Default)]
pub(crate) struct Ewma(AtomicU64);

/// Milliseconds on a clock of this process that never shows 0.
fn millis(now: Instant) -> u32 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(|| now);
    // It wraps after 49 days, and a wrapped difference is still right.
    (now.saturating_duration_since(start).as_millis() as u32).max(1)
}

fn pack(ewma: f32, touched: u32) -> u64 {
    u64::from(ewma.to_bits()) << 32 | u64::from(touched)
}

fn unpack(word: u64) -> (f32, u32) {
    (f32::from_bits((word >> 32) as u32), word as u32)
}

fn decay(touched: u32, now: u32) -> f32 {
    match touched {
        0 => 0.0,
        // Another worker may have touched it a moment after this one read its clock: never before 0.
        touched => (-((now.wrapping_sub(touched) as i32).max(0) as f32 / 1000.0) / DECAY).exp(),
    }
}

impl Ewma {
    /// Whether anything was recorded.
    pub(crate) fn is_new(&self) -> bool {
        unpack(self.0.load(Ordering::Relaxed)).1 == 0
    }

    /// The value as it has decayed until now, in seconds.
    pub(crate) fn value(&self, now: Instant) -> f32 {
        let (ewma, touched) = unpack(self.0.load(Ordering::Relaxed));
        ewma * decay(touched, millis(now))
    }

    /// What a new address begins with.
    pub(crate) fn begin_with(&self, now: Instant, seconds: f32) {
        let _ = self
            .0
            .compare_exchange(0, pack(seconds, millis(now)), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Takes a latency into account.
    pub(crate) fn record(&self, now: Instant, seconds: f32) {
        let now = millis(now);
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let (ewma, touched) = unpack(word);
            let weight = decay(touched, now);
            let next = pack(ewma * weight + seconds * (1.0 - weight), now);
            match self
                .0
                .compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(other) => word = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn old_values_fade_and_new_ones_count() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let ewma = Ewma::default();
        assert!(ewma.is_new());
        assert_eq!(ewma.value(start), 0.0);
        ewma.record(start, 1.0);
        assert!(!ewma.is_new());
        assert!((ewma.value(start) - 1.0).abs() < 1e-3);
        assert!((ewma.value(at(10)) - (-1.0_f32).exp()).abs() < 1e-2);
        ewma.record(at(100), 0.5);
        assert!((ewma.value(at(100)) - 0.5).abs() < 1e-2);
        ewma.record(at(110), 2.0);
        let expected = 0.5 * (-1.0_f32).exp() + 2.0 * (1.0 - (-1.0_f32).exp());
        assert!((ewma.value(at(110)) - expected).abs() < 1e-2);
    }
}
