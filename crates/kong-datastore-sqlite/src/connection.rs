//! Opening the file.

use std::path::Path;
use std::time::{Duration, Instant};

use kong_datastore::{StoreError, StoreResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::SqliteOptions;
use crate::error::explain;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
}

/// Creates the file, readable by its owner only: it holds credentials. SQLite gives its side files the same mode.
pub(crate) fn create(path: &Path) -> StoreResult<()> {
    let unusable =
        |reason: String| StoreError::Unavailable(format!("cannot use {} as a database: {reason}", path.display()));
    if path.is_dir() {
        return Err(unusable("it is a directory, the path of a file is needed".into()));
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.is_dir()) {
        return Err(unusable(format!("the directory {} does not exist", parent.display())));
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|e| unusable(e.to_string()))
}

/// A connection with every setting that the store's promises rest on.
pub(crate) fn open(path: &Path, options: &SqliteOptions, role: Role) -> StoreResult<Connection> {
    let begun = Instant::now();
    loop {
        match try_open(path, options, role) {
            Ok((connection, mode)) if mode.eq_ignore_ascii_case("wal") => return Ok(connection),
            Ok((_, mode)) => {
                return Err(StoreError::Unavailable(format!(
                    "{} cannot be used in WAL mode (it answers {mode}): put it on a local file system",
                    path.display()
                )));
            }
            // Processes that start together on a new file: SQLite does not wait for the change to WAL by itself.
            Err(e) if is_busy(&e) && begun.elapsed() < options.busy_timeout => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(e) => return Err(explain(e, path)),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn try_open(path: &Path, options: &SqliteOptions, role: Role) -> rusqlite::Result<(Connection, String)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    // FULL: the log is synced before a commit is answered; NORMAL would lose acknowledged writes at a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    let cache_kib = if role == Role::Writer { 32 << 10 } else { 8 << 10 };
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    if role == Role::Reader {
        connection.pragma_update(None, "query_only", "ON")?;
    }
    connection.set_prepared_statement_cache_capacity(256);
    Ok((connection, mode))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn every_connection_is_durable_and_checks_foreign_keys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.sqlite");
        create(&path).unwrap();
        for role in [Role::Writer, Role::Reader] {
            let connection = open(&path, &SqliteOptions::default(), role).unwrap();
            let pragma = |name: &str| {
                connection
                    .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                    .unwrap()
            };
            assert_eq!(pragma("synchronous"), 2, "FULL");
            assert_eq!(pragma("foreign_keys"), 1);
            assert_eq!(pragma("query_only"), i64::from(role == Role::Reader));
            let mode: String = connection
                .pragma_query_value(None, "journal_mode", |row| row.get(0))
                .unwrap();
            assert_eq!(mode, "wal");
        }
    }
}
