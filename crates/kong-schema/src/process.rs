//! From a body to a whole entity: shorthands, defaults, automatic values, merging (entities.md §1.2, §1.3, §1.6).

use std::sync::Arc;

use serde_json::{Number, Value};
use uuid::Uuid;

use crate::value::{is_uuid, normalised};
use crate::{Errors, Field, FieldDef, Kind, Object, Operation, Record, Schema, shorthand};

impl Schema {
    /// Completes a body before validation.
    ///
    /// Insert and upsert: expands shorthands, fills in defaults and automatic values (ids, secrets, `created_at`;
    /// `updated_at` always) from `now`, Unix seconds with fraction. Update: merges `input` over the `stored` row, in
    /// which defaults are left alone. In both: sets lose duplicates, `5.0` becomes `5`, `ttl` becomes the absolute
    /// expiry, references keep only their key. Every declared field is present in the result; undeclared members of
    /// `input` stay, for [`validate`](Self::validate) to report.
    ///
    /// # Errors
    ///
    /// Only those of shorthands (entities.md §1.8), which end the request.
    pub fn process(&self, op: Operation, input: &Object, stored: Option<&Object>, now: f64) -> Result<Object, Errors> {
        let mut body = input.clone();
        let mut errors = Errors::new();
        shorthand::expand(&self.shorthands, &mut body, op, &mut errors);
        let variant = self.choose_variant(&body, stored);
        let variant = variant.as_deref();
        if let Some(variant) = variant {
            shorthand::expand(&variant.shorthands, &mut body, op, &mut errors);
        }
        for field in &self.fields {
            if let Some(value) = body.get_mut(&field.name) {
                shorthand::expand_nested(self.effective(variant, field), value, op, &mut errors);
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let ttl = self.storage.ttl.then(|| body.remove("ttl")).flatten();
        // Never validated; entities without the field ignore it.
        body.remove("updated_at");
        let mut entity = match (op, stored) {
            (Operation::Update, Some(stored)) => self.merge(variant, stored, body),
            _ => self.fill(variant, body, now),
        };
        if let Some(def) = self.field("updated_at") {
            entity.insert("updated_at".into(), time(def, now));
        }
        if self.storage.ttl {
            let expiry = self.expiry(op, ttl, stored, &entity, now);
            entity.insert("ttl".into(), expiry);
        }
        Ok(entity)
    }

    pub(crate) fn effective<'a>(&self, variant: Option<&'a Schema>, field: &'a Field) -> &'a FieldDef {
        variant.and_then(|v| v.field(&field.name)).unwrap_or(&field.def)
    }

    fn choose_variant(&self, body: &Object, stored: Option<&Object>) -> Option<Arc<Schema>> {
        let polymorphic = self.polymorphic.as_ref()?;
        let key = &polymorphic.key;
        let default = || self.field(key).and_then(|def| def.default.as_ref());
        let value = body
            .get(key)
            .or_else(|| stored.and_then(|s| s.get(key)))
            .or_else(default)?;
        polymorphic.choose(value).cloned()
    }

    fn fill(&self, variant: Option<&Schema>, mut body: Object, now: f64) -> Object {
        for field in &self.fields {
            let def = self.effective(variant, field);
            let automatic = field.def.auto && (def.uuid || field.name == "created_at" || def.kind == Kind::String);
            match body.get_mut(&field.name) {
                Some(Value::Null) if field.name == "created_at" && automatic => {
                    body.insert(field.name.clone(), time(def, now));
                }
                Some(value) => normalise(def, value),
                None if automatic => {
                    body.insert(field.name.clone(), automatic_value(def, now));
                }
                None => {
                    body.insert(field.name.clone(), default_value(def));
                }
            }
        }
        body
    }

    fn merge(&self, variant: Option<&Schema>, stored: &Object, mut body: Object) -> Object {
        let mut entity = self.readable(stored);
        for field in &self.fields {
            let def = self.effective(variant, field);
            if let Some(value) = body.remove(&field.name) {
                if value.is_null() && field.name == "created_at" {
                    continue;
                }
                let old = entity.remove(&field.name);
                entity.insert(field.name.clone(), merge_value(def, old, value));
            }
        }
        // What is left is not declared.
        entity.extend(body);
        entity
    }

    fn expiry(&self, op: Operation, ttl: Option<Value>, stored: Option<&Object>, entity: &Object, now: f64) -> Value {
        let seconds = ttl.as_ref().and_then(Value::as_f64);
        let start = match op {
            Operation::Update => None,
            Operation::Insert | Operation::Upsert => entity.get("created_at").and_then(Value::as_f64),
        };
        match seconds {
            None if op == Operation::Update => stored.and_then(|s| s.get("ttl")).cloned().unwrap_or(Value::Null),
            Some(seconds) if seconds > 0.0 => number(start.unwrap_or_else(|| now.floor()) + seconds),
            _ => Value::Null,
        }
    }
}

/// A time in the form of the field: whole seconds, or with milliseconds.
fn time(def: &FieldDef, now: f64) -> Value {
    match def.kind {
        Kind::Number => number((now * 1000.0).round() / 1000.0),
        _ => number(now.floor()),
    }
}

fn number(float: f64) -> Value {
    let number = Number::from_f64(float).unwrap_or_else(|| Number::from(0));
    Value::Number(normalised(&number).unwrap_or(number))
}

fn automatic_value(def: &FieldDef, now: f64) -> Value {
    match def.kind {
        Kind::String if def.uuid => Uuid::new_v4().to_string().into(),
        Kind::String => random_secret().into(),
        _ => time(def, now),
    }
}

/// 32 characters of `[A-Za-z0-9]`, each drawn evenly.
pub fn random_secret() -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut secret = String::with_capacity(32);
    while secret.len() < 32 {
        let random = Uuid::new_v4();
        // Two bytes of a UUID hold its version and variant.
        let bytes = random.as_bytes().iter().enumerate().filter(|(i, _)| *i != 6 && *i != 8);
        for (_, byte) in bytes {
            // 248 is the largest multiple of 62 in a byte: beyond it the draw would not be even.
            if *byte < 248 && secret.len() < 32 {
                secret.push(char::from(ALPHABET[usize::from(byte % 62)]));
            }
        }
    }
    secret
}

/// Value of an absent member.
pub(crate) fn default_value(def: &FieldDef) -> Value {
    let mut value = match (&def.default, &def.kind) {
        (Some(default), _) => default.clone(),
        (None, Kind::Record(_)) if def.required => Value::Object(Object::new()),
        (None, _) => Value::Null,
    };
    normalise(def, &mut value);
    value
}

/// Brings a value into its stored form: numbers, sets, empty tables, keys of references, members of records.
pub(crate) fn normalise(def: &FieldDef, value: &mut Value) {
    match (&def.kind, &mut *value) {
        (_, Value::Number(number)) => {
            if let Some(integer) = normalised(number) {
                *number = integer;
            }
        }
        (Kind::Array(_) | Kind::Set(_), Value::Object(members)) if members.is_empty() => {
            *value = Value::Array(Vec::new());
        }
        (Kind::Map { .. }, Value::Array(items)) if items.is_empty() => *value = Value::Object(Object::new()),
        (Kind::Record(record), Value::Array(items)) if items.is_empty() => {
            let mut members = Object::new();
            fill_record(record, &mut members);
            *value = Value::Object(members);
        }
        (Kind::Array(elements), Value::Array(items)) => items.iter_mut().for_each(|item| normalise(elements, item)),
        (Kind::Set(elements), Value::Array(items)) => {
            items.iter_mut().for_each(|item| normalise(elements, item));
            remove_duplicates(items);
        }
        (Kind::Map { values, .. }, Value::Object(members)) => {
            members.values_mut().for_each(|value| normalise(values, value));
        }
        (Kind::Record(record), Value::Object(members)) => fill_record(record, members),
        (Kind::Foreign(_), Value::Object(members))
            if members.get("id").and_then(Value::as_str).is_some_and(is_uuid) =>
        {
            members.retain(|name, _| name == "id");
        }
        (Kind::Json(_) | Kind::Abstract, value) => normalise_numbers(value),
        _ => {}
    }
}

fn normalise_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(integer) = normalised(number) {
                *number = integer;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise_numbers),
        Value::Object(members) => members.values_mut().for_each(normalise_numbers),
        _ => {}
    }
}

