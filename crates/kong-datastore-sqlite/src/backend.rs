//! The store.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use kong_datastore::{
    Batch, BoxFuture, Change, CounterKey, Datastore, EventCursor, EventPage, Key, Page, PageQuery, Row, StoreError,
    StoreInfo, StoreResult, TagPage, TagQuery, WorkspaceId, apply, events_for, unix_now,
};
use kong_schema::Schema;
use rusqlite::{Connection, params_from_iter};
use tokio::sync::watch;
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::connection::{self, Role};
use crate::error::explain;
use crate::layout::Layout;
use crate::migrate::{self, MigrationStatus};
use crate::read::{self, ReadError};
use crate::readers::Readers;
use crate::tables::SqlTables;
use crate::values::row_from_sql;
use crate::writer::Writer;
use crate::{SqliteOptions, cluster};

/// Rows that one call of `purge_expired` removes at most, and how many in one transaction.
const PURGE_LIMIT: u64 = 50_000;
const PURGE_CHUNK: usize = 1_000;

/// A datastore in one SQLite file.
///
/// ```no_run
/// # async fn example() -> kong_datastore::StoreResult<()> {
/// use kong_datastore::Datastore;
///
/// let store = kong_datastore_sqlite::SqliteStore::open("/var/lib/gateway/store.sqlite".as_ref())?;
/// store.ping().await?;
/// println!("{} is the workspace of everything", store.default_workspace());
/// # Ok(())
/// # }
/// ```
pub struct SqliteStore {
    path: Arc<Path>,
    workspace: WorkspaceId,
    catalog: RwLock<Arc<Catalog>>,
    ticks: watch::Sender<u64>,
    // Dropped in this order: the writer is the last to close the file, and checkpoints it.
    readers: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens or creates the file and brings its core tables up to date. Blocks for as long as that takes.
    pub fn open(path: &Path) -> StoreResult<Self> {
        Self::open_with(path, SqliteOptions::default())
    }

    /// [`SqliteStore::open`] with options.
    pub fn open_with(path: &Path, options: SqliteOptions) -> StoreResult<Self> {
        connection::create(path)?;
        let path: PathBuf = path.into();
        let sql = |e: rusqlite::Error| explain(e, &path);
        let writer = connection::open(&path, &options, Role::Writer)?;
        let state = migrate::status(&writer).map_err(sql)?;
        if !state.missing.is_empty() {
            tracing::warn!(path = %path.display(), migrations = ?state.missing, "written by a newer version");
        }
        if options.migrate {
            let ran = migrate::migrate(&writer).map_err(sql)?;
            if !ran.is_empty() {
                tracing::info!(path = %path.display(), migrations = ?ran, "database migrated");
            }
        } else if !state.new.is_empty() || !state.pending.is_empty() {
            let path = path.display();
            return Err(StoreError::NeedsMigration(format!(
                "{path} is not up to date: run `kong migrations up`"
            )));
        }
        let workspace: String = writer
            .query_row("SELECT id FROM workspaces WHERE name = 'default'", [], |row| row.get(0))
            .map_err(sql)?;
        let workspace = Uuid::parse_str(&workspace)
            .map_err(|_| StoreError::Internal(format!("workspace id {workspace:?} is not a UUID")))?;
        let readers: StoreResult<Vec<Connection>> = (0..options.readers.max(1))
            .map(|_| connection::open(&path, &options, Role::Reader))
            .collect();
        let readers = Readers::start(readers?)?;
        let ticks = watch::Sender::new(0);
        let writer = Writer::start(writer, path.clone(), ticks.clone(), options.watch_interval)?;
        Ok(Self {
            path: path.into(),
            workspace,
            catalog: RwLock::default(),
            ticks,
            readers,
            writer,
        })
    }

    /// Where the file stands among the migrations.
    pub async fn migration_status(&self) -> StoreResult<MigrationStatus> {
        let path = self.path.clone();
        self.readers
            .run(move |c| migrate::status(c).map_err(|e| explain(e, &path)))
            .await
    }

    fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Catalog) -> Result<T, ReadError> + Send + 'static,
    ) -> StoreResult<T> {
        let (path, catalog) = (self.path.clone(), self.catalog());
        self.readers
            .run(move |connection| {
                work(connection, &catalog).map_err(|e| match e {
                    ReadError::Sql(e) => explain(e, &path),
                    ReadError::Store(e) => e,
                })
            })
            .await
    }

    async fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqlTables<'_>) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (path, catalog) = (self.path.clone(), self.catalog());
        self.writer
            .run(move |connection| {
                work(&mut SqlTables {
                    connection,
                    catalog: &catalog,
                    path: &path,
                })
            })
            .await
    }

    async fn purge(&self) -> StoreResult<u64> {
        let mut removed = 0;
        for layout in self
            .catalog()
            .layouts()
            .filter(|l| l.schema.storage.ttl)
            .cloned()
            .collect::<Vec<_>>()
        {
            while removed < PURGE_LIMIT {
                let layout = layout.clone();
                let n = self.change(move |tables| purge_rows(tables, &layout)).await?;
                removed += n as u64;
                if n < PURGE_CHUNK {
                    break;
                }
            }
        }
        let path = self.path.clone();
        let limit = PURGE_CHUNK * 10;
        let others = self
            .writer
            .run(move |c| cluster::purge(c, limit).map_err(|e| explain(e, &path)))
            .await?;
        Ok(removed + others)
    }
}

