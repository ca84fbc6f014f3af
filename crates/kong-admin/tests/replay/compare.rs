//! Compares an answer with a recorded one (the rules of the recording's own runner).

use regex::Regex;
use serde_json::Value;

use super::Known;

/// Puts saved values in the place of `{{name}}`.
pub(super) fn substitute(value: &Value, known: &Known) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(k, v)| (k.clone(), substitute(v, known))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|v| substitute(v, known)).collect()),
        Value::String(text) => {
            let mut text = text.clone();
            for (name, value) in known {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text = text.replace(&format!("{{{{{name}}}}}"), &value);
            }
            Value::String(text)
        }
        other => other.clone(),
    }
}

/// Lists under `data` come in no promised order.
pub(super) fn unordered(mut body: Value) -> Value {
    if let Some(data) = body.get_mut("data").and_then(Value::as_array_mut) {
        data.sort_by_key(|element| (generalise(element.clone(), "").to_string(), element.to_string()));
    }
    body
}

/// A value with what is volatile replaced by a wildcard.
fn generalise(value: Value, key: &str) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(k, v)| {
                    let v = generalise(v, &k);
                    (k, v)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(|v| generalise(v, key)).collect()),
        Value::Null => Value::Null,
        _ if ["created_at", "updated_at", "offset", "next"].contains(&key) => Value::from("$any"),
        Value::String(text) if is_uuid(&text) => Value::from("$uuid"),
        Value::String(text) if is_hex32(&text) => Value::from("$hex32"),
        other => other,
    }
}

fn is_uuid(text: &str) -> bool {
    Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        .unwrap()
        .is_match(text)
}

fn is_hex32(text: &str) -> bool {
    Regex::new("^[0-9a-f]{32}$").unwrap().is_match(text)
}

/// A line for every place where `got` is not what `want` says.
pub(super) fn differences(want: &Value, got: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    differ(want, got, at, &mut found);
    found
}

fn differ(want: &Value, got: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(pattern) = want.as_str().filter(|text| text.starts_with('$')) {
        let text = got.as_str();
        let matches = match pattern {
            "$any" => Some(true),
            "$uuid" => Some(text.is_some_and(is_uuid)),
            "$hex32" => Some(text.is_some_and(is_hex32)),
            "$int" => Some(got.is_i64() || got.is_u64()),
            "$number" => Some(got.is_number()),
            "$string" => Some(text.is_some()),
            _ => pattern
                .strip_prefix("$re:")
                .map(|re| text.is_some_and(|t| Regex::new(re).unwrap().is_match(t))),
        };
        match matches {
            Some(true) => return,
            Some(false) => return found.push(format!("{at}: expected {pattern}, got {got}")),
            None => {}
        }
    }
    let is_empty =
        |v: &Value| matches!(v, Value::Array(a) if a.is_empty()) || matches!(v, Value::Object(o) if o.is_empty());
    match (want, got) {
        (Value::Object(w), Value::Object(g)) => {
            for (key, value) in w {
                match g.get(key) {
                    Some(got) => differ(value, got, &format!("{at}.{key}"), found),
                    None => found.push(format!("{at}.{key}: missing, expected {value}")),
                }
            }
            for (key, value) in g.iter().filter(|(key, _)| !w.contains_key(*key)) {
                found.push(format!("{at}.{key}: unexpected {value}"));
            }
        }
        (Value::Array(w), Value::Array(g)) if w.len() == g.len() => {
            for (index, (w, g)) in w.iter().zip(g).enumerate() {
                differ(w, g, &format!("{at}[{index}]"), found);
            }
        }
        // The original has one empty table type.
        _ if is_empty(want) && is_empty(got) => {}
        (Value::Number(w), Value::Number(g)) if w.as_f64() == g.as_f64() => {}
        _ if want == got => {}
        _ => found.push(format!("{at}: expected {want:.300}, got {got:.300}")),
    }
}
