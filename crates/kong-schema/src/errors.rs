//! Error objects of the Admin API: code, name, message and fields (entities.md §2).

use serde::Serialize;
use serde_json::{Value, json};

use crate::message::schema_violation_message;
use crate::table::compact;
use crate::{Errors, Object};

/// An error as a client sees it; serialises to the answer's body.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorObject {
    /// 1–19, see the constructors.
    pub code: u16,
    /// Name of the code.
    pub name: String,
    /// What happened.
    pub message: String,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Value>,
    /// What is wrong with which option (code 11).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<Value>,
    /// The errors of a declarative document by entity (code 14 on request).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flattened_errors: Option<Value>,
}

impl ErrorObject {
    fn new(code: u16, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            name: name.into(),
            message: message.into(),
            fields: None,
            options: None,
            flattened_errors: None,
        }
    }

    fn with_fields(mut self, fields: Object) -> Self {
        self.fields = Some(Value::Object(fields));
        self
    }

    /// 1: the key in the path is malformed.
    pub fn invalid_primary_key(fields: Errors) -> Self {
        let message = format!("invalid primary key: '{}'", table(&fields));
        Self::new(1, "invalid primary key", message).with_fields(fields)
    }

    /// 2: the entity does not fit its schema.
    pub fn schema_violation(fields: Errors) -> Self {
        Self::new(2, "schema violation", schema_violation_message(&fields)).with_fields(fields)
    }

    /// 2 with one error on one field.
    pub fn field_violation(field: &str, error: impl Into<Value>) -> Self {
        Self::schema_violation(one(field, error.into()))
    }

    /// 3: a row with this primary key exists.
    pub fn primary_key_violation(primary_key: Object) -> Self {
        let message = format!("primary key violation on key '{}'", table(&primary_key));
        Self::new(3, "primary key violation", message).with_fields(primary_key)
    }

    /// 4 on a write: the entity that `field` refers to does not exist.
    pub fn foreign_key_violation(field: &str, reference: &str, foreign_key: Object) -> Self {
        let message = format!(
            "the foreign key '{}' does not reference an existing '{reference}' entity.",
            table(&foreign_key)
        );
        Self::new(4, "foreign key violation", message).with_fields(one(field, Value::Object(foreign_key)))
    }

    /// 4 on a delete: a child row of the entity `child` still refers to the row.
    pub fn restricted_by(parent: &str, child: &str) -> Self {
        let message = format!("an existing '{child}' entity references this '{parent}' entity");
        Self::new(4, "foreign key violation", message).with_fields(one("@referenced_by", child.into()))
    }

    /// 5: another row has these unique values.
    pub fn unique_violation(keys: Object) -> Self {
        let message = format!("UNIQUE violation detected on '{}'", table(&keys));
        Self::new(5, "unique constraint violation", message).with_fields(keys)
    }

    /// 6: no row with this primary key.
    pub fn not_found(primary_key: Object) -> Self {
        let message = format!("could not find the entity with primary key '{}'", table(&primary_key));
        Self::new(6, "not found", message).with_fields(primary_key)
    }

    /// 6: no row with these values of another key.
    pub fn not_found_by(keys: Object) -> Self {
        let message = format!("could not find the entity with '{}'", table(&keys));
        Self::new(6, "not found", message).with_fields(keys)
    }

    /// 7: the page token is not one of ours; `reason` is `bad base64 encoding` or `bad json encoding`.
    pub fn invalid_offset(offset: &str, reason: &str) -> Self {
        Self::new(
            7,
            "invalid offset",
            format!("'{offset}' is not a valid offset: {reason}"),
        )
    }

    /// 8: the store failed. The text is for the log, clients see the generic 500 body.
    pub fn database_error(text: impl Into<String>) -> Self {
        Self::new(8, "database error", text)
    }

    /// 9: the page size is not a number.
    pub fn size_not_a_number() -> Self {
        Self::new(9, "invalid size", "size must be a number")
    }

    /// 9: the page size is out of range.
    pub fn size_out_of_range() -> Self {
        Self::new(9, "invalid size", "size must be an integer between 1 and 1000")
    }

    /// 10: the unique value in the path does not fit the field.
    pub fn invalid_unique(field: &str, error: &Value) -> Self {
        let message = error.as_str().map_or_else(|| compact(error), str::to_owned);
        Self::new(10, format!("invalid unique {field}"), message)
    }

    /// 11: options (`ttl`, `tags`, …) that do not fit.
    pub fn invalid_options(options: Object) -> Self {
        let items: Vec<String> = options
            .iter()
            .map(|(name, error)| {
                format!(
                    "{name}: {}",
                    error.as_str().map_or_else(|| compact(error), str::to_owned)
                )
            })
            .collect();
        let message = match items.as_slice() {
            [item] => format!("invalid option ({item})"),
            items => format!("{} option violations ({})", items.len(), items.join("; ")),
        };
        let mut error = Self::new(11, "invalid options", message);
        error.options = Some(Value::Object(options));
        error
    }

    /// 12: the operation does not exist here (DB-less mode).
    pub fn operation_unsupported(message: impl Into<String>) -> Self {
        Self::new(12, "operation unsupported", message)
    }

    /// 13: entities named by a unique field do not exist. Each item: field, key, value, referenced entity.
    pub fn foreign_keys_unresolved<'a>(
        unresolved: impl IntoIterator<Item = (&'a str, &'a str, &'a Value, &'a str)>,
    ) -> Self {
        let mut fields = Object::new();
        let mut items = Vec::new();
        for (field, key, value, reference) in unresolved {
            let keys = one(key, value.clone());
            let text = format!(
                "the foreign key cannot be resolved with '{}' for an existing '{reference}' entity",
                table(&keys)
            );
            items.push(format!("{field}.{key}: {text}"));
            if let Value::Object(inner) = fields.entry(field).or_insert_with(|| json!({})) {
                inner.insert(key.to_owned(), text.into());
            }
        }
        items.sort();
        let message = match items.as_slice() {
            [item] => format!("foreign key unresolved ({item})"),
            items => format!("{} foreign keys unresolved ({})", items.len(), items.join("; ")),
        };
        Self::new(13, "foreign keys unresolved", message).with_fields(fields)
    }

    /// 14: the declarative document does not fit. `fields` is an object, or an array of such.
    pub fn invalid_declarative_config(fields: Value, flattened_errors: Option<Value>) -> Self {
        let message = format!("declarative config is invalid: {}", compact(&fields));
        let mut error = Self::new(14, "invalid declarative configuration", message);
        error.fields = Some(fields);
        error.flattened_errors = flattened_errors;
        error
    }

    /// 15: a derivation (hash) failed.
    pub fn transformation_error(text: impl Into<String>) -> Self {
        Self::new(15, "transformation error", text)
    }

    /// 16: a page was asked for with a malformed foreign key.
    pub fn invalid_foreign_key(text: impl Into<String>) -> Self {
        Self::new(16, "invalid foreign key", text)
    }

    /// 17: no such workspace.
    pub fn invalid_workspace(text: impl Into<String>) -> Self {
        Self::new(17, "invalid workspace", text)
    }

    /// 18: a query over all workspaces that is not allowed.
    pub fn invalid_global_query(text: impl Into<String>) -> Self {
        Self::new(18, "invalid global query", text)
    }

    /// 19: a CA certificate is in use by a row of `entity`.
    pub fn ca_certificate_in_use(id: &str, entity: &str, entity_id: &str) -> Self {
        let message = format!("ca certificate {id} is still referenced by {entity} (id = {entity_id})");
        Self::new(19, "referenced by others", message)
    }

    /// Status of the answer.
    pub fn http_status(&self) -> u16 {
        match self.code {
            5 => 409,
            6 => 404,
            8 | 15..=18 => 500,
            12 => 405,
            _ => 400,
        }
    }

    /// Body of the answer: this object, or the generic text where the cause is not the client's business.
    pub fn body(&self) -> Value {
        if self.http_status() == 500 {
            return json!({"message": "An unexpected error occurred"});
        }
        serde_json::to_value(self).unwrap_or_else(|_| json!({"message": self.message}))
    }
}

impl std::fmt::Display for ErrorObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}] {}", self.name, self.message)
    }
}

impl std::error::Error for ErrorObject {}

fn one(key: &str, value: Value) -> Object {
    let mut object = Object::new();
    object.insert(key.to_owned(), value);
    object
}

fn table(object: &Object) -> String {
    compact(&Value::Object(object.clone()))
}