/// Keeps the first of each; long lists of strings (tags) must not cost their square.
fn remove_duplicates(items: &mut Vec<Value>) {
    if items.len() < 2 {
        return;
    }
    let mut seen = std::collections::HashSet::new();
    items.retain(|item| seen.insert(item.to_string()));
}

fn fill_record(record: &Record, members: &mut Object) {
    for field in &record.fields {
        match members.get_mut(&field.name) {
            Some(value) => normalise(&field.def, value),
            None => {
                let value = match (&field.def.kind, field.def.auto && !field.def.uuid) {
                    (Kind::String, true) => random_secret().into(),
                    _ => default_value(&field.def),
                };
                members.insert(field.name.clone(), value);
            }
        }
    }
}

/// Records merge member by member; everything else is replaced.
fn merge_value(def: &FieldDef, old: Option<Value>, mut new: Value) -> Value {
    if let (Kind::Record(record), Some(Value::Object(mut merged)), Value::Object(_)) = (&def.kind, old, &new)
        && let Value::Object(members) = new
    {
        for (name, value) in members {
            let value = match record.fields.iter().find(|f| f.name == name) {
                Some(field) => merge_value(&field.def, merged.remove(&name), value),
                None => value,
            };
            merged.insert(name, value);
        }
        return Value::Object(merged);
    }
    normalise(def, &mut new);
    new
}
