//! Reading rows: as clients see them, and as an update starts from (entities.md §1.2, §1.10).

use std::fmt;
use std::sync::Arc;

use serde_json::{Number, Value};

use crate::process::{default_value, normalise};
use crate::{FieldDef, Kind, Object, Record, Schema, shorthand};

/// Function of a [`ReadHook`].
pub type ReadFn = dyn Fn(&mut Object) + Send + Sync;

/// Normalisation of a row when it is read (upstreams, targets).
#[derive(Clone)]
pub struct ReadHook {
    /// Identifies the function.
    pub name: String,
    /// Changes the row.
    pub apply: Arc<ReadFn>,
}

impl PartialEq for ReadHook {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for ReadHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadHook({})", self.name)
    }
}

impl Schema {
    /// A stored row as clients see it: every declared field and nothing else, defaults in place of nulls where null
    /// is not allowed, remaining seconds as `ttl`, deprecated aliases echoed, and the entity's own normalisation.
    pub fn to_response(&self, row: &Object, now: f64) -> Object {
        let mut entity = self.readable(row);
        let variant = self
            .polymorphic
            .as_ref()
            .and_then(|p| p.choose(entity.get(&p.key)?))
            .cloned();
        self.complete(&mut entity, variant.as_deref());
        for field in &self.fields {
            let def = self.effective(variant.as_deref(), field);
            if let Some(value) = entity.get_mut(&field.name) {
                echo(def, value);
            }
        }
        shorthand::echo(&self.shorthands, &mut entity);
        if self.storage.ttl {
            let remaining = row
                .get("ttl")
                .and_then(Value::as_f64)
                .map(|expiry| (expiry - now).floor().max(0.0));
            #[allow(
                clippy::cast_possible_truncation,
                reason = "seconds until a time that was checked when written"
            )]
            let remaining = remaining.map_or(Value::Null, |seconds| Value::Number(Number::from(seconds as i64)));
            entity.insert("ttl".into(), remaining);
        }
        entity
    }

    /// The declared members of a row, after the entity's own normalisation.
    pub(crate) fn readable(&self, row: &Object) -> Object {
        let mut entity = Object::new();
        for field in &self.fields {
            let value = match row.get(&field.name) {
                // Stores that cannot tell the two apart write "" for null.
                Some(Value::String(text)) if text.is_empty() => Value::Null,
                Some(value) => value.clone(),
                None => Value::Null,
            };
            entity.insert(field.name.clone(), value);
        }
        if let Some(hook) = &self.on_read {
            (hook.apply)(&mut entity);
        }
        entity
    }

    /// Gives absent members their defaults, and null ones that may not be null.
    pub(crate) fn complete(&self, entity: &mut Object, variant: Option<&Schema>) {
        for field in &self.fields {
            complete_member(entity, &field.name, self.effective(variant, field));
        }
    }
}

fn complete_member(members: &mut Object, name: &str, def: &FieldDef) {
    match members.get_mut(name) {
        None => {
            members.insert(name.to_owned(), default_value(def));
        }
        Some(value) => complete_value(def, value),
    }
}

fn complete_value(def: &FieldDef, value: &mut Value) {
    match (&def.kind, &mut *value) {
        (_, Value::Null) if def.required && (def.default.is_some() || matches!(def.kind, Kind::Record(_))) => {
            *value = default_value(def);
        }
        (Kind::Record(record), Value::Object(members)) => complete_record(record, members),
        (Kind::Array(elements) | Kind::Set(elements), Value::Array(items)) => {
            items.iter_mut().for_each(|item| complete_value(elements, item));
        }
        (Kind::Map { values, .. }, Value::Object(members)) => {
            members.values_mut().for_each(|value| complete_value(values, value));
        }
        _ => normalise(def, value),
    }
}

fn complete_record(record: &Record, members: &mut Object) {
    for field in &record.fields {
        complete_member(members, &field.name, &field.def);
    }
}

/// Adds the deprecated aliases of records, at every depth.
fn echo(def: &FieldDef, value: &mut Value) {
    match (&def.kind, value) {
        (Kind::Record(record), Value::Object(members)) => {
            for field in &record.fields {
                if let Some(value) = members.get_mut(&field.name) {
                    echo(&field.def, value);
                }
            }
            shorthand::echo(&record.shorthands, members);
        }
        (Kind::Array(elements) | Kind::Set(elements), Value::Array(items)) => {
            items.iter_mut().for_each(|item| echo(elements, item));
        }
        (Kind::Map { values, .. }, Value::Object(members)) => {
            members.values_mut().for_each(|value| echo(values, value));
        }
        _ => {}
    }
}
