//! Counters of one worker, read by `/status` and metrics. Only the worker writes them, so they are never contended.

use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerStats {
    accepted: AtomicU64,
    active: AtomicU64,
    requests: AtomicU64,
    in_flight: AtomicU64,
}

/// A reading of [`WorkerStats`], or a sum of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections accepted so far.
    pub accepted: u64,
    /// Connections open now.
    pub active: u64,
    /// Requests so far.
    pub requests: u64,
    /// Requests being worked on now.
    pub in_flight: u64,
}

impl WorkerStats {
    pub(crate) fn connection_opened(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connection_closed(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn request_started(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request_finished(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// The values now.
    pub fn read(&self) -> Totals {
        Totals {
            accepted: self.accepted.load(Ordering::Relaxed),
            active: self.active.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            in_flight: self.in_flight.load(Ordering::Relaxed),
        }
    }
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Totals>>(iter: I) -> Totals {
        iter.fold(Totals::default(), |a, b| Totals {
            accepted: a.accepted + b.accepted,
            active: a.active + b.active,
            requests: a.requests + b.requests,
            in_flight: a.in_flight + b.in_flight,
        })
    }
}
