//! The `Datastore` trait, its queries, pages, errors and cluster events, the in-memory store, the typed operations
//! over any store (`dao`), and the public conformance suite (`testkit`). Names no database.
//!
//! ```
//! # async fn example(schema: std::sync::Arc<kong_schema::Schema>) -> kong_datastore::StoreResult<()> {
//! use kong_datastore::{Batch, Datastore, Key, MemoryStore, Row, RowOp};
//!
//! let store = MemoryStore::new();
//! store.prepare(std::slice::from_ref(&schema)).await?;
//! let row = Row::from_iter([("id".to_owned(), "a".into())]);
//! let node = uuid::Uuid::new_v4();
//! store.write(Batch::one(node, &schema, store.default_workspace(), RowOp::Insert(row))).await?;
//! assert!(store.select(&schema, store.default_workspace(), &Key::id("a")).await?.is_some());
//! # Ok(())
//! # }
//! ```

pub mod apply;
mod batch;
mod cache_key;
pub mod dao;
mod error;
mod event;
mod key;
mod memory;
mod relations;
mod store;
pub mod testkit;

pub use batch::{Batch, Change, RowOp, Write};
pub use cache_key::{cache_key, cache_keys, list_cache_key, lookup_cache_key};
pub use error::{StoreError, StoreResult};
pub use event::{CORE_INVALIDATIONS, Event, EventCursor, EventPage, INVALIDATIONS, events_for};
pub use key::{Key, Page, PageQuery, PageToken, Row, TagFilter, TagPage, TagQuery, TagRow, WorkspaceId};
pub use memory::MemoryStore;
pub use relations::{
    ChildRelation, Relations, UniqueKey, foreign_fields, foreign_id, foreign_violation, is_expired, normalize,
    primary_key_of, unix_now,
};
pub use store::{BoxFuture, CounterKey, Datastore, StoreInfo};
