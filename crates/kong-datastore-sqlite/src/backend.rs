//! The store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kong_datastore::{
    Batch, BoxFuture, Change, CounterKey, Datastore, EventCursor, EventPage, Key, Page, PageQuery, Row, StoreError,
    StoreInfo, StoreResult, TagPage, TagQuery, WorkspaceId,
};
use kong_schema::Schema;
use uuid::Uuid;

use crate::SqliteOptions;

/// A datastore in one SQLite file.
pub struct SqliteStore {}

impl SqliteStore {
    /// Opens or creates the file and brings its core tables up to date.
    pub fn open(path: &Path) -> StoreResult<Self> {
        Self::open_with(path, SqliteOptions::default())
    }

    /// [`SqliteStore::open`] with options.
    pub fn open_with(_path: &Path, _options: SqliteOptions) -> StoreResult<Self> {
        Err(missing())
    }
}

fn missing() -> StoreError {
    StoreError::Unavailable("in the making".into())
}

impl Datastore for SqliteStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            kind: "sqlite",
            location: String::new(),
            version: String::new(),
        }
    }
    fn prepare<'a>(&'a self, _schemas: &'a [Arc<Schema>]) -> BoxFuture<'a, StoreResult<()>> {
        Box::pin(async { Err(missing()) })
    }
    fn default_workspace(&self) -> WorkspaceId {
        Uuid::nil()
    }
    fn select<'a>(&'a self, _: &'a Arc<Schema>, _: WorkspaceId, _: &'a Key) -> BoxFuture<'a, StoreResult<Option<Row>>> {
        Box::pin(async { Err(missing()) })
    }
    fn page<'a>(&'a self, _: &'a PageQuery) -> BoxFuture<'a, StoreResult<Page>> {
        Box::pin(async { Err(missing()) })
    }
    fn tags<'a>(&'a self, _: &'a TagQuery) -> BoxFuture<'a, StoreResult<TagPage>> {
        Box::pin(async { Err(missing()) })
    }
    fn write<'a>(&'a self, _: Batch) -> BoxFuture<'a, StoreResult<Vec<Change>>> {
        Box::pin(async { Err(missing()) })
    }
    fn add<'a>(&'a self, _: &'a [(CounterKey, i64)], _: Duration) -> BoxFuture<'a, StoreResult<Vec<i64>>> {
        Box::pin(async { Err(missing()) })
    }
    fn counter<'a>(&'a self, _: &'a CounterKey) -> BoxFuture<'a, StoreResult<i64>> {
        Box::pin(async { Err(missing()) })
    }
    fn events_since<'a>(&'a self, _: Uuid, _: EventCursor) -> BoxFuture<'a, StoreResult<EventPage>> {
        Box::pin(async { Err(missing()) })
    }
    fn purge_expired(&self) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(async { Err(missing()) })
    }
    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async { Err(missing()) })
    }
}
