//! The one-line summary of a schema violation (entities.md §2.3).

use serde_json::Value;

use crate::Object;
use crate::table::{compact, indented};

/// `schema violation (…)` or `<n> schema violations (…; …)`.
pub(crate) fn schema_violation_message(fields: &Object) -> String {
    let items = items(fields);
    match items.as_slice() {
        [item] => format!("schema violation ({item})"),
        items => format!("{} schema violations ({})", items.len(), items.join("; ")),
    }
}

fn items(fields: &Object) -> Vec<String> {
    let mut items = Vec::new();
    match fields.get("@entity") {
        Some(Value::Array(texts)) => items.extend(texts.iter().filter_map(Value::as_str).map(str::to_owned)),
        Some(Value::String(text)) => items.push(text.clone()),
        _ => {}
    }
    let mut names: Vec<&String> = fields.keys().filter(|name| *name != "@entity").collect();
    names.sort_unstable();
    for name in names {
        match &fields[name] {
            Value::Object(inner) => {
                let mut keys: Vec<&String> = inner.keys().collect();
                keys.sort_unstable();
                items.extend(
                    keys.into_iter()
                        .map(|key| format!("{name}.{key}: {}", text(&inner[key]))),
                );
            }
            Value::Array(inner) => {
                let present = inner.iter().enumerate().filter(|(_, error)| !error.is_null());
                items.extend(present.map(|(i, error)| format!("{name}.{}: {}", i + 1, text(error))));
            }
            error => items.push(format!("{name}: {}", text(error))),
        }
    }
    items
}

fn text(error: &Value) -> String {
    match error {
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => indented(error),
        other => compact(other),
    }
}
