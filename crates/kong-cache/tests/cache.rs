//! What the cache promises, on an in-memory store that can be counted, held back and broken.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use kong_cache::{CacheError, CacheOptions, Cached, EntityCache, ListLookup, Lookup};
use kong_datastore::testkit::TestSchemas;
use kong_datastore::{
    Batch, BoxFuture, Change, CounterKey, Datastore, EventCursor, EventPage, Key, MemoryStore, Page, PageQuery, Row,
    RowOp, StoreError, StoreInfo, StoreResult, TagPage, TagQuery, WorkspaceId, unix_now,
};
use kong_schema::Schema;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// A store whose reads are counted, and answered only when the gate has permits: after the row was read.
struct Gated {
    store: MemoryStore,
    reads: AtomicUsize,
    broken: AtomicBool,
    gated: AtomicBool,
    arrived: Semaphore,
    gate: Semaphore,
}

impl Gated {
    async fn pass(&self) -> StoreResult<()> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.gated.load(Ordering::SeqCst) {
            self.arrived.add_permits(1);
            self.gate.acquire().await.unwrap().forget();
        }
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("broken for the test".into()));
        }
        Ok(())
    }
}

impl Datastore for Gated {
    fn info(&self) -> StoreInfo {
        self.store.info()
    }
    fn prepare<'a>(&'a self, schemas: &'a [Arc<Schema>]) -> BoxFuture<'a, StoreResult<()>> {
        self.store.prepare(schemas)
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
            let row = self.store.select(schema, ws, key).await;
            self.pass().await?;
            row
        })
    }
    fn page<'a>(&'a self, query: &'a PageQuery) -> BoxFuture<'a, StoreResult<Page>> {
        Box::pin(async move {
            let page = self.store.page(query).await;
            self.pass().await?;
            page
        })
    }
    fn tags<'a>(&'a self, query: &'a TagQuery) -> BoxFuture<'a, StoreResult<TagPage>> {
        self.store.tags(query)
    }
    fn write<'a>(&'a self, batch: Batch) -> BoxFuture<'a, StoreResult<Vec<Change>>> {
        self.store.write(batch)
    }
    fn add<'a>(&'a self, counters: &'a [(CounterKey, i64)], life: Duration) -> BoxFuture<'a, StoreResult<Vec<i64>>> {
        self.store.add(counters, life)
    }
    fn counter<'a>(&'a self, key: &'a CounterKey) -> BoxFuture<'a, StoreResult<i64>> {
        self.store.counter(key)
    }
    fn events_since<'a>(&'a self, node_id: Uuid, cursor: EventCursor) -> BoxFuture<'a, StoreResult<EventPage>> {
        self.store.events_since(node_id, cursor)
    }
    fn purge_expired(&self) -> BoxFuture<'_, StoreResult<u64>> {
        self.store.purge_expired()
    }
    fn ping(&self) -> BoxFuture<'_, StoreResult<()>> {
        self.store.ping()
    }
}

struct World {
    store: Arc<Gated>,
    cache: Arc<EntityCache>,
    schemas: TestSchemas,
    parent: String,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(adjust: impl FnOnce(&mut CacheOptions)) -> Self {
        let store = Arc::new(Gated {
            store: MemoryStore::new(),
            reads: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            gated: AtomicBool::new(false),
            arrived: Semaphore::new(0),
            gate: Semaphore::new(0),
        });
        let schemas = TestSchemas::new();
        store.prepare(&schemas.all()).await.unwrap();
        let mut options = CacheOptions::new(store.clone(), store.default_workspace());
        adjust(&mut options);
        let world = Self {
            cache: EntityCache::new(options),
            store,
            schemas,
            parent: Uuid::new_v4().to_string(),
        };
        world
            .write(
                &world.schemas.parents,
                RowOp::Insert(row(json!({"id": world.parent, "name": "p"}))),
            )
            .await;
        world
    }

    async fn write(&self, schema: &Arc<Schema>, op: RowOp) -> Vec<Change> {
        self.store
            .write(Batch::one(Uuid::nil(), schema, self.store.default_workspace(), op))
            .await
            .unwrap()
    }

    /// Writes and tells the cache, as a node does.
    async fn commit(&self, schema: &Arc<Schema>, op: RowOp) {
        for change in self.write(schema, op).await {
            self.cache.invalidate_change(&change);
        }
    }

    fn child(&self, id: u32, key: &str, ttl: Value) -> RowOp {
        RowOp::Upsert(row(
            json!({"id": id_of(id), "key": key, "parent": {"id": self.parent}, "ttl": ttl}),
        ))
    }

