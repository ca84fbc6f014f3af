//! What a lookup may answer instead of a value.

use thiserror::Error;

/// Failure of a lookup or of decoding a cached row. Cheap to clone: all who wait for one load get the same error.
#[derive(Debug, Clone, Error)]
pub enum CacheError {
    /// The store failed and no known value could be served in its place.
    #[error("{0}")]
    Store(String),
    /// The row is not what the type expects.
    #[error("cannot decode {entity}: {reason}")]
    Decode {
        /// Rust type asked for.
        entity: &'static str,
        /// What was wrong.
        reason: String,
    },
}
