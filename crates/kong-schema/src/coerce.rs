//! Types for the strings of forms, multipart bodies and query strings (admin-api.md §2.4).

use serde_json::{Number, Value};

use crate::value::normalised;
use crate::{FieldDef, Kind, Object, Schema, Shorthand};

impl Schema {
    /// Types the strings of a form by the declared kinds. The variant (a plugin's `config`) is the one that the form
    /// names, so an update of a plugin puts the stored `name` into the form first.
    pub fn coerce(&self, form: Object) -> Object {
        let variant = self.polymorphic.as_ref().and_then(|p| {
            let key = form
                .get(&p.key)
                .cloned()
                .or_else(|| self.field(&p.key)?.default.clone())?;
            p.choose(&key).cloned()
        });
        let variant = variant.as_deref();
        form.into_iter()
            .map(|(name, value)| {
                let def = variant.and_then(|v| v.field(&name)).or_else(|| self.field(&name));
                let value = match def.or_else(|| alias(&self.shorthands, &name)) {
                    Some(def) => typed(def, value),
                    None if self.storage.ttl && name == "ttl" => number(value),
                    None => value,
                };
                (name, value)
            })
            .collect()
    }
}

fn alias<'a>(shorthands: &'a [Shorthand], name: &str) -> Option<&'a FieldDef> {
    shorthands.iter().find(|s| s.name == name).map(|s| &s.def)
}

fn typed(def: &FieldDef, value: Value) -> Value {
    if value.as_str() == Some("") {
        return Value::Null;
    }
    match (&def.kind, value) {
        (Kind::Number | Kind::Integer, value) => number(value),
        (Kind::Boolean, Value::String(text)) => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::String(text),
        },
        (Kind::Array(elements) | Kind::Set(elements), Value::Array(items)) => {
            items.into_iter().map(|item| typed(elements, item)).collect()
        }
        (Kind::Array(elements) | Kind::Set(elements), Value::String(text)) => {
            Value::Array(vec![typed(elements, Value::String(text))])
        }
        (Kind::Map { values, .. }, Value::Object(members)) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| (name, typed(values, value)))
                .collect(),
        ),
        (Kind::Record(record), Value::Object(members)) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let def = record.fields.iter().find(|f| f.name == name).map(|f| &f.def);
                    let value = match def.or_else(|| alias(&record.shorthands, &name)) {
                        Some(def) => typed(def, value),
                        None => value,
                    };
                    (name, value)
                })
                .collect(),
        ),
        (Kind::Foreign(foreign), Value::Object(members)) => match &foreign.target {
            Some(target) => Value::Object(target.coerce(members)),
            None => Value::Object(members),
        },
        (_, value) => value,
    }
}

/// A number as the original reads it: decimal with exponent, or hexadecimal, with white space around.
fn number(value: Value) -> Value {
    let parsed = value.as_str().and_then(|text| parse_number(text.trim()));
    match parsed.and_then(Number::from_f64) {
        Some(number) => Value::Number(normalised(&number).unwrap_or(number)),
        None if value.as_str() == Some("") => Value::Null,
        None => value,
    }
}

fn parse_number(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let valid = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
        #[allow(clippy::cast_precision_loss, reason = "numbers of the original are floats")]
        return valid
            .then(|| u64::from_str_radix(hex, 16).ok())
            .flatten()
            .map(|n| sign * n as f64);
    }
    let decimal = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !decimal || !digits.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| sign * n)
}
