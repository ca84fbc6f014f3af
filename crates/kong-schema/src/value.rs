//! Values inside an object: dotted paths, emptiness, numbers.

use serde_json::{Number, Value};

use crate::Object;

/// Value at a dotted path; `None` when a member on the way is absent.
pub(crate) fn at<'a>(object: &'a Object, path: &str) -> Option<&'a Value> {
    // A member may have a dot in its own name.
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    at(object.get(first)?.as_object()?, rest)
}

/// Sets the error at a dotted path. What stands in the way gives way: the more specific error is the later one.
pub(crate) fn set_error(errors: &mut Object, path: &str, error: Value) {
    match path.split_once('.') {
        None => {
            errors.insert(path.to_owned(), error);
        }
        Some((first, rest)) => {
            let inner = errors.entry(first).or_insert_with(|| Value::Object(Object::new()));
            if !inner.is_object() {
                *inner = Value::Object(Object::new());
            }
            if let Value::Object(inner) = inner {
                set_error(inner, rest, error);
            }
        }
    }
}

/// Null, `""`, `[]`, `{}`.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A reference into a vault, which stands for a value that is not known yet.
pub(crate) fn is_vault_reference(text: &str) -> bool {
    text.starts_with("{vault://") && text.ends_with('}')
}

/// `8-4-4-4-12` hexadecimal digits.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// The number as an integer where it is one: `5.0` becomes `5`.
pub(crate) fn normalised(number: &Number) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !number.is_f64() {
        return None;
    }
    let float = number.as_f64()?;
    #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
    (float.fract() == 0.0 && float.abs() <= EXACT).then(|| Number::from(float as i64))
}

/// Text of a value inside a message.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => crate::table::compact(value),
        other => other.to_string(),
    }
}
