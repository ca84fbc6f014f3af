//! Several processes on one file.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use kong_datastore::{CounterKey, Datastore, EventCursor, Key, PageQuery, StoreError};
use kong_datastore_sqlite::{SqliteOptions, SqliteStore};
use support::{child, insert, open, this_binary};
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child process of the other tests"]
async fn child_writer() {
    support::write_and_acknowledge().await;
}

#[tokio::test]
async fn another_process_sees_changes_and_is_told_within_a_moment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    let (store, schemas) = open(&path).await;
    let mut ticks = store.watch().unwrap();
    let cursor = store
        .events_since(Uuid::new_v4(), EventCursor::default())
        .await
        .unwrap()
        .cursor;
    // Own writes don't tick: a node need not read what it has written itself.
    insert(&store, &schemas, Uuid::nil(), "own").await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!ticks.has_changed().unwrap());
    let mut process = child(this_binary(), &path, "other", 3, 1).spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(20), ticks.changed())
        .await
        .expect("no tick")
        .unwrap();
    let (ws, key) = (store.default_workspace(), Key::unique("name", "other-0"));
    let found = store.select(&schemas.parents, ws, &key);
    // The first tick may be about the tables that the child made sure of.
    if found.await.unwrap().is_none() {
        tokio::time::timeout(Duration::from_secs(20), ticks.changed())
            .await
            .expect("no tick")
            .unwrap();
    }
    assert!(process.wait().unwrap().success());
    let names = store
        .page(&PageQuery::all(&schemas.parents, store.default_workspace(), 100))
        .await
        .unwrap()
        .rows;
    assert_eq!(names.len(), 4);
    let events = store.events_since(Uuid::nil(), cursor).await.unwrap().events;
    assert_eq!(events.len(), 3, "the events of the other process: {events:?}");
    // How long a tick takes once everything runs.
    let second = SqliteStore::open(&path).unwrap();
    second.prepare(&schemas.all()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    ticks.mark_unchanged();
    let begun = Instant::now();
    insert(&second, &schemas, Uuid::nil(), "timed").await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), ticks.changed())
        .await
        .expect("no tick")
        .unwrap();
    println!("told after {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_write_together_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    // They also start together, on a file that isn't there yet.
    let children: Vec<_> = (0..3)
        .map(|n| child(this_binary(), &path, &format!("p{n}"), 100, 4).spawn().unwrap())
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let (store, schemas) = open(&path).await;
    let rows = store
        .page(&PageQuery::all(&schemas.parents, store.default_workspace(), 1000))
        .await
        .unwrap()
        .rows;
    let names: HashSet<_> = rows.iter().filter_map(|r| r["name"].as_str()).collect();
    assert_eq!(names.len(), 300);
    let check = rusqlite::Connection::open(&path).unwrap();
    let workspaces: i64 = check
        .query_row("SELECT count(*) FROM workspaces", [], |row| row.get(0))
        .unwrap();
    assert_eq!(workspaces, 1, "processes that start together agree on the workspace");
    let backwards: i64 = check
        .query_row("SELECT count(*) - count(DISTINCT id) FROM cluster_events", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(backwards, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counters_of_several_stores_on_one_file_add_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    let key = CounterKey {
        identifier: "x".into(),
        period: "minute".into(),
        period_date: 0,
        service_id: Uuid::nil(),
        route_id: Uuid::nil(),
    };
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let (store, _) = open(&path).await;
        let key = key.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..30 {
                store.add(&[(key.clone(), 1)], Duration::from_secs(60)).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(open(&path).await.0.counter(&key).await.unwrap(), 90);
}

#[tokio::test]
async fn a_lock_held_too_long_is_named_and_reads_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    let (first, schemas) = open(&path).await;
    insert(&first, &schemas, Uuid::nil(), "a").await.unwrap();
    let options = SqliteOptions {
        busy_timeout: Duration::from_millis(200),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open_with(&path, options).unwrap();
    store.prepare(&schemas.all()).await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    let error = insert(&store, &schemas, Uuid::nil(), "b").await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(
        matches!(&error, StoreError::Unavailable(text) if text.contains("locked")),
        "{error}"
    );
    let found = store
        .select(&schemas.parents, store.default_workspace(), &Key::unique("name", "a"))
        .await
        .unwrap();
    assert!(found.is_some());
    other.execute_batch("ROLLBACK").unwrap();
    insert(&store, &schemas, Uuid::nil(), "b").await.unwrap();
}
