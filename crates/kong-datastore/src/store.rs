//! The trait that every backend implements, and how each method maps to the databases in view.
//!
//! The trait was settled after two throw-aways against real servers, on 2026-11-25: PostgreSQL 15 with the tables and
//! rows of a Kong 3.9 database, and one Cassandra 5.0 node. *Seen* marks what they answered on that day.
//!
//! | Method | SQL | CQL |
//! |---|---|---|
//! | `prepare` | numbered files, generated tables for plugin entities; a shared database is only compared | the same, then agreement on the schema |
//! | `select` by primary key | `WHERE id = $1 AND ws_id = $2` | partition of the id |
//! | `select` by unique field, composite key | unique index on (field, `ws_id`); `cache_key` column | partition `(ws, entity, field, value)` of a claims table holds the owner's id, then the row |
//! | `page` | keyset: `WHERE id > $1 ORDER BY id LIMIT n + 1` | clustering key `id > ?` inside a bucket partition; pages cross buckets in order |
//! | `page` by foreign | the same with an index on (field, id) | the parent's own partition of children, clustered by id |
//! | `page` by tags, `tags` | side table or GIN index | partition per (ws, tag), clustered by entity and id |
//! | `write` | one transaction: rows, cascades, events | claims by LWT, then a logged batch of rows, events and an intent that is replayed |
//! | `add` | `INSERT … ON CONFLICT DO UPDATE … RETURNING` | counter update, then a read; the window is part of the key |
//! | `events_since` | range over `at` with an overlap | the same over time buckets |
//! | `watch` | `LISTEN/NOTIFY`; the data version of a file | none, polling |
//! | `purge_expired` | bounded `DELETE`s | native TTL does it |
//!
//! What the servers taught, and what in the trait is so because of it:
//!
//! * **An error must name the violated key.** *Seen:* PostgreSQL answers SQLSTATE 23505 with the constraint's *name*
//!   (`consumers_ws_id_username_unique`) and, when the primary key and a unique field are both taken, only the primary
//!   key. Hence [`StoreError::Unique`](crate::StoreError::Unique) reports one key, and backends map constraints back to
//!   fields ([`UniqueKey::report`](crate::UniqueKey::report)). 23503 has the same code for a missing parent and for a
//!   restricted delete; the table in the message tells them apart.
//! * **A failed statement ends the transaction.** *Seen:* 25P02 until rollback. So a batch stops at its first error;
//!   there is no "continue on error".
//! * **A cascade is not reported by the database.** *Seen:* `DELETE … RETURNING` yields the parent only. Events and
//!   changes of cascaded rows are owed by `write`, so every backend walks [`Relations`](crate::Relations) itself and
//!   leaves the declared cascade as a net.
//! * **Composite foreign keys check nothing when a part is null.** *Seen:* a child with a null `ws_id` and a parent that
//!   doesn't exist was accepted (MATCH SIMPLE). `ws_id` is therefore stamped by the store ([`normalize`](crate::normalize)).
//! * **`ON CONFLICT (id)` covers the primary key only.** *Seen:* an upsert whose *other* unique value is taken still
//!   fails with 23505. `RowOp::Upsert` means just that: replace by primary key, fail on any other key.
//! * **A child insert makes the parent's delete wait.** *Seen:* the delete waited 0.42 s for the inserting transaction and
//!   then cascaded to the new child. Race tests belong in the suite, and they are.
//! * **Commit order is not time order.** *Seen:* an event stamped 0.30 s *earlier* became visible *after* another. `NOTIFY`
//!   arrives only after the commit (0.3 ms), and carries at most 8,000 bytes: it is a tick, not the event. Hence the
//!   overlap in [`EventCursor`] and a [`watch`](Datastore::watch) that only counts.
//! * **UUID order equals text order.** *Seen* for 1,000 random ids: pages of all backends come in one order. A malformed
//!   id is an error in SQL (22P02); for `select` it means "no such row".
//! * **An index entry has a longest value.** *Seen:* 54000 above about 2.7 kB in a btree, and 65,535 bytes for a
//!   Cassandra partition key. Schemas bound unique texts; backends report the rest as `Internal`.
//! * **A lost answer can be asked again.** *Seen:* a repeated claim by LWT is refused *and returns the holder*, so that
//!   an owner recognises its own claim; 1 of 16 racing claims won; an orphan is taken over with `IF owner = 'old'`.
//!   `StoreError::Unavailable` says that the operation may have happened.
//! * **Conditions don't span partitions or tables, counters stand alone.** *Seen:* 2200 for both, and for a counter with
//!   TTL, with a condition, or in one batch with rows. So counters are no part of a [`Batch`], `add` takes the life time
//!   beside the key (Cassandra puts the window into the key and deletes nothing: *seen*, a deleted counter that is
//!   added to again goes on from its old value), and atomicity of a batch is the backend's own affair there.
//! * **Restrict by static state works.** *Seen:* child inserts as one LWT batch `IF state = 'live'` in the parent's
//!   partition against `live → deleting`: in 80 races the child was refused exactly when the delete came first, and seen by
//!   the deleter exactly when it did not.
//! * **TTL belongs to the cell.** *Seen:* an update of one column with another TTL left a row whose other columns were
//!   null. `Update` therefore carries the whole row.
//! * **A page has no global order unless the partition gives it.** *Seen:* without a partition rows come by token, and
//!   `ORDER BY` is refused. The trait promises order by primary key, so a backend buckets by a prefix of it.

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
