//! Failures of the store as error objects (entities.md §2.2).

use kong_schema::Object;
use kong_schema::errors::ErrorObject;
use serde_json::Value;

use crate::StoreError;

/// The error object of a store failure. What the client did not cause is logged here and hidden from it (code 8).
pub fn store_failure(err: &StoreError) -> ErrorObject {
    match err {
        StoreError::PrimaryKey { key, .. } => ErrorObject::primary_key_violation(key.clone()),
        StoreError::Unique { fields, .. } => ErrorObject::unique_violation(fields.clone()),
        StoreError::ForeignKey {
            field, reference, key, ..
        } => ErrorObject::foreign_key_violation(field, reference, key.clone()),
        StoreError::Restricted { entity, by } => ErrorObject::restricted_by(entity, by),
        StoreError::NotFound { key, .. } => ErrorObject::not_found(key.clone()),
        StoreError::NeedsMigration(_) | StoreError::Unavailable(_) | StoreError::Internal(_) => {
            tracing::error!(%err, "the datastore failed");
            ErrorObject::database_error(err.to_string())
        }
    }
}

/// `{field: value}`.
pub(super) fn single(field: &str, value: impl Into<Value>) -> Object {
    Object::from_iter([(field.to_owned(), value.into())])
}
