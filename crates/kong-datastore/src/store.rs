//! The trait that every backend implements.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kong_schema::Schema;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    Batch, Change, EventCursor, EventPage, Key, Page, PageQuery, Row, StoreResult, TagPage, TagQuery, WorkspaceId,
};

/// A boxed future of a store operation.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a store says of itself (start-up log, `kong check`, `/status`).
#[derive(Debug, Clone)]
pub struct StoreInfo {
    /// Value of the `database` property: `sqlite`, `postgres`, `cassandra`, `off`.
    pub kind: &'static str,
    /// Where the data is, without secrets, e.g. a file path or `host:port/database`.
    pub location: String,
    /// Version of the engine.
    pub version: String,
}

/// Key of a rate-limiting counter: a row of `ratelimiting_metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CounterKey {
    /// Whose requests are counted.
    pub identifier: String,
    /// `second` … `year`.
    pub period: String,
    /// Start of the window, Unix seconds.
    pub period_date: i64,
    /// Scope: service id or the zero UUID.
    pub service_id: Uuid,
    /// Scope: route id or the zero UUID.
    pub route_id: Uuid,
}

/// A datastore. Generic over schemas: no method knows a particular entity.
pub trait Datastore: Send + Sync + 'static {
    /// What this store is.
    fn info(&self) -> StoreInfo;

    /// Makes the tables of these schemas usable, or says which migration is missing. The embedded stores migrate
    /// themselves; shared ones answer `NeedsMigration`. Plugin entities without migration files get generated tables.
    fn prepare<'a>(&'a self, schemas: &'a [Arc<Schema>]) -> BoxFuture<'a, StoreResult<()>>;

    /// Id of the workspace `default`.
    fn default_workspace(&self) -> WorkspaceId;

    /// One row. Expired rows do not exist.
    fn select<'a>(
        &'a self,
        schema: &'a Arc<Schema>,
        ws: WorkspaceId,
        key: &'a Key,
    ) -> BoxFuture<'a, StoreResult<Option<Row>>>;

    /// A page of rows by ascending primary key. Expired rows do not exist.
    fn page<'a>(&'a self, query: &'a PageQuery) -> BoxFuture<'a, StoreResult<Page>>;

    /// A page of the `tags` view: one row per entity and tag.
    fn tags<'a>(&'a self, query: &'a TagQuery) -> BoxFuture<'a, StoreResult<TagPage>>;

    /// Applies a batch atomically and returns once it is durable. Returns every row change in order, cascaded ones
    /// included (children before the parent).
    fn write<'a>(&'a self, batch: Batch) -> BoxFuture<'a, StoreResult<Vec<Change>>>;

    /// Adds to counters and returns their new values, creating them with this life time. One round trip.
    fn add<'a>(
        &'a self,
        counters: &'a [(CounterKey, i64)],
        expires_in: Duration,
    ) -> BoxFuture<'a, StoreResult<Vec<i64>>>;

    /// Value of a counter, 0 when absent or expired.
    fn counter<'a>(&'a self, key: &'a CounterKey) -> BoxFuture<'a, StoreResult<i64>>;

    /// Events after the cursor that other nodes wrote. Re-reads an overlap window and de-duplicates: an event whose
    /// commit took longer than its time stamp suggests is still seen, and none twice. A default cursor starts "now".
    fn events_since<'a>(&'a self, node_id: Uuid, cursor: EventCursor) -> BoxFuture<'a, StoreResult<EventPage>>;

    /// Ticks when another process may have changed something (`LISTEN/NOTIFY`, SQLite's data version), so that a
    /// node need not wait for the next poll. `None`: polling only.
    fn watch(&self) -> Option<watch::Receiver<u64>> {
        None
    }

    /// Deletes expired rows, events and counters, at most a bounded number per call. Returns how many went.
    fn purge_expired(&self) -> BoxFuture<'_, StoreResult<u64>>;

    /// Whether the store answers right now.
    fn ping(&self) -> BoxFuture<'_, StoreResult<()>>;
}
