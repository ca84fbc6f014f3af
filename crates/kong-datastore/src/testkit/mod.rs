//! The conformance suite that every backend passes.
//!
//! [`datastore_test_suite!`](crate::datastore_test_suite) expands to one test per behaviour; each runs on a store of
//! its own. [`CASES`] is the same list as data, for programs that want to know *which* behaviours a store lacks.
//! A case proves one sentence, its name, and reports a violated one as text instead of panicking.
//!
//! ```no_run
//! # mod tests {
//! use std::sync::Arc;
//! kong_datastore::datastore_test_suite!(memory, || async { Arc::new(kong_datastore::MemoryStore::new()) });
//! # }
//! ```

mod constraints;
mod counters;
mod events;
mod expiry;
mod paging;
mod rows;
mod schemas;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Batch, BoxFuture, Change, Datastore, Key, Page, PageQuery, Row, RowOp, StoreResult, WorkspaceId, Write};
pub use schemas::TestSchemas;

/// What a case found: nothing wrong, or what was.
pub type Verdict = Result<(), String>;

/// A store to test, and what must live as long as it does (a temporary directory, a server).
pub struct Subject {
    store: Arc<dyn Datastore>,
    keep: Box<dyn Any + Send + Sync>,
}

impl Subject {
    /// A store with something to keep alive beside it.
    pub fn keeping(store: Arc<dyn Datastore>, keep: impl Any + Send + Sync) -> Self {
        Self {
            store,
            keep: Box::new(keep),
        }
    }
}

impl<S: Datastore> From<Arc<S>> for Subject {
    fn from(store: Arc<S>) -> Self {
        Self::keeping(store, ())
    }
}

/// A behaviour.
pub struct Case {
    /// The sentence that it proves.
    pub name: &'static str,
    /// Runs it on a fresh store.
    pub run: fn(Subject) -> BoxFuture<'static, Verdict>,
}

/// Runs every case, each on a store of its own, and returns the failures as `name: text`.
pub async fn run<F, Fut, S>(factory: F) -> Vec<String>
where
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
    S: Into<Subject>,
{
    let mut failures = Vec::new();
    for case in CASES {
        if let Err(text) = (case.run)(factory().await.into()).await {
            failures.push(format!("{}: {text}", case.name));
        }
    }
    failures
}

/// Hands the list of cases (`module name`) to another macro, so that it is written down once.
#[doc(hidden)]
#[macro_export]
macro_rules! __datastore_cases {
    ($callback:ident $($head:tt)*) => {
        $crate::$callback! { $($head)*
            rows inserted_row_is_selected_by_every_key;
            rows values_of_every_kind_survive;
            rows update_replaces_the_whole_row;
            rows update_of_a_missing_row_is_not_found;
            rows upsert_inserts_then_replaces;
            rows upsert_keeps_children;
            rows delete_removes_and_tolerates_absence;
            rows batch_is_all_or_nothing;
            rows batch_applies_in_order;
            rows changes_report_old_and_new_rows;
            rows workspaces_are_separate;
            rows foreign_parent_of_another_workspace_does_not_exist;
            rows odd_text_is_data;
            constraints primary_key_is_unique;
            constraints unique_field_is_unique_within_a_workspace;
            constraints global_unique_field_is_unique_across_workspaces;
            constraints unique_value_is_free_again_after_update_and_delete;
            constraints unique_values_may_be_swapped_through_a_third_within_a_batch;
            constraints null_never_collides;
            constraints composite_key_counts_null_as_equal;
            constraints update_and_upsert_respect_unique_fields;
            constraints missing_parent_is_a_foreign_key_violation;
            constraints restricted_parent_stays;
            constraints cascade_takes_grandchildren_and_reports_children_first;
            constraints parent_of_set_null_leaves_the_child;
            constraints two_writers_on_one_unique_value_exactly_one_wins;
            constraints child_and_parent_delete_race_leaves_no_orphan;
            paging pages_are_ordered_and_complete;
            paging no_row_is_missed_or_doubled_while_others_come_and_go;
            paging by_foreign_pages_only_below_the_parent;
            paging by_tags_all_and_any;
            paging tags_follow_updates_and_deletes;
            paging tags_view_lists_entity_and_tag;
            paging paging_is_per_workspace;
            expiry expired_row_does_not_exist;
            expiry expired_row_frees_its_unique_value;
            expiry purge_removes_only_what_expired;
            counters add_returns_new_values;
            counters concurrent_adds_are_not_lost;
            counters counter_expires_and_starts_again;
            counters expiry_is_set_at_creation;
            events every_change_is_announced_to_other_nodes;
            events own_events_are_skipped;
            events cascaded_changes_are_announced;
            events failed_batch_announces_nothing;
            events further_events_of_a_batch_are_delivered;
            events each_event_is_delivered_exactly_once;
            events fresh_cursor_starts_now;
            events many_events_are_all_delivered;
            events core_entities_use_their_own_channel;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __datastore_case_list {
    ($($module:ident $name:ident;)*) => {
        /// Every behaviour.
        pub const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            run: |subject| Box::pin(async move {
                let fixture = Fixture::new(subject).await?;
                $module::$name(&fixture).await
            }),
        }),*];
    };
}

__datastore_cases!(__datastore_case_list);

