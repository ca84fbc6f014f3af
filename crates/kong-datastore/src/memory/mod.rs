//! The in-memory store: DB-less mode and tests. Everything sits behind one lock; reads share it.

mod read;
mod state;
mod table;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use kong_schema::Schema;
use tokio::sync::watch;
use uuid::Uuid;

use crate::relations::unix_now;
use crate::{
    Batch, BoxFuture, Change, CounterKey, Datastore, Event, EventCursor, EventPage, Key, Page, PageQuery, Row,
    StoreInfo, StoreResult, TagPage, TagQuery, WorkspaceId, Write, events_for,
};
use state::State;

/// Id of the workspace `default` of a node without a database (entities.md §4.15).
const DEFAULT_WORKSPACE: Uuid = Uuid::from_u128(0x0dc6_f45b_8f8d_40d2_a504_4735_44ee_190b);
/// How long events are kept, seconds.
const EVENT_LIFE: f64 = 3600.0;
/// Events are read again from this many seconds before the cursor. One lock orders all commits; this is only for form.
const OVERLAP: f64 = 1.0;

/// A datastore that lives and dies with the process.
#[derive(Debug)]
pub struct MemoryStore {
    state: RwLock<State>,
    committed: watch::Sender<u64>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            state: RwLock::default(),
            committed: watch::Sender::new(0),
        }
    }

    /// Replaces all rows by the result of these writes, atomically (a declarative document was loaded): on an error
    /// everything stays. Returns what differs, deleted rows first; rows that are equal are not reported.
    pub fn replace(&self, writes: Vec<Write>) -> StoreResult<Vec<Change>> {
        let mut state = self.lock();
        let mut fresh = State::default();
        fresh.prepare(state.relations.schemas())?;
        fresh.apply(writes, unix_now())?;
        let mut changes = Vec::new();
        let schemas = state.relations.schemas().to_vec();
        for schema in schemas.iter().rev() {
            let (old, new) = (state.table(schema)?, fresh.table(schema)?);
            let gone = old.rows.iter().filter(|(pk, _)| !new.rows.contains_key(*pk));
            changes.extend(gone.map(|(_, row)| Change {
                schema: schema.clone(),
                old: Some((**row).clone()),
                new: None,
            }));
        }
        for schema in &schemas {
            let (old, new) = (state.table(schema)?, fresh.table(schema)?);
            for (pk, row) in &new.rows {
                let before = old.rows.get(pk);
                if before.is_none_or(|before| before != row) {
                    let old = before.map(|row| (**row).clone());
                    changes.push(Change {
                        schema: schema.clone(),
                        old,
                        new: Some((**row).clone()),
                    });
                }
            }
        }
        state.tables = fresh.tables;
        drop(state);
        self.committed.send_modify(|n| *n += 1);
        Ok(changes)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // A panic elsewhere cannot leave a batch half applied: steps don't panic between put and undo.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(&self, batch: Batch) -> StoreResult<Vec<Change>> {
        let mut state = self.lock();
        let changes = state.apply(batch.writes, unix_now())?;
        let at = unix_now().max(state.events.last().map_or(0.0, |(e, _)| e.at));
        let derived = changes.iter().flat_map(|change| events_for(change, batch.node_id));
        let written: Vec<Event> = derived.chain(batch.events).collect();
        for event in written {
            state.events.push((
                Event {
                    at,
                    node_id: batch.node_id,
                    ..event
                },
                at + EVENT_LIFE,
            ));
        }
        drop(state);
        self.committed.send_modify(|n| *n += 1);
        Ok(changes)
    }

    fn count(&self, counters: &[(CounterKey, i64)], expires_in: Duration) -> Vec<i64> {
        let now = unix_now();
        let mut state = self.lock();
        let mut values = Vec::with_capacity(counters.len());
        for (key, n) in counters {
            let fresh = (0, now + expires_in.as_secs_f64());
            let counter = state.counters.entry(key.clone()).or_insert(fresh);
            if counter.1 <= now {
                *counter = fresh;
            }
            counter.0 = counter.0.saturating_add(*n);
            values.push(counter.0);
        }
        values
    }

    fn events(&self, node_id: Uuid, cursor: EventCursor) -> EventPage {
        let state = self.read();
        if cursor == EventCursor::default() {
            let at = state.events.last().map_or_else(unix_now, |(e, _)| e.at);
            let start = state.events.partition_point(|(e, _)| e.at < at - OVERLAP);
            let seen = state.events.iter().skip(start).map(|(e, _)| (e.id, e.at)).collect();
            return EventPage {
                events: Vec::new(),
                cursor: EventCursor { at, seen },
            };
        }
        let start = state.events.partition_point(|(e, _)| e.at < cursor.at - OVERLAP);
        let read = state.events.iter().skip(start).map(|(e, _)| e.clone()).collect();
        cursor.advance(read, node_id, OVERLAP)
    }
}

impl Datastore for MemoryStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            kind: "off",
            location: "memory".into(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }

    fn prepare<'a>(&'a self, schemas: &'a [Arc<Schema>]) -> BoxFuture<'a, StoreResult<()>> {
        Box::pin(async move { self.lock().prepare(schemas) })
    }

    fn default_workspace(&self) -> WorkspaceId {
        DEFAULT_WORKSPACE
    }

    fn select<'a>(
        &'a self,
        schema: &'a Arc<Schema>,
        ws: WorkspaceId,
        key: &'a Key,
    ) -> BoxFuture<'a, StoreResult<Option<Row>>> {
        Box::pin(async move { self.read().select(schema, ws, key) })
    }

    fn page<'a>(&'a self, query: &'a PageQuery) -> BoxFuture<'a, StoreResult<Page>> {
        Box::pin(async move { self.read().page(query) })
    }

    fn tags<'a>(&'a self, query: &'a TagQuery) -> BoxFuture<'a, StoreResult<TagPage>> {
        Box::pin(async move { Ok(self.read().tags(query)) })
    }

    fn write<'a>(&'a self, batch: Batch) -> BoxFuture<'a, StoreResult<Vec<Change>>> {
        Box::pin(async move { self.commit(batch) })
    }

    fn add<'a>(
        &'a self,
        counters: &'a [(CounterKey, i64)],
        expires_in: Duration,
    ) -> BoxFuture<'a, StoreResult<Vec<i64>>> {
        Box::pin(async move { Ok(self.count(counters, expires_in)) })
    }

    fn counter<'a>(&'a self, key: &'a CounterKey) -> BoxFuture<'a, StoreResult<i64>> {
        Box::pin(async move {
            let now = unix_now();
            Ok(self
                .read()
                .counters
                .get(key)
                .filter(|(_, expiry)| *expiry > now)
                .map_or(0, |(value, _)| *value))
        })
    }

    fn events_since<'a>(&'a self, node_id: Uuid, cursor: EventCursor) -> BoxFuture<'a, StoreResult<EventPage>> {
        Box::pin(async move { Ok(self.events(node_id, cursor)) })
    }

    fn watch(&self) -> Option<watch::Receiver<u64>> {
        Some(self.committed.subscribe())
    }

    fn purge_expired(&self) -> BoxFuture<'_, StoreResult<u64>> {
        Box::pin(async move { Ok(self.lock().purge(unix_now())) })
    }

    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        Box::pin(async { Ok(()) })
    }
}
