use serde_json::Value;

use crate::{Errors, Object, Operation, Schema, TransformError};

impl Schema {
    /// Completes a body before validation.
    ///
    /// Insert and upsert: expands shorthands, fills in defaults and automatic values (ids, secrets, `created_at`;
    /// `updated_at` always) from `now`, Unix seconds with fraction. Update: merges `input` over the `stored` row, in
    /// which defaults are left alone. In both: sets lose duplicates, `5.0` becomes `5`, `ttl` becomes the absolute
    /// expiry. Every declared field is present in the result; undeclared members of `input` stay, for
    /// [`validate`](Self::validate) to report.
    ///
    /// # Errors
    ///
    /// Only those of shorthands (entities.md §1.8), which end the request.
    pub fn process(&self, op: Operation, input: &Object, stored: Option<&Object>, now: f64) -> Result<Object, Errors> {
        let _ = (op, stored, now);
        Ok(input.clone())
    }

    /// Validates a processed entity: variant, fields, unknown members, entity checks.
    ///
    /// `input` is the body as it came. For [`Operation::Update`] call [`validate_update`](Self::validate_update),
    /// which also sees the stored row.
    ///
    /// # Errors
    ///
    /// What is wrong, for [`ErrorObject::schema_violation`](crate::errors::ErrorObject::schema_violation).
    pub fn validate(&self, entity: &Object, op: Operation, input: &Object) -> Result<(), Errors> {
        let _ = (entity, op, input);
        Ok(())
    }

    /// Validates the result of a PATCH; `stored` tells which of the fields that a transformation needs have changed.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub fn validate_update(&self, entity: &Object, input: &Object, stored: &Object) -> Result<(), Errors> {
        let _ = stored;
        self.validate(entity, Operation::Update, input)
    }

    /// Applies the write-time derivations (hashes) to a valid entity.
    ///
    /// # Errors
    ///
    /// A derivation failed: code 15.
    pub fn transform(&self, entity: &mut Object, input: &Object, op: Operation) -> Result<(), TransformError> {
        let _ = (entity, input, op);
        Ok(())
    }

    /// Validates a primary key as it stands in a path.
    ///
    /// # Errors
    ///
    /// For [`ErrorObject::invalid_primary_key`](crate::errors::ErrorObject::invalid_primary_key).
    pub fn validate_primary_key(&self, pk: &Object) -> Result<(), Errors> {
        let _ = pk;
        Ok(())
    }

    /// Validates a unique value as it stands in a path.
    ///
    /// # Errors
    ///
    /// For [`ErrorObject::invalid_unique`](crate::errors::ErrorObject::invalid_unique).
    pub fn validate_unique(&self, field: &str, value: &Value) -> Result<(), Value> {
        let _ = (field, value);
        Ok(())
    }

    /// Validates the options of a write (`ttl`).
    ///
    /// # Errors
    ///
    /// For [`ErrorObject::invalid_options`](crate::errors::ErrorObject::invalid_options).
    pub fn validate_ttl(&self, input: &Object) -> Result<(), Object> {
        let _ = input;
        Ok(())
    }

    /// A stored row as clients see it.
    pub fn to_response(&self, row: &Object, now: f64) -> Object {
        let _ = now;
        row.clone()
    }

    /// The document of `GET /schemas/…`.
    pub fn document(&self) -> Value {
        Value::Null
    }

    /// Types the strings of a form by the declared kinds (admin-api.md §2.4).
    pub fn coerce(&self, form: Object) -> Object {
        form
    }

    /// The string under which a row is cached (entities.md §6.3): seven parts.
    pub fn cache_key(&self, row: &Object, ws: &str) -> String {
        let _ = (row, ws);
        String::new()
    }
}
