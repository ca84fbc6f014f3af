//! What entities of a document say of each other: references and uniqueness.

use std::collections::{HashMap, HashSet};

use kong_schema::{Kind, Unique};
use serde_json::{Value, json};

use super::node::Node;
use super::report::{put, put_named};
use super::{DeclarativeError, FlattenedError};

/// References and uniqueness across the document.
pub(super) fn check_document(nodes: &mut [Node], error: &mut DeclarativeError) {
    check_uniqueness(nodes, error);
    let mut by_id: HashSet<(String, String)> = HashSet::new();
    let mut by_key: HashMap<(String, String), String> = HashMap::new();
    for node in nodes.iter() {
        by_id.insert((node.schema.name.clone(), node.id.clone()));
        if let Some(key) = endpoint_value(node) {
            by_key.insert((node.schema.name.clone(), key.to_owned()), node.id.clone());
        }
    }
    for node in nodes.iter_mut() {
        let mut wrong = Vec::new();
        for field in &node.schema.fields {
            let Kind::Foreign(foreign) = &field.def.kind else {
                continue;
            };
            if node.parent.as_ref().is_some_and(|(implied, _)| *implied == field.name) {
                continue;
            }
            let (found, written) = match node.entity.get(&field.name) {
                Some(Value::String(text)) => {
                    let is_id = by_id.contains(&(foreign.reference.clone(), text.clone()));
                    let id = if is_id {
                        Some(text)
                    } else {
                        by_key.get(&(foreign.reference.clone(), text.clone()))
                    };
                    (id.cloned(), text.clone())
                }
                Some(Value::Object(key)) => {
                    let id = key.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                    let is_known = by_id.contains(&(foreign.reference.clone(), id.clone()));
                    (is_known.then_some(id), Value::Object(key.clone()).to_string())
                }
                _ => continue,
            };
            match found {
                Some(id) => {
                    node.entity.insert(field.name.clone(), json!({ "id": id }));
                }
                None => wrong.push(Value::from(format!(
                    "invalid reference '{}: {written}' (no such entry in '{}')",
                    field.name, foreign.reference
                ))),
            }
        }
        if !wrong.is_empty() {
            let key = endpoint_value(node).unwrap_or(&node.id).to_owned();
            put_named(&mut error.fields, &node.schema.name, &key, Value::Array(wrong.clone()));
            error.flattened.push(FlattenedError {
                entity_type: node.schema.name.clone(),
                entity: node.submitted.clone(),
                errors: Value::Array(wrong),
            });
        }
    }
}

fn endpoint_value(node: &Node) -> Option<&str> {
    node.entity.get(node.schema.storage.endpoint_key.as_deref()?)?.as_str()
}

fn check_uniqueness(nodes: &[Node], error: &mut DeclarativeError) {
    let mut ids = HashSet::new();
    let mut values = HashSet::new();
    for node in nodes {
        let name = &node.schema.name;
        let text = |what: &str, value: &str| {
            json!(format!(
                "uniqueness violation: '{name}' entity with {what} set to '{value}' already declared"
            ))
        };
        let mut report = |found: Value| {
            error.flattened.push(FlattenedError {
                entity_type: name.clone(),
                entity: node.submitted.clone(),
                errors: found,
            });
        };
        if !ids.insert((name.as_str(), node.id.as_str())) {
            let found = text("primary key", &node.id);
            report(found.clone());
            put(&mut error.fields, &node.position, found);
            continue;
        }
        let endpoint = node.schema.storage.endpoint_key.as_deref();
        for field in node.schema.fields.iter().filter(|field| field.def.unique != Unique::No) {
            let Some(value) = node.entity.get(&field.name).and_then(Value::as_str) else {
                continue;
            };
            if values.insert((name.as_str(), field.name.as_str(), value)) {
                continue;
            }
            let found = text(&field.name, value);
            report(found.clone());
            if endpoint == Some(field.name.as_str()) {
                // At its position in its own list, wherever that list is.
                let at = node.position.last().map_or(0, |(_, n)| *n);
                put(&mut error.fields, &[(name.clone(), at)], found);
            } else {
                let key = endpoint_value(node).unwrap_or(&node.id);
                put_named(&mut error.fields, name, key, found);
            }
        }
    }
}
