//! Where errors go.

use kong_schema::{Kind, Object, Schema};
use serde_json::{Value, json};

use super::{DeclarativeError, FlattenedError};

/// Adds one item for the entity, and one for each embedded entity that is at fault itself.
pub(super) fn add_flattened(schema: &Schema, mut shown: Object, mut errors: Object, error: &mut DeclarativeError) {
    for field in &schema.fields {
        let Kind::Foreign(foreign) = &field.def.kind else {
            continue;
        };
        let Some(Value::Object(embedded)) = shown.get(&field.name).cloned() else {
            continue;
        };
        if let Some(found @ Value::Object(_)) = errors.remove(&field.name) {
            error.flattened.push(FlattenedError {
                entity_type: foreign.reference.clone(),
                entity: embedded.clone(),
                errors: found,
            });
        }
        match embedded.get("id") {
            Some(id) => shown.insert(field.name.clone(), json!({ "id": id })),
            None => shown.remove(&field.name),
        };
    }
    if !errors.is_empty() {
        error.flattened.push(FlattenedError {
            entity_type: schema.name.clone(),
            entity: shown,
            errors: Value::Object(errors),
        });
    }
}

/// Puts an error at a position: `services`, 1, `routes`, 0.
pub(super) fn put(fields: &mut Object, position: &[(String, usize)], found: Value) {
    let Some(((name, n), rest)) = position.split_first() else {
        return;
    };
    let list = fields.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(items) = list else { return };
    while items.len() <= *n {
        items.push(Value::Null);
    }
    let Some(item) = items.get_mut(*n) else { return };
    if rest.is_empty() {
        match (item, found) {
            (Value::Object(members), Value::Object(more)) => members.extend(more),
            (item, found) => *item = found,
        }
    } else {
        if !item.is_object() {
            *item = json!({});
        }
        if let Value::Object(members) = item {
            put(members, rest, found);
        }
    }
}

/// Puts an error under a name instead of a position.
pub(super) fn put_named(fields: &mut Object, entity: &str, key: &str, found: Value) {
    let list = fields.entry(entity.to_owned()).or_insert_with(|| json!({}));
    if !list.is_object() {
        *list = json!({});
    }
    if let Value::Object(members) = list {
        members.insert(key.to_owned(), found);
    }
}
