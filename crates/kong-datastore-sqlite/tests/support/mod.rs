//! Child processes that write: the test binary runs itself, only its ignored test `child_writer`.

// Each test file uses its part.
#![allow(dead_code)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use kong_datastore::testkit::TestSchemas;
use kong_datastore::{Batch, Change, Datastore, RowOp, StoreResult};
use kong_datastore_sqlite::SqliteStore;
use serde_json::json;
use uuid::Uuid;

/// A prepared store on a file.
pub async fn open(path: &Path) -> (Arc<SqliteStore>, TestSchemas) {
    let store = Arc::new(SqliteStore::open(path).unwrap());
    let schemas = TestSchemas::new();
    store.prepare(&schemas.all()).await.unwrap();
    (store, schemas)
}

/// Inserts a parent of that name.
pub async fn insert(store: &SqliteStore, schemas: &TestSchemas, node: Uuid, name: &str) -> StoreResult<Vec<Change>> {
    let row = json!({"id": Uuid::new_v4().to_string(), "name": name, "tags": ["written"]});
    let op = RowOp::Insert(row.as_object().unwrap().clone());
    store
        .write(Batch::one(node, &schemas.parents, store.default_workspace(), op))
        .await
}

/// A child that writes `count` rows named `prefix-<n>` from `tasks` tasks and prints each name once it is acknowledged.
pub fn child(mut command: Command, path: &Path, prefix: &str, count: usize, tasks: usize) -> Command {
    command
        .args([
            "child_writer",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("CHILD_PATH", path)
        .env("CHILD_PREFIX", prefix)
        .env("CHILD_COUNT", count.to_string())
        .env("CHILD_TASKS", tasks.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// What the child does.
pub async fn write_and_acknowledge() {
    let Some(path) = std::env::var_os("CHILD_PATH") else {
        return;
    };
    let number = |name: &str| std::env::var(name).unwrap().parse::<usize>().unwrap();
    let (prefix, count, tasks) = (
        std::env::var("CHILD_PREFIX").unwrap(),
        number("CHILD_COUNT"),
        number("CHILD_TASKS"),
    );
    let (store, schemas) = open(Path::new(&path)).await;
    let node = Uuid::new_v4();
    let mut writers = Vec::new();
    for task in 0..tasks {
        let (store, schemas, prefix) = (store.clone(), schemas.clone(), prefix.clone());
        writers.push(tokio::spawn(async move {
            for n in (task..count).step_by(tasks) {
                let name = format!("{prefix}-{n}");
                insert(&store, &schemas, node, &name).await.unwrap();
                // One write call, so that the line is whole or not there; the test harness does not buffer it.
                let line = format!("ack {name}\n");
                std::io::Write::write_all(&mut std::io::stdout().lock(), line.as_bytes()).unwrap();
                std::io::Write::flush(&mut std::io::stdout().lock()).unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

/// The test binary as a command.
pub fn this_binary() -> Command {
    Command::new(std::env::current_exe().unwrap())
}
