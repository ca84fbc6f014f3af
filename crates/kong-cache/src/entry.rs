//! What is kept under a key, and how long it is good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kong_datastore::unix_now;
use serde_json::Value;

use crate::Cached;
use crate::cache::CachedList;

/// A loaded value.
#[derive(Debug, Clone)]
pub(crate) enum Loaded {
    /// There is no such row.
    Absent,
    /// The row.
    Row(Arc<Cached>),
    /// Rows below a parent.
    List(CachedList),
}

impl Loaded {
    /// Whether it belongs among the known absences.
    pub(crate) fn is_negative(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Row(_) => false,
            Self::List(rows) => rows.is_empty(),
        }
    }

    /// When the first of its rows expires, Unix seconds.
    fn row_expiry(&self) -> Option<f64> {
        match self {
            Self::Absent => None,
            Self::Row(row) => row.row_expiry(),
            Self::List(rows) => rows.iter().filter_map(|r| r.row_expiry()).reduce(f64::min),
        }
    }

    pub(crate) fn row(&self) -> Option<Arc<Cached>> {
        match self {
            Self::Row(row) => Some(row.clone()),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> CachedList {
        match self {
            Self::List(rows) => rows.clone(),
            Self::Row(row) => Arc::from([row.clone()]),
            Self::Absent => Arc::from([]),
        }
    }

    /// Bytes that it holds, by estimate.
    fn weight(&self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Row(row) => row_weight(row),
            Self::List(rows) => rows.iter().map(|r| row_weight(r)).sum(),
        }
    }
}

fn row_weight(row: &Cached) -> usize {
    // The decoded form is about as large as the row.
    2 * row
        .row()
        .iter()
        .map(|(name, value)| 64 + name.len() + value_weight(value))
        .sum::<usize>()
}

fn value_weight(value: &Value) -> usize {
    match value {
        Value::String(text) => 24 + text.len(),
        Value::Array(items) => 24 + items.iter().map(|v| 32 + value_weight(v)).sum::<usize>(),
        Value::Object(members) => {
            24 + members
                .iter()
                .map(|(k, v)| 64 + k.len() + value_weight(v))
                .sum::<usize>()
        }
        _ => 8,
    }
}

/// A value in the shared cache.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) value: Loaded,
    /// Purges before it was loaded; outlived by the next.
    pub(crate) epoch: u64,
    pub(crate) weight: u32,
    row_expiry: Option<f64>,
    /// Milliseconds after `born` until which the value is fresh; 0: always.
    fresh_for: AtomicU64,
    born: Instant,
}

impl Entry {
    pub(crate) fn new(value: Loaded, key: &str, epoch: u64, ttl: Duration) -> Self {
        Self {
            weight: u32::try_from(256 + key.len() + value.weight()).unwrap_or(u32::MAX),
            row_expiry: value.row_expiry(),
            value,
            epoch,
            fresh_for: AtomicU64::new(if ttl.is_zero() { 0 } else { millis(ttl).max(1) }),
            born: Instant::now(),
        }
    }

    /// Good to be served without asking the store.
    #[inline]
    pub(crate) fn is_fresh(&self) -> bool {
        let fresh_for = self.fresh_for.load(Ordering::Relaxed);
        (fresh_for == 0 || millis(self.born.elapsed()) < fresh_for) && self.row_lives()
    }

    /// Its rows have not expired, so that it may be served when the store fails.
    #[inline]
    pub(crate) fn row_lives(&self) -> bool {
        self.row_expiry.is_none_or(|expiry| expiry > unix_now())
    }

    /// Serve it again for this long: the store failed to give a newer one.
    pub(crate) fn resurrect(&self, ttl: Duration) {
        self.fresh_for
            .store(millis(self.born.elapsed() + ttl).max(1), Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
