//! Variants of an entity and their choice.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::validate::REQUIRED;
use crate::{Errors, Object, Schema};

/// Function of [`Polymorphic::unknown`]: the value → the error.
pub type UnknownFn = dyn Fn(&str) -> String + Send + Sync;

/// Variants of an entity, chosen by the value of a field.
#[derive(Clone)]
pub struct Polymorphic {
    /// Field whose value chooses (`name`, `protocols`; for a set the first known element).
    pub key: String,
    /// Value → variant. A variant's fields override or complete the base fields of the same name.
    pub variants: Vec<(String, Arc<Schema>)>,
    /// Text for an unknown value, `None`: `unknown type: <v>`.
    pub unknown: Option<Arc<UnknownFn>>,
}

impl PartialEq for Polymorphic {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.variants == other.variants
    }
}

impl fmt::Debug for Polymorphic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polymorphic")
            .field("key", &self.key)
            .field("variants", &self.variants.len())
            .finish()
    }
}

impl Polymorphic {
    /// Variant for a value: a string, or the first element of a list that is known.
    pub(crate) fn choose(&self, value: &Value) -> Option<&Arc<Schema>> {
        match value {
            Value::String(name) => self.variants.iter().find(|(n, _)| n == name).map(|(_, schema)| schema),
            Value::Array(items) => items.iter().filter(|v| v.is_string()).find_map(|v| self.choose(v)),
            _ => None,
        }
    }

    pub(crate) fn choose_strict(&self, entity: &Object) -> Result<&Arc<Schema>, Errors> {
        let value = entity.get(&self.key).unwrap_or(&Value::Null);
        if let Some(variant) = self.choose(value) {
            return Ok(variant);
        }
        let error = match value {
            Value::Null => REQUIRED.to_owned(),
            Value::Array(items) => self.unknown_text(items.first().unwrap_or(&Value::Null)),
            Value::Object(_) => self.unknown_text(&Value::Null),
            scalar => self.unknown_text(scalar),
        };
        let mut errors = Errors::new();
        errors.insert(self.key.clone(), error.into());
        Err(errors)
    }

    fn unknown_text(&self, value: &Value) -> String {
        let shown = if value.is_null() {
            "nil".to_owned()
        } else {
            crate::value::shown(value)
        };
        match &self.unknown {
            Some(text) => text(&shown),
            None => format!("unknown type: {shown}"),
        }
    }
}