    async fn by_key(&self, key: &str) -> Result<Option<Arc<Cached>>, CacheError> {
        match self.cache.lookup_unique(&self.schemas.children, "key", key) {
            Lookup::Hit(found) => Ok(found),
            Lookup::Miss(load) => load.await,
        }
    }

    async fn below(&self) -> Vec<String> {
        let rows = self
            .cache
            .list(&self.schemas.children, "parent", &self.parent)
            .await
            .unwrap();
        rows.iter()
            .map(|r| r.row()["key"].as_str().unwrap().to_owned())
            .collect()
    }

    fn reads(&self) -> usize {
        self.store.reads.load(Ordering::SeqCst)
    }
}

fn row(value: Value) -> Row {
    value.as_object().unwrap().clone()
}

fn id_of(n: u32) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

#[tokio::test]
async fn a_value_is_loaded_once_by_every_kind_of_key() {
    let world = World::new().await;
    world
        .commit(&world.schemas.children, world.child(1, "k", Value::Null))
        .await;
    let ways = [Key::id(id_of(1)), Key::unique("key", "k"), Key::Cache(vec![json!("k")])];
    for key in &ways {
        for _ in 0..3 {
            assert!(
                world.cache.get(&world.schemas.children, key).await.unwrap().is_some(),
                "{key:?}"
            );
        }
    }
    assert_eq!(world.below().await, ["k"]);
    assert_eq!(world.below().await, ["k"]);
    // The cache key and the unique field that it is made of are one.
    assert_eq!(world.reads(), 3);
    assert!(matches!(
        world.cache.lookup_id(&world.schemas.children, &id_of(1)),
        Lookup::Hit(Some(_))
    ));
    assert!(matches!(
        world
            .cache
            .lookup_list(&world.schemas.children, "parent", &world.parent),
        ListLookup::Hit(_)
    ));
}

#[tokio::test]
async fn an_id_and_a_unique_value_of_the_same_text_are_apart() {
    let world = World::new().await;
    world
        .commit(&world.schemas.children, world.child(1, &id_of(2), Value::Null))
        .await;
    world
        .commit(&world.schemas.children, world.child(2, "other", Value::Null))
        .await;
    let by_id = world
        .cache
        .get(&world.schemas.children, &Key::id(id_of(2)))
        .await
        .unwrap()
        .unwrap();
    let by_key = world.by_key(&id_of(2)).await.unwrap().unwrap();
    assert_eq!(
        (&by_id.row()["id"], &by_key.row()["id"]),
        (&json!(id_of(2)), &json!(id_of(1)))
    );
}

#[tokio::test]
async fn a_change_is_seen_by_every_kind_of_lookup() {
    let world = World::new().await;
    let children = world.schemas.children.clone();
    assert!(world.by_key("old").await.unwrap().is_none());
    assert!(world.below().await.is_empty());
    world.commit(&children, world.child(1, "old", Value::Null)).await;
    assert!(
        world.by_key("old").await.unwrap().is_some(),
        "a known absence ends with the insert"
    );
    assert_eq!(world.below().await, ["old"]);
    world.commit(&children, world.child(1, "new", Value::Null)).await;
    assert!(world.by_key("old").await.unwrap().is_none());
    assert!(world.by_key("new").await.unwrap().is_some());
    assert_eq!(world.below().await, ["new"]);
    let by_id = world.cache.get(&children, &Key::id(id_of(1))).await.unwrap().unwrap();
    assert_eq!(by_id.row()["key"], "new");
    world
        .commit(
            &world.schemas.parents,
            RowOp::Delete {
                key: Key::id(&world.parent),
            },
        )
        .await;
    assert!(world.by_key("new").await.unwrap().is_none(), "cascaded rows go too");
    assert!(world.below().await.is_empty());
    assert!(world.cache.get(&children, &Key::id(id_of(1))).await.unwrap().is_none());
}

