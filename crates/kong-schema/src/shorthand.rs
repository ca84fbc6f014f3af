//! Aliases: construction, expansion on write, echo on read (entities.md §1.8).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{FieldDef, Object, Shorthand};

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
