//! What a store may answer instead of a result.

use kong_schema::Object;
use thiserror::Error;

/// Result of a store operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// Failure of a store operation. The first four are the client's doing, the others the store's.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The primary key exists (code 3). Holds the key.
    #[error("primary key violation on {entity}: {key:?}")]
    PrimaryKey {
        /// Entity.
        entity: String,
        /// Primary key fields.
        key: Object,
    },
    /// A unique field or composite key is taken (code 5). Holds the fields as the Admin API reports them.
    #[error("unique violation on {entity}: {fields:?}")]
    Unique {
        /// Entity.
        entity: String,
        /// Violated key: `{name: "x"}`, or all fields of a composite key with null or `{id}` for foreign ones.
        fields: Object,
    },
    /// A foreign key points nowhere (code 4).
    #[error("{entity}.{field} references no existing {reference}")]
    ForeignKey {
        /// Entity written.
        entity: String,
        /// Foreign field.
        field: String,
        /// Referenced entity.
        reference: String,
        /// The key that does not exist, e.g. `{id: …}`.
        key: Object,
    },
    /// A row cannot be deleted while others reference it (code 4).
    #[error("{entity} is still referenced by {by}")]
    Restricted {
        /// Entity to delete.
        entity: String,
        /// Schema name of the referencing entity.
        by: String,
    },
    /// The row to update does not exist (code 6).
    #[error("no such {entity}: {key:?}")]
    NotFound {
        /// Entity.
        entity: String,
        /// Primary key fields.
        key: Object,
    },
    /// The store holds no usable schema; says which migration command to run.
    #[error("{0}")]
    NeedsMigration(String),
    /// The store cannot be reached or did not answer in time. The operation may or may not have happened.
    #[error("datastore unavailable: {0}")]
    Unavailable(String),
    /// The store answered something that it never should.
    #[error("datastore failure: {0}")]
    Internal(String),
}
