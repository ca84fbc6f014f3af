//! Files that cannot be used, files of older versions, files that are reopened.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod support;

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use kong_datastore::{Batch, Datastore, Key, PageQuery, RowOp, StoreError};
use kong_datastore_sqlite::{SqliteOptions, SqliteStore};
use kong_schema::{Field, FieldDef, Kind, Unique};
use serde_json::{Value, json};
use support::{insert, open};
use uuid::Uuid;

fn refusal(path: &Path) -> String {
    match SqliteStore::open(path) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn unusable_paths_are_explained() {
    let directory = tempfile::tempdir().unwrap();
    let rows = [
        (directory.path().to_owned(), "is a directory"),
        (directory.path().join("missing/store.sqlite"), "does not exist"),
        (Path::new("/proc/store.sqlite").to_owned(), "cannot use"),
    ];
    for (path, expected) in rows {
        let text = refusal(&path);
        assert!(
            text.contains(expected) && text.contains(&*path.to_string_lossy()),
            "{}: {text}",
            path.display()
        );
    }
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    let text = "this is somebody's text file, long enough to hold a header ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let refusal = refusal(&path);
    assert!(
        refusal.contains("not an SQLite database") && refusal.contains("restore"),
        "{refusal}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn damage_is_reported_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    {
        let (store, schemas) = open(&path).await;
        for n in 0..200 {
            insert(&store, &schemas, Uuid::nil(), &format!("n{n}")).await.unwrap();
        }
    }
    let length = std::fs::metadata(&path).unwrap().len();
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // Everything but the first page, which holds the header.
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xA5; usize::try_from(length).unwrap() - 4096])
        .unwrap();
    drop(file);
    let error = match SqliteStore::open(&path) {
        Err(error) => error,
        Ok(store) => {
            let schemas = kong_datastore::testkit::TestSchemas::new();
            let prepared = store.prepare(&schemas.all()).await;
            let query = PageQuery::all(&schemas.parents, store.default_workspace(), 1000);
            prepared.and(store.page(&query).await.map(drop)).unwrap_err()
        }
    };
    assert!(
        matches!(&error, StoreError::Internal(text) if text.contains("damaged")),
        "{error}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    let (_store, _) = open(&path).await;
    for suffix in ["", "-wal", "-shm"] {
        let file = directory.path().join(format!("store.sqlite{suffix}"));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    let (store, schemas) = open(&path).await;
    let ws = store.default_workspace();
    insert(&store, &schemas, Uuid::nil(), "a").await.unwrap();
    assert!(!store.migration_status().await.unwrap().needs_bootstrap);
    drop(store);
    assert!(
        !directory.path().join("store.sqlite-wal").exists(),
        "a closed store leaves one file"
    );
    let (store, schemas) = open(&path).await;
    assert_eq!(store.default_workspace(), ws);
    assert!(
        store
            .select(&schemas.parents, ws, &Key::unique("name", "a"))
            .await
            .unwrap()
            .is_some()
    );
    store.ping().await.unwrap();
    assert_eq!(store.info().kind, "sqlite");
}

#[test]
fn an_old_file_is_refused_where_migrating_is_not_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    let options = || SqliteOptions {
        migrate: false,
        ..SqliteOptions::default()
    };
    let error = SqliteStore::open_with(&path, options()).err().unwrap();
    assert!(
        matches!(&error, StoreError::NeedsMigration(text) if text.contains("kong migrations up")),
        "{error}"
    );
    drop(SqliteStore::open(&path).unwrap());
    SqliteStore::open_with(&path, options()).unwrap();
}

#[tokio::test]
async fn a_generated_table_grows_with_its_schema() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    let (store, mut schemas) = open(&path).await;
    let ws = store.default_workspace();
    insert(&store, &schemas, Uuid::nil(), "a").await.unwrap();
    drop(store);
    let mut grown = (*schemas.parents).clone();
    let fresh = |name: &str, kind, unique| Field {
        name: name.into(),
        def: FieldDef {
            kind,
            unique,
            ..FieldDef::default()
        },
    };
    grown.fields.push(fresh("weight", Kind::Integer, Unique::No));
    grown.fields.push(fresh("alias", Kind::String, Unique::Workspace));
    schemas.parents = Arc::new(grown);
    let store = SqliteStore::open(&path).unwrap();
    for _ in 0..2 {
        store.prepare(&schemas.all()).await.unwrap();
    }
    let mut row = store
        .select(&schemas.parents, ws, &Key::unique("name", "a"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&row["weight"], &row["alias"]), (&Value::Null, &Value::Null));
    row.insert("weight".into(), json!(7));
    row.insert("alias".into(), json!("z"));
    let update = RowOp::Upsert(row);
    store
        .write(Batch::one(Uuid::nil(), &schemas.parents, ws, update))
        .await
        .unwrap();
    let row = store
        .select(&schemas.parents, ws, &Key::unique("alias", "z"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row["weight"], 7);
}

#[tokio::test]
async fn an_unprepared_entity_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.sqlite")).unwrap();
    let schemas = kong_datastore::testkit::TestSchemas::new();
    let key = Key::id("x");
    let error = store
        .select(&schemas.parents, store.default_workspace(), &key)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NeedsMigration(_)), "{error}");
    let orphan = store
        .prepare(std::slice::from_ref(&schemas.children))
        .await
        .unwrap_err();
    assert!(orphan.to_string().contains("testkit_parents"), "{orphan}");
}
