//! Aliases: construction, expansion on write, echo on read (entities.md §1.8).

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::process::normalise;
use crate::validate::check_value;
use crate::value::shown;
use crate::{Errors, FieldDef, Kind, Object, Operation};

/// Function of a [`Shorthand`]: value of the alias → members to set (nested objects merge).
pub type ExpandFn = dyn Fn(&Value) -> Object + Send + Sync;

/// A write-only or deprecated alias (entities.md §1.8).
#[derive(Clone)]
pub struct Shorthand {
    /// Name of the alias.
    pub name: String,
    /// Its own definition, checked first.
    pub def: FieldDef,
    /// Computes the members it stands for.
    pub expand: Arc<ExpandFn>,
    /// Set for a deprecated alias: path of the member that replaces it (the alias is then echoed in responses).
    pub replaced_with: Option<Vec<String>>,
    /// Deprecation text and version, shown in `/schemas`.
    pub deprecation: Option<Value>,
}

impl PartialEq for Shorthand {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.def == other.def && self.replaced_with == other.replaced_with
    }
}

impl fmt::Debug for Shorthand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shorthand({})", self.name)
    }
}

/// A plain alias: when present, the computed members override whatever was supplied for them.
pub fn plain(name: &str, def: FieldDef, expand: impl Fn(&Value) -> Object + Send + Sync + 'static) -> Shorthand {
    Shorthand {
        name: name.to_owned(),
        def,
        expand: Arc::new(expand),
        replaced_with: None,
        deprecation: None,
    }
}

/// A deprecated alias of the member at `path`, counted from the record that holds the alias. Accepted beside it if the
/// values agree, and echoed in responses. `plugin` is what the deprecation text begins with.
pub fn renamed(name: &str, def: FieldDef, path: &[&str], message: &str) -> Shorthand {
    let target: Vec<String> = path.iter().map(|p| (*p).to_owned()).collect();
    let replaced_with = target.clone();
    Shorthand {
        name: name.to_owned(),
        def,
        expand: Arc::new(move |value| nest(&target, value.clone())),
        deprecation: Some(json!({
            "message": message,
            "removal_in_version": "4.0",
            "replaced_with": [{"path": replaced_with}],
        })),
        replaced_with: Some(replaced_with),
    }
}

impl Shorthand {
    /// Sets the deprecation that the document shows.
    #[must_use]
    pub fn deprecated(mut self, deprecation: Value) -> Self {
        self.deprecation = Some(deprecation);
        self
    }
}

/// `{"a": {"b": value}}` for the path `a`, `b`.
fn nest(path: &[String], value: Value) -> Object {
    let mut object = Object::new();
    if let [first, rest @ ..] = path {
        let inner = if rest.is_empty() {
            value
        } else {
            Value::Object(nest(rest, value))
        };
        object.insert(first.clone(), inner);
    }
    object
}

/// Replaces the aliases in an object by the members they stand for.
pub(crate) fn expand(shorthands: &[Shorthand], object: &mut Object, op: Operation, errors: &mut Errors) {
    for shorthand in shorthands {
        let Some(value) = object.get(&shorthand.name) else {
            continue;
        };
        if let Err(error) = check_value(&shorthand.def, value, op) {
            errors.insert(shorthand.name.clone(), error);
            continue;
        }
        let Some(mut value) = object.remove(&shorthand.name) else {
            continue;
        };
        normalise(&shorthand.def, &mut value);
        if let Some(path) = &shorthand.replaced_with {
            let new = path
                .iter()
                .skip(1)
                .fold(object.get(&path[0]), |inner, name| inner?.get(name));
            if let Some(new) = new.filter(|new| !new.is_null()) {
                // The new member wins; a client that read both sends both back.
                if !value.is_null() && *new != value {
                    errors.insert(shorthand.name.clone(), mismatch(shorthand, &value, path, new).into());
                }
                continue;
            }
        }
        merge(object, (shorthand.expand)(&value));
    }
}

fn mismatch(shorthand: &Shorthand, old: &Value, path: &[String], new: &Value) -> String {
    format!(
        "both deprecated and new field are used but their values mismatch: {} = {} vs {} = {}",
        shorthand.name,
        shown(old),
        path.join("."),
        shown(new)
    )
}

fn merge(object: &mut Object, members: Object) {
    for (name, value) in members {
        match (object.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(members)) => merge(inner, members),
            (_, value) => {
                object.insert(name, value);
            }
        }
    }
}

/// [`expand`] for the records inside a value. The errors are reported beside those of the entity, without a path.
pub(crate) fn expand_nested(def: &FieldDef, value: &mut Value, op: Operation, errors: &mut Errors) {
    match (&def.kind, value) {
        (Kind::Record(record), Value::Object(members)) => {
            expand(&record.shorthands, members, op, errors);
            for field in &record.fields {
                if let Some(value) = members.get_mut(&field.name) {
                    expand_nested(&field.def, value, op, errors);
                }
            }
        }
        (Kind::Array(elements) | Kind::Set(elements), Value::Array(items)) => {
            items
                .iter_mut()
                .for_each(|item| expand_nested(elements, item, op, errors));
        }
        (Kind::Map { values, .. }, Value::Object(members)) => {
            members
                .values_mut()
                .for_each(|value| expand_nested(values, value, op, errors));
        }
        _ => {}
    }
}

/// Adds the deprecated aliases to an object that is read.
pub(crate) fn echo(shorthands: &[Shorthand], object: &mut Object) {
    for shorthand in shorthands {
        if let Some([first, rest @ ..]) = shorthand.replaced_with.as_deref() {
            let value = rest.iter().fold(object.get(first), |inner, name| inner?.get(name));
            let value = value.cloned().unwrap_or(Value::Null);
            object.insert(shorthand.name.clone(), value);
        }
    }
}
