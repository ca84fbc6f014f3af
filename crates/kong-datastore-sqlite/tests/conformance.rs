//! SQLite passes the conformance suite.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use kong_datastore::testkit::Subject;
use kong_datastore_sqlite::SqliteStore;

kong_datastore::datastore_test_suite!(sqlite, || async {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("store.sqlite")).unwrap();
    Subject::keeping(Arc::new(store), directory)
});
