//! The `Datastore` trait, its queries, pages, errors and cluster events, the in-memory store, the typed operations
//! over any store (`dao`), and the public conformance suite (`testkit`). Names no database.

mod batch;
mod error;
mod event;
mod key;
mod store;

pub use batch::{Batch, Change, RowOp, Write};
pub use error::{StoreError, StoreResult};
pub use event::{Event, EventCursor, EventPage};
pub use key::{Key, Page, PageQuery, PageToken, Row, TagFilter, WorkspaceId};
pub use store::{BoxFuture, CounterKey, Datastore, StoreInfo};
