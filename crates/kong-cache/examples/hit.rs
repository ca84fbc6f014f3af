//! What a hit costs: `cargo run --release -p kong-cache --example hit [lookups] [keys]` prints nanoseconds per lookup.
//! For instructions, run it under `valgrind --tool=callgrind` with two numbers of lookups and divide the difference.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Instant;

use kong_cache::{CacheOptions, EntityCache, Lookup};
use kong_datastore::testkit::TestSchemas;
use kong_datastore::{Batch, Datastore, MemoryStore, RowOp};
use serde_json::json;
use uuid::Uuid;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let argument = |n: usize, default: usize| std::env::args().nth(n).map_or(default, |a| a.parse().unwrap());
    let (lookups, keys) = (argument(1, 10_000_000), argument(2, 100));
    let store = Arc::new(MemoryStore::new());
    let schemas = TestSchemas::new();
    store.prepare(&schemas.all()).await.unwrap();
    let ws = store.default_workspace();
    let insert = |schema, row: serde_json::Value| {
        store.write(Batch::one(
            Uuid::nil(),
            schema,
            ws,
            RowOp::Insert(row.as_object().unwrap().clone()),
        ))
    };
    let parent = Uuid::new_v4().to_string();
    insert(&schemas.parents, json!({"id": parent})).await.unwrap();
    let keys: Vec<String> = (0..keys).map(|n| format!("{n:032x}")).collect();
    for key in &keys {
        let row = json!({"id": Uuid::new_v4().to_string(), "key": key, "parent": {"id": parent}});
        insert(&schemas.children, row).await.unwrap();
    }
    let cache = EntityCache::new(CacheOptions::new(store.clone(), ws));
    for key in &keys {
        if let Lookup::Miss(load) = cache.lookup_unique(&schemas.children, "key", key) {
            load.await.unwrap();
        }
        let _ = cache.lookup_unique(&schemas.children, "key", key);
    }
    let begun = Instant::now();
    let mut found = 0usize;
    for key in keys.iter().cycle().take(lookups) {
        if let Lookup::Hit(Some(_)) = cache.lookup_unique(&schemas.children, "key", std::hint::black_box(key)) {
            found += 1;
        }
    }
    let nanos = begun.elapsed().as_nanos() as f64 / lookups.max(1) as f64;
    println!("{found} of {lookups} lookups hit, {nanos:.1} ns each");
}
