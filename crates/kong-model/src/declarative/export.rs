//! Rows to a document that can be loaded again (`GET /config`, `kong config db_export`).

use std::fmt::Write;
use std::sync::Arc;

use kong_schema::{Kind, Object, Schema};
use serde_json::Value;

/// The document as YAML: one list for each entity that has rows, every field, references as plain ids. Rows come in
/// groups by entity, parents before children.
pub fn export<'a>(groups: impl IntoIterator<Item = (&'a Arc<Schema>, &'a [Object])>) -> String {
    let mut out = String::from("_format_version: '3.0'\n_transform: false\n");
    for (schema, rows) in groups {
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{}:", schema.name);
        for row in rows {
            let mut lead = "- ";
            for field in &schema.fields {
                if field.def.transient {
                    continue;
                }
                let value = row.get(&field.name).unwrap_or(&Value::Null);
                let value = match (&field.def.kind, value) {
                    (Kind::Foreign(_), Value::Object(key)) => key.get("id").unwrap_or(&Value::Null),
                    (_, value) => value,
                };
                let _ = writeln!(out, "{lead}{}: {}", key(&field.name), scalar(value));
                lead = "  ";
            }
            if let Some(ttl) = row.get("ttl").filter(|_| schema.storage.ttl) {
                let _ = writeln!(out, "{lead}ttl: {}", scalar(ttl));
            }
        }
    }
    out
}

fn key(name: &str) -> String {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !matches!(
            name,
            "on" | "off" | "yes" | "no" | "y" | "n" | "true" | "false" | "null"
        );
    if is_plain {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

/// A value in YAML's flow style, where JSON is YAML; plain text where that cannot be mistaken.
fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "~".to_owned(),
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(text) if !text.contains(['\'', '\n', '\r', '\t']) && !text.chars().any(char::is_control) => {
            format!("'{text}'")
        }
        other => other.to_string(),
    }
}

/// Text that YAML 1.1 reads as exactly this text without quotes.
fn is_plain(text: &str) -> bool {
    let starts_plain = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'/');
    let is_word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "y" | "n" | "nan" | "inf"
    );
    starts_plain && !is_word && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
}
