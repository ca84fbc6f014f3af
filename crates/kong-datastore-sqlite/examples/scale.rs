//! How the store does with many rows: `cargo run --release -p kong-datastore-sqlite --example scale [rows] [file]` fills a
//! file with consumers and as many keys (unless it holds them already) and prints what lookups, pages and writes cost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kong_datastore::testkit::TestSchemas;
use kong_datastore::{Batch, Datastore, Key, PageQuery, RowOp, Write};
use kong_datastore_sqlite::SqliteStore;
use serde_json::json;
use uuid::Uuid;

const BATCH: usize = 2000;

/// The same id for the same number in every run.
fn id(kind: u8, n: usize) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{kind}:{n}").as_bytes()).to_string()
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{what:<44} median {:>9.1?}  99 % {:>9.1?}  worst {:>9.1?}",
        at(50),
        at(99),
        at(100)
    );
}

#[tokio::main]
async fn main() {
    let rows: usize = std::env::args().nth(1).map_or(100_000, |a| a.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = std::env::args()
        .nth(2)
        .map_or_else(|| directory.path().join("scale.sqlite"), PathBuf::from);
    let begun = Instant::now();
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    let schemas = TestSchemas::new();
    store.prepare(&schemas.all()).await.unwrap();
    println!("opened in {:?}", begun.elapsed());
    let ws = store.default_workspace();
    let write = |schema: &Arc<_>, row: serde_json::Value| Write {
        schema: Arc::clone(schema),
        ws,
        op: RowOp::Insert(row.as_object().unwrap().clone()),
    };
    let last = Key::unique("key", format!("key-{}", rows - 1));
    if store.select(&schemas.children, ws, &last).await.unwrap().is_none() {
        let begun = Instant::now();
        for start in (0..rows).step_by(BATCH) {
            let mut writes = Vec::new();
            for n in start..(start + BATCH).min(rows) {
                writes.push(write(
                    &schemas.parents,
                    json!({"id": id(0, n), "name": format!("consumer-{n}")}),
                ));
                let key = json!({"id": id(1, n), "key": format!("key-{n}"), "parent": {"id": id(0, n)}});
                writes.push(write(&schemas.children, key));
            }
            store
                .write(Batch {
                    node_id: Uuid::nil(),
                    writes,
                    events: Vec::new(),
                })
                .await
                .unwrap();
        }
        let bytes = std::fs::metadata(&path).unwrap().len();
        println!(
            "{rows} consumers and keys written in {:?}, {} MB",
            begun.elapsed(),
            bytes >> 20
        );
    }
    let random = |n: usize| (n.wrapping_mul(2_654_435_761)) % rows;
    let mut times = Vec::new();
    for n in 0..5000 {
        let begun = Instant::now();
        let key = Key::unique("key", format!("key-{}", random(n)));
        assert!(store.select(&schemas.children, ws, &key).await.unwrap().is_some());
        times.push(begun.elapsed());
    }
    report("random key", times);
    let mut times = Vec::new();
    for n in 0..5000 {
        let begun = Instant::now();
        assert!(
            store
                .select(&schemas.children, ws, &Key::unique("key", format!("no-{n}")))
                .await
                .unwrap()
                .is_none()
        );
        times.push(begun.elapsed());
    }
    report("unknown key", times);
    let mut times = Vec::new();
    for n in 0..500 {
        let token = Some(vec![json!(id(0, random(n)))]);
        let query = PageQuery {
            after: token,
            ..PageQuery::all(&schemas.parents, ws, 100)
        };
        let begun = Instant::now();
        store.page(&query).await.unwrap();
        times.push(begun.elapsed());
    }
    report("page of 100 anywhere", times);
    let mut times = Vec::new();
    for n in 0..500 {
        let below = Some(("parent".to_owned(), id(0, random(n))));
        let query = PageQuery {
            by_foreign: below,
            ..PageQuery::all(&schemas.children, ws, 100)
        };
        let begun = Instant::now();
        assert_eq!(store.page(&query).await.unwrap().rows.len(), 1);
        times.push(begun.elapsed());
    }
    report("keys of a consumer", times);
    let mut times = Vec::new();
    for _ in 0..200 {
        let row = json!({"id": Uuid::new_v4().to_string(), "name": Uuid::new_v4().to_string()});
        let begun = Instant::now();
        let writes = vec![write(&schemas.parents, row)];
        store
            .write(Batch {
                node_id: Uuid::nil(),
                writes,
                events: Vec::new(),
            })
            .await
            .unwrap();
        times.push(begun.elapsed());
    }
    report("one durable write", times);
    let begun = Instant::now();
    let tasks: Vec<_> = (0..2000)
        .map(|_| {
            let row = json!({"id": Uuid::new_v4().to_string(), "name": Uuid::new_v4().to_string()});
            let batch = Batch {
                node_id: Uuid::nil(),
                writes: vec![write(&schemas.parents, row)],
                events: Vec::new(),
            };
            let store = store.clone();
            tokio::spawn(async move { store.write(batch).await.map(drop) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    println!("2000 concurrent durable writes in {:?}", begun.elapsed());
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        println!(
            "{}",
            status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default()
        );
    }
}