/// Removes expired rows of one entity; returns how many it looked at.
fn purge_rows(tables: &mut SqlTables<'_>, layout: &Layout) -> StoreResult<usize> {
    let now = unix_now();
    let sql = format!(
        "SELECT {} FROM {} t WHERE t.\"ttl\" <= ?1 LIMIT {PURGE_CHUNK}",
        layout.selection, layout.table
    );
    let find = |connection: &Connection| -> rusqlite::Result<Vec<Row>> {
        let mut statement = connection.prepare_cached(&sql)?;
        statement
            .query_map(params_from_iter([now]), |row| row_from_sql(layout, row))?
            .collect()
    };
    let rows = find(tables.connection).map_err(|e| explain(e, tables.path))?;
    for row in &rows {
        match apply::purge(tables, &layout.schema, row, now) {
            // A row that something restricting hangs on stays, invisible.
            Ok(()) | Err(StoreError::Restricted { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(rows.len())
}

fn write_batch(tables: &mut SqlTables<'_>, batch: Batch) -> StoreResult<Vec<Change>> {
    let changes = apply::apply(tables, batch.writes, unix_now())?;
    let mut events: Vec<_> = changes
        .iter()
        .flat_map(|change| events_for(change, batch.node_id))
        .collect();
    events.extend(batch.events);
    cluster::record(tables.connection, batch.node_id, &events).map_err(|e| explain(e, tables.path))?;
    Ok(changes)
}

impl Datastore for SqliteStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            kind: "sqlite",
            location: self.path.display().to_string(),
            version: rusqlite::version().to_owned(),
        }
    }

    fn prepare<'a>(&'a self, schemas: &'a [Arc<Schema>]) -> BoxFuture<'a, StoreResult<()>> {
        Box::pin(async move {
            let catalog = Arc::new(self.catalog().with(schemas)?);
            let (path, generated) = (self.path.clone(), catalog.clone());
            self.writer
                .run(move |connection| migrate::generate(connection, &generated, &path))
                .await?;
            *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog;
            Ok(())
        })
    }

    fn default_workspace(&self) -> WorkspaceId {
        self.workspace
    }

    fn select<'a>(
        &'a self,
        schema: &'a Arc<Schema>,
        ws: WorkspaceId,
        key: &'a Key,
    ) -> BoxFuture<'a, StoreResult<Option<Row>>> {
        let (schema, key) = (schema.clone(), key.clone());
        Box::pin(self.read(move |connection, catalog| read::select(connection, catalog.layout(&schema)?, ws, &key)))
    }

    fn page<'a>(&'a self, query: &'a PageQuery) -> BoxFuture<'a, StoreResult<Page>> {
        let query = query.clone();
        Box::pin(self.read(move |connection, catalog| read::page(connection, catalog.layout(&query.schema)?, &query)))
    }

    fn tags<'a>(&'a self, query: &'a TagQuery) -> BoxFuture<'a, StoreResult<TagPage>> {
        let query = query.clone();
        Box::pin(self.read(move |connection, _| read::tags(connection, &query)))
    }

    fn write<'a>(&'a self, batch: Batch) -> BoxFuture<'a, StoreResult<Vec<Change>>> {
        Box::pin(self.change(move |tables| write_batch(tables, batch)))
    }

    fn add<'a>(
        &'a self,
        counters: &'a [(CounterKey, i64)],
        expires_in: Duration,
    ) -> BoxFuture<'a, StoreResult<Vec<i64>>> {
        let counters = counters.to_vec();
        Box::pin(self.change(move |tables| {
            cluster::add(tables.connection, &counters, expires_in).map_err(|e| explain(e, tables.path))
        }))
    }

    fn counter<'a>(&'a self, key: &'a CounterKey) -> BoxFuture<'a, StoreResult<i64>> {
        let key = key.clone();
        Box::pin(self.read(move |connection, _| Ok(cluster::counter(connection, &key)?)))
    }

    fn events_since<'a>(&'a self, node_id: Uuid, cursor: EventCursor) -> BoxFuture<'a, StoreResult<EventPage>> {
        Box::pin(self.read(move |connection, _| Ok(cluster::events_since(connection, node_id, cursor)?)))
    }

    fn watch(&self) -> Option<watch::Receiver<u64>> {
        Some(self.ticks.subscribe())
    }

    fn purge_expired(&self) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(self.purge())
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(self.read(|connection, _| {
            connection
                .prepare_cached("SELECT 1 FROM schema_meta LIMIT 1")?
                .query_row([], |_| Ok(()))?;
            Ok(())
        }))
    }
}
