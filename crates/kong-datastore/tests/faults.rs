//! The conformance suite finds what is wrong with a store: a wrapper with one seeded fault at a time, each the kind of
//! mistake that a backend really makes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use kong_datastore::testkit;
use kong_datastore::{
    Batch, BoxFuture, Change, CounterKey, Datastore, EventCursor, EventPage, Key, MemoryStore, Page, PageQuery, Row,
    RowOp, StoreError, StoreInfo, StoreResult, TagFilter, TagPage, TagQuery, WorkspaceId, Write,
};
use kong_schema::{Kind, OnDelete, Schema, Unique};
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Pages count rows instead of remembering where they were.
    OffsetPaging,
    /// A unique value is looked up, and then written: two writers may both find it free.
    CheckThenInsert,
    /// The operations of a batch commit one by one.
    BatchInPieces,
    /// Children of a deleted row stay where they are.
    NoCascade,
    /// A restricting child is deleted along.
    RestrictIsCascade,
    /// Expiry is stored, but nobody looks at it.
    TtlIgnored,
    /// Counters are read, added to, and written back.
    LostCounterUpdates,
    /// Counters never end.
    CountersNeverExpire,
    /// A later addition prolongs a counter's life.
    CountersProlonged,
    /// A node reads what it wrote itself.
    OwnEvents,
    /// The overlap is read again without remembering what was delivered.
    EventsDeliveredTwice,
    /// All tags asked for any.
    TagsAndIsOr,
    /// Upsert deletes and inserts.
    UpsertTakesChildren,
    /// An update of a missing row inserts it.
    UpdateInserts,
    /// Rows are found from any workspace.
    WorkspaceIgnored,
    /// Parents are not looked for.
    ForeignUnchecked,
    /// Null parts of a composite key never collide.
    CompositeNullsDiffer,
    /// Cascaded rows are deleted, but not reported.
    CascadeUnreported,
}

const FAULTS: [Fault; 18] = [
    Fault::OffsetPaging,
    Fault::CheckThenInsert,
    Fault::BatchInPieces,
    Fault::NoCascade,
    Fault::RestrictIsCascade,
    Fault::TtlIgnored,
    Fault::LostCounterUpdates,
    Fault::CountersNeverExpire,
    Fault::CountersProlonged,
    Fault::OwnEvents,
    Fault::EventsDeliveredTwice,
    Fault::TagsAndIsOr,
    Fault::UpsertTakesChildren,
    Fault::UpdateInserts,
    Fault::WorkspaceIgnored,
    Fault::ForeignUnchecked,
    Fault::CompositeNullsDiffer,
    Fault::CascadeUnreported,
];

/// A case that must notice the fault; others may too.
fn noticed_by(fault: Fault) -> &'static str {
    match fault {
        Fault::OffsetPaging => "no_row_is_missed_or_doubled_while_others_come_and_go",
        Fault::CheckThenInsert => "two_writers_on_one_unique_value_exactly_one_wins",
        Fault::BatchInPieces => "batch_is_all_or_nothing",
        Fault::NoCascade => "cascade_takes_grandchildren_and_reports_children_first",
        Fault::RestrictIsCascade => "restricted_parent_stays",
        Fault::TtlIgnored => "expired_row_does_not_exist",
        Fault::LostCounterUpdates => "concurrent_adds_are_not_lost",
        Fault::CountersNeverExpire => "counter_expires_and_starts_again",
        Fault::CountersProlonged => "expiry_is_set_at_creation",
        Fault::OwnEvents => "own_events_are_skipped",
        Fault::EventsDeliveredTwice => "each_event_is_delivered_exactly_once",
        Fault::TagsAndIsOr => "by_tags_all_and_any",
        Fault::UpsertTakesChildren => "upsert_keeps_children",
        Fault::UpdateInserts => "update_of_a_missing_row_is_not_found",
        Fault::WorkspaceIgnored => "workspaces_are_separate",
        Fault::ForeignUnchecked => "missing_parent_is_a_foreign_key_violation",
        Fault::CompositeNullsDiffer => "composite_key_counts_null_as_equal",
        Fault::CascadeUnreported => "cascaded_changes_are_announced",
    }
}

struct Faulty {
    store: MemoryStore,
    fault: Fault,
}

