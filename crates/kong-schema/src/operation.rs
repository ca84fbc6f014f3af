//! The three kinds of writes.

use crate::Object;

/// A write. The engine behaves differently for each (entities.md §1.2, §1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// POST.
    Insert,
    /// PUT: insert or full replacement.
    Upsert,
    /// PATCH.
    Update,
}

/// Errors by field: text, a nested object, or an array with nulls at the positions that are fine. `@entity` holds an
/// array of strings about the entity as a whole.
pub type Errors = Object;

/// A write-time derivation failed; code 15.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transformation '{transformation}' failed: {reason}")]
pub struct TransformError {
    /// Name of the transformation.
    pub transformation: String,
    /// What went wrong.
    pub reason: String,
}