#[doc(hidden)]
#[macro_export]
macro_rules! __datastore_case_tests {
    ($suite:ident, $factory:expr; $($module:ident $name:ident;)*) => {
        mod $suite {
            #[allow(unused_imports)]
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let factory = $factory;
                let verdict = $crate::testkit::run_case(stringify!($name), factory().await).await;
                assert!(verdict.is_ok(), "{}", verdict.err().unwrap_or_default());
            })*
        }
    };
}

/// One `#[tokio::test]` per behaviour in a module of that name. The factory is an async closure that makes an empty
/// store: something that is [`Into<Subject>`](crate::testkit::Subject). The using crate needs tokio with
/// `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! datastore_test_suite {
    ($suite:ident, $factory:expr) => {
        $crate::__datastore_cases!(__datastore_case_tests $suite, $factory;);
    };
}

/// Runs one case by name.
pub async fn run_case(name: &str, subject: impl Into<Subject>) -> Verdict {
    match CASES.iter().find(|case| case.name == name) {
        Some(case) => (case.run)(subject.into()).await,
        None => Err(format!("there is no case {name}")),
    }
}

/// Returns from a case when a sentence doesn't hold.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}
/// Returns from a case when a result isn't the expected error.
macro_rules! ensure_error {
    ($result:expr, $pattern:pat $(if $guard:expr)?, $what:expr) => {
        match $result {
            Err($pattern) $(if $guard)? => {}
            Err(other) => return Err(format!("{}: expected {}, got the error {other:?}", $what, stringify!($pattern))),
            Ok(_) => return Err(format!("{}: expected {}, but it succeeded", $what, stringify!($pattern))),
        }
    };
}
use {ensure, ensure_error};

/// A prepared store with short names for what the cases do.
pub(crate) struct Fixture {
    store: Arc<dyn Datastore>,
    schemas: TestSchemas,
    ws: WorkspaceId,
    node: Uuid,
    _keep: Box<dyn Any + Send + Sync>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// An id whose order is that of `n`.
fn id(n: u32) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

/// A row from an object literal.
fn row(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}

impl Fixture {
    async fn new(subject: Subject) -> Result<Self, String> {
        let schemas = TestSchemas::new();
        subject
            .store
            .prepare(&schemas.all())
            .await
            .map_err(|e| format!("prepare: {e}"))?;
        let ws = subject.store.default_workspace();
        Ok(Self {
            store: subject.store,
            schemas,
            ws,
            node: Uuid::new_v4(),
            _keep: subject.keep,
        })
    }

    fn batch(&self, writes: Vec<(&Arc<kong_schema::Schema>, RowOp)>) -> Batch {
        let ws = self.ws;
        let writes = writes
            .into_iter()
            .map(|(schema, op)| Write {
                schema: schema.clone(),
                ws,
                op,
            })
            .collect();
        Batch {
            node_id: self.node,
            writes,
            events: Vec::new(),
        }
    }

    async fn write(&self, schema: &Arc<kong_schema::Schema>, op: RowOp) -> StoreResult<Vec<Change>> {
        self.store.write(self.batch(vec![(schema, op)])).await
    }

    async fn insert(&self, schema: &Arc<kong_schema::Schema>, value: Value) -> StoreResult<Vec<Change>> {
        self.write(schema, RowOp::Insert(row(value))).await
    }

    async fn delete(&self, schema: &Arc<kong_schema::Schema>, id: &str) -> StoreResult<Vec<Change>> {
        self.write(schema, RowOp::Delete { key: Key::id(id) }).await
    }

    async fn select(&self, schema: &Arc<kong_schema::Schema>, key: Key) -> Result<Option<Row>, String> {
        self.store.select(schema, self.ws, &key).await.map_err(text)
    }

    async fn exists(&self, schema: &Arc<kong_schema::Schema>, id: &str) -> Result<bool, String> {
        Ok(self.select(schema, Key::id(id)).await?.is_some())
    }

    async fn page(&self, query: &PageQuery) -> Result<Page, String> {
        self.store.page(query).await.map_err(text)
    }

    /// Ids of all pages of a query; refuses to go on for ever.
    async fn ids(&self, mut query: PageQuery) -> Result<Vec<String>, String> {
        let mut ids = Vec::new();
        for _ in 0..1000 {
            let page = self.page(&query).await?;
            ensure!(
                page.rows.len() <= query.size,
                "a page of {} rows where {} were asked",
                page.rows.len(),
                query.size
            );
            ids.extend(
                page.rows
                    .iter()
                    .filter_map(|r| r.get("id").and_then(Value::as_str))
                    .map(str::to_owned),
            );
            match page.next {
                None => return Ok(ids),
                next => query.after = next,
            }
        }
        Err("paging does not come to an end".into())
    }

    async fn parent(&self, n: u32) -> Result<String, String> {
        self.insert(
            &self.schemas.parents,
            json!({"id": id(n), "name": format!("parent-{n}")}),
        )
        .await
        .map_err(text)?;
        Ok(id(n))
    }

    async fn child(&self, n: u32, parent: &str) -> StoreResult<Vec<Change>> {
        self.insert(
            &self.schemas.children,
            json!({"id": id(n), "key": format!("key-{n}"), "parent": {"id": parent}}),
        )
        .await
    }
}

async fn sleep(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
