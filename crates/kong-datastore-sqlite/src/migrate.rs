//! Numbered migrations, and tables that are generated from schemas.
//!
//! Core tables come from the files in `migrations/sqlite`, which are readable without Rust; a test compares them with
//! the schemas. Tables of plugin entities without files are generated, and grow when their schema grows. An
//! embedded store migrates itself when it is opened, under SQLite's write lock, so that processes that start together do
//! not get in each other's way.

use std::collections::HashMap;
use std::path::Path;

use kong_datastore::{StoreError, StoreResult, unix_now};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::error::explain;
use crate::layout::quote;

/// A numbered migration: `up` is compatible with the version before, `finish` is not.
struct Migration {
    name: &'static str,
    up: &'static str,
    finish: Option<&'static str>,
}

const SUBSYSTEM: &str = "core";

const MIGRATIONS: &[Migration] = &[Migration {
    name: "0001_base",
    up: include_str!("../../../migrations/sqlite/0001_base.up.sql"),
    finish: None,
}];

/// Where a database stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationStatus {
    /// The file holds no schema yet.
    pub needs_bootstrap: bool,
    /// Done.
    pub executed: Vec<String>,
    /// Done but for their second half.
    pub pending: Vec<String>,
    /// Not done.
    pub new: Vec<String>,
    /// Done by a newer version of the gateway.
    pub missing: Vec<String>,
}

/// What `schema_meta` says.
pub(crate) fn status(connection: &Connection) -> rusqlite::Result<MigrationStatus> {
    let known = || MIGRATIONS.iter().map(|m| m.name.to_owned());
    let exists = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_meta'";
    if connection.query_row(exists, [], |_| Ok(())).optional()?.is_none() {
        return Ok(MigrationStatus {
            needs_bootstrap: true,
            new: known().collect(),
            ..MigrationStatus::default()
        });
    }
    let list =
        |text: Option<String>| -> Vec<String> { text.and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default() };
    let row = connection
        .query_row(
            "SELECT executed, pending FROM schema_meta WHERE key = 'schema_meta' AND subsystem = ?1",
            [SUBSYSTEM],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (executed, pending) = row.map(|(e, p)| (list(e), list(p))).unwrap_or_default();
    let has = |name: &String| executed.contains(name) || pending.contains(name);
    Ok(MigrationStatus {
        needs_bootstrap: executed.is_empty() && pending.is_empty(),
        new: known().filter(|m| !has(m)).collect(),
        missing: executed
            .iter()
            .filter(|m| !known().any(|k| k == **m))
            .cloned()
            .collect(),
        executed,
        pending,
    })
}

/// Brings the core tables up to date, all steps or none, and makes sure of the workspace `default`. Returns the names
/// of the migrations that were run.
pub(crate) fn migrate(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let before = status(connection)?;
    if before.new.is_empty() && before.pending.is_empty() {
        return Ok(Vec::new());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let result = run(connection);
    match &result {
        Ok(_) => connection.execute_batch("COMMIT")?,
        Err(_) => connection.execute_batch("ROLLBACK")?,
    }
    result
}

fn run(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    // Under the write lock now: another process may have been faster.
    let state = status(connection)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_meta (key TEXT NOT NULL, subsystem TEXT NOT NULL, last_executed TEXT, \
         executed TEXT, pending TEXT, PRIMARY KEY (key, subsystem)) WITHOUT ROWID",
    )?;
    let (mut executed, mut ran) = (state.executed, Vec::new());
    for migration in MIGRATIONS {
        let (is_new, is_pending) = (
            state.new.iter().any(|n| n == migration.name),
            state.pending.iter().any(|n| n == migration.name),
        );
        if is_new {
            connection.execute_batch(migration.up)?;
        }
        if is_new || is_pending {
            if let Some(finish) = migration.finish {
                connection.execute_batch(finish)?;
            }
            executed.push(migration.name.to_owned());
            ran.push(migration.name.to_owned());
        }
    }
    connection.execute(
        "INSERT OR REPLACE INTO schema_meta (key, subsystem, last_executed, executed, pending) \
         VALUES ('schema_meta', ?1, ?2, ?3, '[]')",
        params![
            SUBSYSTEM,
            executed.last(),
            serde_json::to_string(&executed).unwrap_or_default()
        ],
    )?;
    connection.execute(
        "INSERT INTO workspaces (id, name, created_at, updated_at) SELECT ?1, 'default', ?2, ?2 \
         WHERE NOT EXISTS (SELECT 1 FROM workspaces WHERE name = 'default')",
        params![Uuid::new_v4().to_string(), unix_now() as i64],
    )?;
    Ok(ran)
}

/// Columns of a table: name → declared type. Empty when there is no such table.
pub(crate) fn columns(connection: &Connection, table: &str) -> rusqlite::Result<HashMap<String, String>> {
    let mut statement = connection.prepare("SELECT name, type FROM pragma_table_info(?1)")?;
    let columns = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
    columns.collect()
}

/// Generates the tables that no migration made, and lets tables that were generated earlier grow.
pub(crate) fn generate(connection: &Connection, catalog: &Catalog, path: &Path) -> StoreResult<()> {
    let sql = |e: rusqlite::Error| explain(e, path);
    for layout in catalog.layouts() {
        let table = layout.schema.table();
        let found = columns(connection, table).map_err(sql)?;
        if found.is_empty() {
            tracing::debug!(table, "table generated");
            connection.execute_batch(&layout.create_table()).map_err(sql)?;
        } else {
            let migrated = MIGRATIONS
                .iter()
                .any(|m| m.up.contains(&format!("CREATE TABLE {table} (")));
            for column in layout.columns.iter().filter(|c| !found.contains_key(&c.name)) {
                if migrated {
                    return Err(StoreError::NeedsMigration(format!(
                        "table {table} in {} has no column {}: run `kong migrations up`",
                        path.display(),
                        column.name
                    )));
                }
                tracing::info!(table, column = column.name, "column added");
                let add = format!("ALTER TABLE {} ADD COLUMN {}", quote(table), column.definition());
                connection.execute_batch(&add).map_err(sql)?;
            }
        }
        for index in layout.create_indices() {
            connection.execute_batch(&index).map_err(sql)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "migrate_tests.rs"]
mod tests;
