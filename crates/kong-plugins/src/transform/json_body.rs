//! Changes to the members of a JSON object.

use serde_json::{Map, Value};

/// Present as the rules see it: `false` is not, null is.
pub(super) fn is_truthy(value: Option<&Value>) -> bool {
    !matches!(value, None | Some(Value::Bool(false)))
}

/// Adds to a member: a text becomes a list of two, a list grows, anything else becomes a list of one.
pub(super) fn append(object: &mut Map<String, Value>, name: &str, value: Value) {
    match object.get_mut(name) {
        Some(Value::Array(values)) => values.push(value),
        Some(text @ Value::String(_)) => {
            let first = text.take();
            *text = Value::Array(vec![first, value]);
        }
        _ => {
            object.insert(name.to_owned(), Value::Array(vec![value]));
        }
    }
}
