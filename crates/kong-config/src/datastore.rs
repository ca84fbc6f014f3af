//! Which datastore holds the configuration, and why.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::checks::Reader;
use crate::errors::ConfigError;
use crate::table::properties;
use crate::values::Values;

/// The chosen datastore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Which one.
    pub kind: DatabaseKind,
    /// Why, for people: `database is set to off`.
    pub reason: String,
    /// The SQLite file.
    pub sqlite_path: PathBuf,
}

/// A kind of datastore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DatabaseKind {
    Sqlite,
    Postgres,
    Cassandra,
    /// DB-less: the configuration is a declarative document in memory.
    Off,
}

impl DatabaseKind {
    /// As `database` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Cassandra => "cassandra",
            Self::Off => "off",
        }
    }
}

impl Database {
    pub(crate) fn read(reader: &mut Reader<'_>, prefix: &Path) -> Self {
        let values = reader.values;
        let (kind, reason) = choose(values);
        if matches!(kind, DatabaseKind::Postgres | DatabaseKind::Cassandra) {
            let reason = format!(
                "{reason}; this store is not built yet. Set database = sqlite (a file under the prefix) or \
                 database = off"
            );
            reader.errors.push(ConfigError::Refused {
                property: "database".into(),
                value: kind.name().into(),
                reason,
            });
        }
        for name in ["declarative_config", "declarative_config_string"] {
            if kind != DatabaseKind::Off && values.is_set(name) {
                reader
                    .warnings
                    .push(format!("{name} has no effect: it is read with database = off only"));
            }
        }
        check_postgres(reader);
        check_cassandra(reader);
        let sqlite_path = prefix.join(values.text("sqlite_path").unwrap_or("kong.sqlite"));
        Self {
            kind,
            reason,
            sqlite_path,
        }
    }
}

/// An unset `database` follows from what else is set: whoever sets `pg_host` means Postgres.
fn choose(values: &Values) -> (DatabaseKind, String) {
    if let Some(text) = values.text("database") {
        let kind = match text {
            "off" => DatabaseKind::Off,
            "postgres" => DatabaseKind::Postgres,
            "cassandra" => DatabaseKind::Cassandra,
            _ => DatabaseKind::Sqlite,
        };
        return (kind, format!("database is set to {text}"));
    }
    let set = |prefix: &str| {
        let names = properties()
            .map(|property| property.name)
            .filter(|name| name.starts_with(prefix));
        names.filter(|name| values.is_set(name)).collect::<Vec<_>>().join(", ")
    };
    for (prefix, kind) in [("pg_", DatabaseKind::Postgres), ("cassandra_", DatabaseKind::Cassandra)] {
        let names = set(prefix);
        if !names.is_empty() {
            let verb = if names.contains(',') { "are" } else { "is" };
            return (kind, format!("database is not set and {names} {verb}"));
        }
    }
    (
        DatabaseKind::Sqlite,
        "neither database nor any pg_* or cassandra_* property is set".into(),
    )
}

fn check_postgres(reader: &mut Reader<'_>) {
    const NAMES: [&str; 5] = [
        "max_concurrent_queries",
        "semaphore_timeout",
        "keepalive_timeout",
        "pool_size",
        "backlog",
    ];
    for prefix in ["pg_", "pg_ro_"] {
        for suffix in NAMES {
            let name = format!("{prefix}{suffix}");
            // The messages say "greater than 0" and yet 0 passes, as in the original.
            match reader.values.number(&name) {
                Some(number) if number < 0.0 => reader.invalid(format!("{name} must be greater than 0")),
                Some(number) if number.fract() != 0.0 => {
                    reader.invalid(format!("{name} must be an integer greater than 0"));
                }
                _ => {}
            }
        }
    }
}

fn check_cassandra(reader: &mut Reader<'_>) {
    let values = reader.values;
    let policy = values.text("cassandra_lb_policy").unwrap_or_default();
    if policy.contains("DCAware") && values.text("cassandra_local_datacenter").is_none() {
        reader.invalid(format!(
            "must specify 'cassandra_local_datacenter' when {policy} policy is in use"
        ));
    }
}

/// The `db_*` properties and the sizes of caches.
#[derive(Debug, Clone)]
pub struct Cache {
    /// How often changes made by other nodes are looked for.
    pub update_frequency: Duration,
    /// How long a change is held back.
    pub update_propagation: Duration,
    /// How long an entity stays cached; zero: until it changes.
    pub ttl: Duration,
    /// The same for the fact that there is none.
    pub negative_ttl: Duration,
    /// How long an expired entity is used while the store fails.
    pub resurrect_ttl: Duration,
    /// Bytes for cached entities.
    pub memory: u64,
}

impl Cache {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let ttl = reader.seconds("db_cache_ttl").unwrap_or_default();
        Self {
            // 0 would make the look-out a busy loop.
            update_frequency: reader
                .seconds("db_update_frequency")
                .unwrap_or(Duration::from_secs(5))
                .max(Duration::from_millis(10)),
            update_propagation: reader.seconds("db_update_propagation").unwrap_or_default(),
            ttl,
            negative_ttl: reader.seconds("db_cache_neg_ttl").unwrap_or(ttl),
            resurrect_ttl: reader.seconds("db_resurrect_ttl").unwrap_or(Duration::from_secs(30)),
            memory: reader.size("mem_cache_size").unwrap_or(128 << 20),
        }
    }
}
