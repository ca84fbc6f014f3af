//! Options of the store.

use std::time::Duration;

/// How a [`SqliteStore`](crate::SqliteStore) behaves.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Reader threads, each with a connection of its own.
    pub readers: usize,
    /// How long to wait for another process that writes.
    pub busy_timeout: Duration,
    /// How often to look whether another process has written.
    pub watch_interval: Duration,
    /// Bring the core tables up to date when opening; otherwise an old file is refused.
    pub migrate: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 2,
            busy_timeout: Duration::from_secs(5),
            watch_interval: Duration::from_millis(100),
            migrate: true,
        }
    }
}
