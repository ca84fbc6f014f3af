//! The in-memory store: DB-less mode and tests.

use std::sync::Arc;
use std::time::Duration;

use kong_schema::Schema;
use uuid::Uuid;

use crate::{
    Batch, BoxFuture, Change, CounterKey, Datastore, EventCursor, EventPage, Key, Page, PageQuery, Row, StoreError,
    StoreInfo, StoreResult, TagPage, TagQuery, WorkspaceId, Write,
};

/// Id of the workspace `default` of a node without a database (entities.md §4.15).
const DEFAULT_WORKSPACE: Uuid = Uuid::from_u128(0x0dc6_f45b_8f8d_40d2_a504_4735_44ee_190b);

/// A datastore that lives and dies with the process.
#[derive(Debug, Default)]
pub struct MemoryStore {}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces everything by the result of these writes, atomically (a declarative document was loaded).
    pub fn replace(&self, _writes: Vec<Write>) -> StoreResult<Vec<Change>> {
        Err(missing())
    }
}

fn missing() -> StoreError {
    StoreError::Unavailable("in the making".into())
}

impl Datastore for MemoryStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            kind: "off",
            location: "memory".into(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    fn prepare<'a>(&'a self, _schemas: &'a [Arc<Schema>]) -> BoxFuture<'a, StoreResult<()>> {
        Box::pin(async { Err(missing()) })
    }

    fn default_workspace(&self) -> WorkspaceId {
        DEFAULT_WORKSPACE
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