impl Faulty {
    /// The schema as the faulty store understands it.
    fn twist(&self, schema: &Arc<Schema>) -> Arc<Schema> {
        let mut twisted = (**schema).clone();
        for field in &mut twisted.fields {
            match (&mut field.def.kind, self.fault) {
                (Kind::Foreign(foreign), Fault::NoCascade) if foreign.on_delete == OnDelete::Cascade => {
                    foreign.on_delete = OnDelete::Null;
                }
                (Kind::Foreign(foreign), Fault::RestrictIsCascade) => foreign.on_delete = OnDelete::Cascade,
                (kind @ Kind::Foreign(_), Fault::ForeignUnchecked) => *kind = Kind::Abstract,
                _ => {}
            }
            if self.fault == Fault::CheckThenInsert {
                field.def.unique = Unique::No;
            }
        }
        if self.fault == Fault::CompositeNullsDiffer {
            twisted.storage.cache_key.retain(|_| twisted.storage.ttl);
        }
        Arc::new(twisted)
    }

    fn twist_op(&self, op: RowOp) -> RowOp {
        let strip = |mut row: Row| {
            if self.fault == Fault::TtlIgnored && row.contains_key("ttl") {
                row.insert("ttl".into(), Value::Null);
            }
            row
        };
        match op {
            RowOp::Insert(row) => RowOp::Insert(strip(row)),
            RowOp::Upsert(row) => RowOp::Upsert(strip(row)),
            RowOp::Update { row, .. } if self.fault == Fault::UpdateInserts => RowOp::Upsert(row),
            RowOp::Update { key, row } => RowOp::Update { key, row: strip(row) },
            other => other,
        }
    }

