//! The write primitive: rows and the events that announce them commit together.

use std::sync::Arc;

use kong_schema::Schema;
use uuid::Uuid;

use crate::{Event, Key, Row, WorkspaceId};

/// What to do with one row.
#[derive(Debug, Clone)]
pub enum RowOp {
    /// Insert; fails with a primary-key or unique violation when taken.
    Insert(Row),
    /// Insert or replace the row with the same primary key. Replacing never deletes: children stay.
    Upsert(Row),
    /// Replace the row under `key` (always a primary key); fails with `NotFound` when it is gone.
    Update {
        /// Primary key.
        key: Key,
        /// The whole new row; its primary key is that of `key`.
        row: Row,
    },
    /// Delete the row under `key` (always a primary key) with its cascade; not an error when absent.
    Delete {
        /// Primary key.
        key: Key,
    },
}

/// One operation on one entity.
#[derive(Debug, Clone)]
pub struct Write {
    /// Entity.
    pub schema: Arc<Schema>,
    /// Workspace of the row; ignored for entities that do not belong to one.
    pub ws: WorkspaceId,
    /// Operation.
    pub op: RowOp,
}

/// Operations that become visible together or not at all, with the events that announce them.
///
/// Within a batch operations apply in order, and each sees the effect of those before it. Foreign keys are checked
/// when the operation applies (parents before children). Cascades and "set null" happen inside the same commit.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Node that writes; stamped on the events.
    pub node_id: Uuid,
    /// Row operations, in order.
    pub writes: Vec<Write>,
    /// Further events to record beside those that the store derives from every row change, cascaded ones included
    /// ([`events_for`](crate::events_for): the cache keys of the old and the new row). `at` is set by the store.
    pub events: Vec<Event>,
}

impl Batch {
    /// A batch of one operation.
    pub fn one(node_id: Uuid, schema: &Arc<Schema>, ws: WorkspaceId, op: RowOp) -> Self {
        Self {
            node_id,
            writes: vec![Write {
                schema: schema.clone(),
                ws,
                op,
            }],
            events: Vec::new(),
        }
    }
}

/// What a committed operation did to one row, cascaded ones included.
#[derive(Debug, Clone)]
pub struct Change {
    /// Entity.
    pub schema: Arc<Schema>,
    /// Row before, `None` on insert.
    pub old: Option<Row>,
    /// Row after, `None` on delete.
    pub new: Option<Row>,
}