#[tokio::test]
async fn an_event_of_another_node_invalidates_on_every_thread_at_once() {
    let world = Arc::new(World::new().await);
    let children = world.schemas.children.clone();
    world.commit(&children, world.child(1, "k", Value::Null)).await;
    let (ask, questions) = std::sync::mpsc::channel::<()>();
    let (answer, answers) = std::sync::mpsc::channel::<String>();
    let other = {
        let (world, children) = (world.clone(), children.clone());
        std::thread::spawn(move || {
            while questions.recv().is_ok() {
                let found = futures_util::FutureExt::now_or_never(world.cache.get(&children, &Key::unique("key", "k")));
                let id = found.unwrap().unwrap().unwrap().row()["id"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                answer.send(id).unwrap();
            }
        })
    };
    let seen = |_: &str| {
        ask.send(()).unwrap();
        answers.recv().unwrap()
    };
    assert_eq!(seen("loads"), id_of(1));
    assert_eq!(seen("copies"), id_of(1));
    // Another node replaces the row; this one learns of it by events alone.
    let mut announced = Vec::new();
    for op in [
        RowOp::Delete { key: Key::id(id_of(1)) },
        world.child(2, "k", Value::Null),
    ] {
        for change in world.write(&children, op).await {
            announced.extend(kong_datastore::events_for(&change, Uuid::new_v4()));
        }
    }
    assert_eq!(seen("not told yet"), id_of(1));
    announced.iter().for_each(|event| world.cache.invalidate(&event.data));
    assert_eq!(seen("told"), id_of(2));
    drop(ask);
    other.join().unwrap();
}

#[tokio::test]
async fn a_load_that_began_before_an_invalidation_is_never_kept() {
    let world = Arc::new(World::new().await);
    let children = world.schemas.children.clone();
    world.commit(&children, world.child(1, "k", Value::Null)).await;
    for forget in [
        (|w: &World, c: &Change| w.cache.invalidate_change(c)) as fn(&World, &Change),
        |w, c| {
            w.cache
                .invalidate(&kong_datastore::cache_key(&c.schema, c.new.as_ref().unwrap()))
        },
        |w, _| w.cache.purge(),
    ] {
        world.cache.purge();
        world.store.gated.store(true, Ordering::SeqCst);
        let early = tokio::spawn({
            let world = world.clone();
            async move { world.by_key("k").await.unwrap().unwrap().row()["tags"].clone() }
        });
        // The load has read the row and is on its way back …
        world.store.arrived.acquire().await.unwrap().forget();
        // … when the row changes and everybody is told.
        let tag = json!([Uuid::new_v4().to_string()]);
        let new = row(json!({"id": id_of(1), "key": "k", "parent": {"id": world.parent}, "tags": tag}));
        for change in world.write(&children, RowOp::Upsert(new)).await {
            forget(&world, &change);
        }
        // Whoever asks now does not join the old load.
        let late = tokio::spawn({
            let world = world.clone();
            async move { world.by_key("k").await.unwrap().unwrap().row()["tags"].clone() }
        });
        world.store.arrived.acquire().await.unwrap().forget();
        world.store.gated.store(false, Ordering::SeqCst);
        world.store.gate.add_permits(2);
        assert_ne!(early.await.unwrap(), tag);
        assert_eq!(late.await.unwrap(), tag);
        assert_eq!(
            world.by_key("k").await.unwrap().unwrap().row()["tags"],
            tag,
            "the old load was kept"
        );
    }
}

#[tokio::test]
async fn many_who_miss_one_key_load_it_once() {
    let world = Arc::new(World::new().await);
    world
        .commit(&world.schemas.children, world.child(1, "k", Value::Null))
        .await;
    world.store.gated.store(true, Ordering::SeqCst);
    let ask = |world: Arc<World>| tokio::spawn(async move { world.by_key("k").await.unwrap().is_some() });
    let first = ask(world.clone());
    world.store.arrived.acquire().await.unwrap().forget();
    let others: Vec<_> = (0..50).map(|_| ask(world.clone())).collect();
    // The first gives up; the others must not lose their load.
    tokio::task::yield_now().await;
    first.abort();
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.store.gate.add_permits(1);
    for other in others {
        assert!(other.await.unwrap());
    }
    assert_eq!(world.reads(), 1);
}

#[tokio::test]
async fn a_load_that_all_have_given_up_leaves_nothing_behind() {
    let world = Arc::new(World::new().await);
    world
        .commit(&world.schemas.children, world.child(1, "k", Value::Null))
        .await;
    world.store.gated.store(true, Ordering::SeqCst);
    let asked = {
        let world = world.clone();
        tokio::spawn(async move { world.by_key("k").await })
    };
    world.store.arrived.acquire().await.unwrap().forget();
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    world.store.gated.store(false, Ordering::SeqCst);
    assert!(world.by_key("k").await.unwrap().is_some());
}

#[tokio::test]
async fn a_flood_of_unknown_keys_evicts_no_known_one_and_is_bounded() {
    let world = World::with(|o| {
        o.max_negative = 1000;
        o.max_bytes = 2 << 20;
    })
    .await;
    for n in 1..=100 {
        world
            .commit(
                &world.schemas.children,
                world.child(n, &format!("known-{n}"), Value::Null),
            )
            .await;
        assert!(world.by_key(&format!("known-{n}")).await.unwrap().is_some());
    }
    for n in 0..50_000 {
        assert!(world.by_key(&format!("unknown-{n}")).await.unwrap().is_none());
    }
    let before = world.reads();
    for n in 1..=100 {
        assert!(world.by_key(&format!("known-{n}")).await.unwrap().is_some());
    }
    assert_eq!(world.reads(), before, "known keys were evicted");
    assert!(world.by_key("unknown-49999").await.unwrap().is_none());
    // A known absence is remembered, within bounds.
    let before = world.reads();
    for n in 0..50_000 {
        world.by_key(&format!("unknown-{n}")).await.unwrap();
    }
    assert!(world.reads() - before > 45_000, "more absences are kept than allowed");
}

#[tokio::test]
async fn values_are_bounded_by_bytes() {
    let world = World::with(|o| o.max_bytes = 100_000).await;
    for n in 1..=500 {
        let mut op = world.child(n, &format!("k{n}"), Value::Null);
        if let RowOp::Upsert(row) = &mut op {
            row.insert("tags".into(), json!(["x".repeat(2000)]));
        }
        world.commit(&world.schemas.children, op).await;
        world.by_key(&format!("k{n}")).await.unwrap();
    }
    // Another thread has no copies of its own: it shows what the shared level holds.
    let before = world.reads();
    let world = Arc::new(world);
    let asked = world.clone();
    std::thread::spawn(move || {
        for n in 1..=500 {
            futures_util::FutureExt::now_or_never(asked.by_key(&format!("k{n}")))
                .unwrap()
                .unwrap();
        }
    })
    .join()
    .unwrap();
    assert!(
        world.reads() - before > 400,
        "{} of 500 had to be loaded again",
        world.reads() - before
    );
}

#[tokio::test]
async fn rows_that_expire_go_with_their_expiry() {
    let world = World::new().await;
    world
        .commit(&world.schemas.children, world.child(1, "k", json!(unix_now() + 0.4)))
        .await;
    world
        .commit(&world.schemas.children, world.child(2, "stays", Value::Null))
        .await;
    assert!(world.by_key("k").await.unwrap().is_some());
    assert_eq!(world.below().await, ["k", "stays"]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(world.by_key("k").await.unwrap().is_none());
    assert_eq!(world.below().await, ["stays"]);
    world
        .commit(
            &world.schemas.children,
            world.child(3, "broken", json!(unix_now() + 0.3)),
        )
        .await;
    assert!(world.by_key("broken").await.unwrap().is_some());
    tokio::time::sleep(Duration::from_millis(400)).await;
    world.store.broken.store(true, Ordering::SeqCst);
    assert!(
        world.by_key("broken").await.is_err(),
        "an expired row is never served stale"
    );
}

#[tokio::test]
async fn values_and_absences_live_as_long_as_configured() {
    let world = World::with(|o| {
        o.ttl = Duration::from_millis(300);
        o.neg_ttl = Duration::from_millis(100);
    })
    .await;
    world
        .commit(&world.schemas.children, world.child(1, "k", Value::Null))
        .await;
    world.by_key("k").await.unwrap();
    world.by_key("unknown").await.unwrap();
    assert_eq!(world.reads(), 2);
    tokio::time::sleep(Duration::from_millis(150)).await;
    world.by_key("k").await.unwrap();
    assert_eq!(world.reads(), 2);
    world.by_key("unknown").await.unwrap();
    assert_eq!(world.reads(), 3);
    tokio::time::sleep(Duration::from_millis(250)).await;
    world.by_key("k").await.unwrap();
    assert_eq!(world.reads(), 4);
}

#[tokio::test]
async fn a_failing_store_is_bridged_by_what_was_known_and_never_called_an_absence() {
    let world = World::with(|o| {
        o.ttl = Duration::from_millis(100);
        o.resurrect_ttl = Duration::from_millis(300);
    })
    .await;
    world
        .commit(&world.schemas.children, world.child(1, "k", Value::Null))
        .await;
    world.by_key("k").await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    world.store.broken.store(true, Ordering::SeqCst);
    assert!(world.by_key("k").await.unwrap().is_some(), "stale");
    let before = world.reads();
    assert!(world.by_key("k").await.unwrap().is_some());
    assert_eq!(
        world.reads(),
        before,
        "the store is left alone for the resurrection's time"
    );
    assert!(world.by_key("never seen").await.is_err());
    assert!(world.by_key("never seen").await.is_err(), "a failure is not kept");
    tokio::time::sleep(Duration::from_millis(350)).await;
    world.store.broken.store(false, Ordering::SeqCst);
    world
        .commit(&world.schemas.children, world.child(2, "never seen", Value::Null))
        .await;
    assert!(world.by_key("never seen").await.unwrap().is_some());
    // What has been invalidated is known to be wrong: it is not served again.
    world.by_key("k").await.unwrap();
    world.store.broken.store(true, Ordering::SeqCst);
    world
        .commit(&world.schemas.children, RowOp::Delete { key: Key::id(id_of(1)) })
        .await;
    assert!(world.by_key("k").await.is_err());
}

#[tokio::test]
async fn core_entities_are_kept_only_by_the_key_that_is_announced() {
    let world = World::new().await;
    let parents = &world.schemas.parents;
    for _ in 0..3 {
        assert!(
            world
                .cache
                .get(parents, &Key::unique("name", "p"))
                .await
                .unwrap()
                .is_some()
        );
    }
    assert_eq!(world.reads(), 3);
    for _ in 0..3 {
        assert!(
            world
                .cache
                .get(parents, &Key::id(&world.parent))
                .await
                .unwrap()
                .is_some()
        );
    }
    assert_eq!(world.reads(), 4);
}

#[tokio::test]
async fn a_row_is_decoded_once_per_type() {
    static DECODED: AtomicU64 = AtomicU64::new(0);
    #[derive(Debug)]
    struct Child(String);
    impl<'de> serde::Deserialize<'de> for Child {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            DECODED.fetch_add(1, Ordering::SeqCst);
            let row = Value::deserialize(deserializer)?;
            Ok(Self(row["key"].as_str().unwrap_or_default().to_owned()))
        }
    }
    let world = World::new().await;
    world
        .commit(&world.schemas.children, world.child(1, "k", Value::Null))
        .await;
    for _ in 0..5 {
        let found = world.by_key("k").await.unwrap().unwrap();
        assert_eq!(found.decode::<Child>().unwrap().0, "k");
        assert_eq!(found.decode::<Value>().unwrap()["key"], "k");
        assert!(matches!(found.decode::<u8>(), Err(CacheError::Decode { .. })));
    }
    assert_eq!(DECODED.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_cached_can_be_looked_at() {
    let world = World::new().await;
    let key = format!("testkit_children:k:::::{}", world.store.default_workspace());
    assert!(world.cache.peek(&key).is_none());
    assert!(world.by_key("k").await.unwrap().is_none());
    assert!(matches!(world.cache.peek(&key), Some(None)));
    world
        .commit(&world.schemas.children, world.child(1, "k", Value::Null))
        .await;
    world.by_key("k").await.unwrap();
    assert!(matches!(world.cache.peek(&key), Some(Some(_))));
    world.cache.purge();
    assert!(world.cache.peek(&key).is_none());
}

/// Readers never see a value older than one whose change they know to have been announced.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_sees_an_older_value_than_what_was_announced() {
    let world = Arc::new(World::new().await);
    let announced = Arc::new(AtomicU64::new(0));
    world.commit(&world.schemas.children, versioned(&world, 0)).await;
    let mut readers = Vec::new();
    for _ in 0..3 {
        let (world, announced) = (world.clone(), announced.clone());
        readers.push(tokio::spawn(async move {
            let mut reads = 0u64;
            loop {
                let floor = announced.load(Ordering::SeqCst);
                if floor == u64::MAX {
                    return reads;
                }
                let found = world.by_key("k").await.unwrap().unwrap();
                let seen: u64 = found.row()["tags"][0].as_str().unwrap().parse().unwrap();
                assert!(seen >= floor, "read version {seen} after {floor} was announced");
                reads += 1;
                tokio::task::yield_now().await;
            }
        }));
    }
    for version in 1..3000 {
        world.commit(&world.schemas.children, versioned(&world, version)).await;
        announced.store(version, Ordering::SeqCst);
        if version % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    announced.store(u64::MAX, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
}

fn versioned(world: &World, version: u64) -> RowOp {
    let tags = json!([version.to_string()]);
    RowOp::Upsert(row(
        json!({"id": id_of(1), "key": "k", "parent": {"id": world.parent}, "tags": tags}),
    ))
}