    async fn find_unique(&self, write: &Write) -> StoreResult<()> {
        let RowOp::Insert(row) = &write.op else { return Ok(()) };
        let query = PageQuery::all(&self.twist(&write.schema), write.ws, 100_000);
        for held in self.store.page(&query).await?.rows {
            if let Some(name) = row.get("name").filter(|n| !n.is_null() && held.get("name") == Some(n)) {
                let fields = json!({"name": name}).as_object().unwrap().clone();
                return Err(StoreError::Unique {
                    entity: write.schema.name.clone(),
                    fields,
                });
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(())
    }

    async fn twisted_write(&self, batch: Batch) -> StoreResult<Vec<Change>> {
        let mut writes = Vec::new();
        for write in batch.writes {
            if self.fault == Fault::CheckThenInsert {
                self.find_unique(&write).await?;
            }
            let schema = self.twist(&write.schema);
            if let (RowOp::Upsert(row), Fault::UpsertTakesChildren) = (&write.op, self.fault) {
                let key = Key::Primary(vec![row["id"].clone()]);
                writes.push(Write {
                    schema: schema.clone(),
                    ws: write.ws,
                    op: RowOp::Delete { key },
                });
            }
            writes.push(Write {
                schema,
                ws: write.ws,
                op: self.twist_op(write.op),
            });
        }
        if self.fault == Fault::BatchInPieces {
            let mut changes = Vec::new();
            for write in writes {
                let piece = Batch {
                    node_id: batch.node_id,
                    writes: vec![write],
                    events: Vec::new(),
                };
                changes.extend(self.store.write(piece).await?);
            }
            return Ok(changes);
        }
        let mut changes = self
            .store
            .write(Batch {
                node_id: batch.node_id,
                writes,
                events: batch.events,
            })
            .await?;
        if self.fault == Fault::CascadeUnreported && changes.last().is_some_and(|c| c.new.is_none()) {
            changes.drain(..changes.len() - 1);
        }
        Ok(changes)
    }
}

impl Datastore for Faulty {
    fn info(&self) -> StoreInfo {
        self.store.info()
    }
    fn prepare<'a>(&'a self, schemas: &'a [Arc<Schema>]) -> BoxFuture<'a, StoreResult<()>> {
        Box::pin(async move {
            let twisted: Vec<_> = schemas.iter().map(|s| self.twist(s)).collect();
            self.store.prepare(&twisted).await
        })
    }
    fn default_workspace(&self) -> WorkspaceId {
        self.store.default_workspace()
    }
    fn select<'a>(
        &'a self,
        schema: &'a Arc<Schema>,
        ws: WorkspaceId,
        key: &'a Key,
    ) -> BoxFuture<'a, StoreResult<Option<Row>>> {
        Box::pin(async move {
            let mut twisted = (*self.twist(schema)).clone();
            if self.fault == Fault::WorkspaceIgnored {
                twisted.storage.workspaceable = false;
            }
            self.store.select(&Arc::new(twisted), ws, key).await
        })
    }
    fn page<'a>(&'a self, query: &'a PageQuery) -> BoxFuture<'a, StoreResult<Page>> {
        Box::pin(async move {
            let mut query = PageQuery {
                schema: self.twist(&query.schema),
                ..query.clone()
            };
            if let (Fault::TagsAndIsOr, Some(TagFilter::All(tags))) = (self.fault, &query.tags) {
                query.tags = Some(TagFilter::Any(tags.clone()));
            }
            if self.fault != Fault::OffsetPaging {
                return self.store.page(&query).await;
            }
            let skip = query
                .after
                .take()
                .and_then(|t| t.first().and_then(Value::as_u64))
                .unwrap_or(0);
            let all = PageQuery {
                size: 1_000_000,
                ..query.clone()
            };
            let rows = self.store.page(&all).await?.rows;
            let end = skip as usize + query.size;
            let next = (rows.len() > end).then(|| vec![json!(end)]);
            Ok(Page {
                rows: rows.into_iter().skip(skip as usize).take(query.size).collect(),
                next,
            })
        })
    }
    fn tags<'a>(&'a self, query: &'a TagQuery) -> BoxFuture<'a, StoreResult<TagPage>> {
        self.store.tags(query)
    }
    fn write<'a>(&'a self, batch: Batch) -> BoxFuture<'a, StoreResult<Vec<Change>>> {
        Box::pin(self.twisted_write(batch))
    }
    fn add<'a>(&'a self, counters: &'a [(CounterKey, i64)], life: Duration) -> BoxFuture<'a, StoreResult<Vec<i64>>> {
        Box::pin(async move {
            match self.fault {
                Fault::LostCounterUpdates => {
                    let mut values = Vec::new();
                    for (key, n) in counters {
                        let before = self.store.counter(key).await?;
                        tokio::task::yield_now().await;
                        let now = self.store.counter(key).await?;
                        self.store.add(&[(key.clone(), before + n - now)], life).await?;
                        values.push(before + n);
                    }
                    Ok(values)
                }
                Fault::CountersNeverExpire => self.store.add(counters, Duration::from_secs(1_000_000)).await,
                Fault::CountersProlonged => {
                    let mut values = Vec::new();
                    for (key, n) in counters {
                        // The life time is counted from now: as if the counter were created anew with its old value.
                        values.extend(self.store.add(&[(key.clone(), *n)], life * 2).await?);
                    }
                    Ok(values)
                }
                _ => self.store.add(counters, life).await,
            }
        })
    }
    fn counter<'a>(&'a self, key: &'a CounterKey) -> BoxFuture<'a, StoreResult<i64>> {
        self.store.counter(key)
    }
    fn events_since<'a>(&'a self, node_id: Uuid, cursor: EventCursor) -> BoxFuture<'a, StoreResult<EventPage>> {
        Box::pin(async move {
            match self.fault {
                Fault::OwnEvents => self.store.events_since(Uuid::nil(), cursor).await,
                Fault::EventsDeliveredTwice if cursor != EventCursor::default() => {
                    let full = self.store.events_since(node_id, cursor.clone()).await?;
                    if full.events.is_empty() {
                        return Ok(full);
                    }
                    self.store
                        .events_since(
                            node_id,
                            EventCursor {
                                at: cursor.at,
                                seen: Vec::new(),
                            },
                        )
                        .await
                }
                Fault::CascadeUnreported => {
                    let mut page = self.store.events_since(node_id, cursor).await?;
                    // Only the row that was asked for is announced.
                    page.events.retain(|e| e.data.starts_with("testkit_parents"));
                    Ok(page)
                }
                _ => self.store.events_since(node_id, cursor).await,
            }
        })
    }
    fn purge_expired(&self) -> BoxFuture<'_, StoreResult<u64>> {
        self.store.purge_expired()
    }
    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        self.store.ping()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_suite_finds_every_seeded_fault() {
    for fault in FAULTS {
        let faulty = Arc::new(Faulty {
            store: MemoryStore::new(),
            fault,
        });
        let case = noticed_by(fault);
        assert!(
            testkit::run_case(case, faulty).await.is_err(),
            "{fault:?} is not noticed by {case}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_suite_finds_nothing_where_nothing_is_wrong() {
    let failures = testkit::run(|| async { Arc::new(MemoryStore::new()) }).await;
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test]
async fn an_unknown_case_is_an_error() {
    assert!(
        testkit::run_case("no_such_case", Arc::new(MemoryStore::new()))
            .await
            .is_err()
    );
}
