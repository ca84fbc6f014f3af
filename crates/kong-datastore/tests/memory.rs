//! The in-memory store passes the conformance suite.

use std::sync::Arc;

kong_datastore::datastore_test_suite!(memory, || async { Arc::new(kong_datastore::MemoryStore::new()) });
