//! What is wrong with a document (admin-api.md §9.5).

use kong_schema::Object;
use serde_json::{Map, Value, json};

/// All errors of a document that could not be loaded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeclarativeError {
    /// Errors by entity name, position and member.
    pub fields: Object,
    /// Those among them that belong to no entity.
    pub unattributed: Object,
    /// Those that belong to an entity, one item an entity.
    pub flattened: Vec<FlattenedError>,
    /// The text could not even be parsed: it has no flattened form.
    pub is_unparsable: bool,
}

/// The errors of one entity.
#[derive(Debug, Clone, PartialEq)]
pub struct FlattenedError {
    /// Schema name.
    pub entity_type: String,
    /// The entity as submitted, without nested lists.
    pub entity: Object,
    /// Its errors as in [`DeclarativeError::fields`].
    pub errors: Value,
}

impl DeclarativeError {
    pub(super) fn unparsable(reason: &str) -> Self {
        let text = format!("failed parsing declarative configuration: {reason}");
        let fields: Object = [("error".to_owned(), Value::String(text))].into_iter().collect();
        DeclarativeError {
            unattributed: fields.clone(),
            fields,
            flattened: Vec::new(),
            is_unparsable: true,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub(super) fn add_unattributed(&mut self, name: &str, error: Value) {
        self.fields.insert(name.to_owned(), error.clone());
        self.unattributed.insert(name.to_owned(), error);
    }

    /// Body of the Admin API's answer.
    pub fn body(&self, flatten: bool) -> Value {
        let is_flat = flatten && !self.is_unparsable;
        let fields = if is_flat { &self.unattributed } else { &self.fields };
        let table = kong_schema::table::compact(&Value::Object(fields.clone()));
        let mut body = json!({
            "code": 14,
            "name": "invalid declarative configuration",
            "message": format!("declarative config is invalid: {table}"),
            "fields": fields,
        });
        if is_flat {
            let items: Vec<Value> = self.flattened.iter().map(FlattenedError::to_value).collect();
            body["flattened_errors"] = Value::Array(items);
        }
        body
    }
}

impl FlattenedError {
    fn to_value(&self) -> Value {
        let mut item = Map::new();
        let kind = self.entity_type.strip_suffix('s').unwrap_or(&self.entity_type);
        item.insert("entity_type".to_owned(), Value::from(kind));
        if let Some(name) = self
            .entity
            .get("name")
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
        {
            item.insert("entity_name".to_owned(), Value::from(name));
        }
        if let Some(id) = self.entity.get("id").and_then(Value::as_str).filter(|id| is_uuid(id)) {
            item.insert("entity_id".to_owned(), Value::from(id));
        }
        if let Some(Value::Array(tags)) = self.entity.get("tags")
            && tags.iter().all(Value::is_string)
        {
            item.insert("entity_tags".to_owned(), Value::Array(tags.clone()));
        }
        item.insert("entity".to_owned(), Value::Object(self.entity.clone()));
        let mut errors = Vec::new();
        flatten(&self.errors, "", &mut errors);
        item.insert("errors".to_owned(), Value::Array(errors));
        Value::Object(item)
    }
}

pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

fn flatten(errors: &Value, path: &str, out: &mut Vec<Value>) {
    match errors {
        // A text that stands for the whole entity, such as a uniqueness violation.
        Value::String(text) if path.is_empty() => out.push(json!({"type": "entity", "message": text})),
        Value::String(text) => out.push(json!({"type": "field", "field": path, "message": text})),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate().filter(|(_, item)| !item.is_null()) {
                match (path.is_empty(), item) {
                    (true, Value::String(text)) => out.push(json!({"type": "entity", "message": text})),
                    _ => flatten(item, &join(path, &(n + 1).to_string()), out),
                }
            }
        }
        Value::Object(members) => {
            for (name, error) in members {
                match (name.as_str(), error) {
                    ("@entity", Value::Array(texts)) => {
                        out.extend(texts.iter().map(|text| json!({"type": "entity", "message": text})));
                    }
                    _ => flatten(error, &join(path, name), out),
                }
            }
        }
        _ => {}
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
