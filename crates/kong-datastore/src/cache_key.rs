//! The strings under which rows are cached and announced (entities.md §6.3): `<entity>:<k1>:…:<k5>:<workspace>`.

use kong_schema::{Kind, Object, Schema};
use serde_json::Value;

use crate::{Key, Row, WorkspaceId};

/// Text of one value inside a key: foreign objects count as their id, null as the empty text.
pub(crate) fn part(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) => s.clone(),
        Some(Value::Object(o)) => part(o.get("id")),
        Some(other) => other.to_string(),
    }
}

/// Seven parts, whatever the number of values.
fn join<'a>(entity: &str, parts: impl Iterator<Item = &'a str>, ws: &str) -> String {
    let mut key = String::with_capacity(entity.len() + 96);
    key.push_str(entity);
    let mut slots = 0;
    for part in parts {
        key.push(':');
        key.push_str(part);
        slots += 1;
    }
    for _ in slots..5 {
        key.push(':');
    }
    key.push(':');
    key.push_str(ws);
    key
}

fn workspace_of(schema: &Schema, row: &Row) -> String {
    if schema.storage.workspaceable {
        part(row.get("ws_id"))
    } else {
        String::new()
    }
}

fn workspace_text(schema: &Schema, ws: WorkspaceId) -> String {
    if schema.storage.workspaceable {
        ws.to_string()
    } else {
        String::new()
    }
}

/// The key of a row: its cache-key fields, or its primary key where none is declared or all are empty.
pub fn cache_key(schema: &Schema, row: &Row) -> String {
    schema.cache_key(row, &part(row.get("ws_id")))
}

/// The key under which a lookup by `key` is cached and, for entities outside the core cache, announced. A lookup by
/// what the entity's own cache key is made of has the same key as the row.
pub fn lookup_cache_key(schema: &Schema, ws: WorkspaceId, key: &Key) -> String {
    let ws_text = workspace_text(schema, ws);
    let own = |fields: &[String], values: &[Value]| {
        let mut row: Object = fields.iter().cloned().zip(values.iter().cloned()).collect();
        row.insert("ws_id".into(), Value::String(ws_text.clone()));
        cache_key(schema, &row)
    };
    match key {
        Key::Cache(values) => own(&schema.storage.cache_key, values),
        Key::Primary(values) if schema.storage.cache_key.is_empty() => own(&schema.storage.primary_key, values),
        Key::Primary(values) => {
            let parts: Vec<String> = values.iter().map(|v| part(Some(v))).collect();
            join(&schema.name, parts.iter().map(String::as_str), &ws_text)
        }
        Key::Unique { field, value } if schema.storage.cache_key == [field.clone()] => {
            own(&schema.storage.cache_key, std::slice::from_ref(value))
        }
        Key::Unique { value, .. } => join(&schema.name, std::iter::once(part(Some(value)).as_str()), &ws_text),
    }
}

/// The key under which the list of an entity's rows below one parent is cached (the acls of a consumer).
pub fn list_cache_key(schema: &Schema, ws: WorkspaceId, parent_id: &str) -> String {
    join(&schema.name, std::iter::once(parent_id), &workspace_text(schema, ws))
}

/// Every key under which a node may hold something that this row's change makes stale. Core entities are looked up by
/// their own key only; the others also by id, by each unique field, and as lists below each parent.
pub fn cache_keys(schema: &Schema, row: &Row) -> Vec<String> {
    let mut keys = vec![cache_key(schema, row)];
    if schema.storage.core_cache {
        return keys;
    }
    let ws = workspace_of(schema, row);
    let mut add = |key: String| {
        if !keys.contains(&key) {
            keys.push(key);
        }
    };
    let primary: Vec<String> = schema.storage.primary_key.iter().map(|f| part(row.get(f))).collect();
    add(join(&schema.name, primary.iter().map(String::as_str), &ws));
    for field in &schema.fields {
        let announced = field.def.unique != kong_schema::Unique::No || matches!(field.def.kind, Kind::Foreign(_));
        let value = part(row.get(&field.name));
        if announced && !value.is_empty() {
            add(join(&schema.name, std::iter::once(value.as_str()), &ws));
        }
    }
    keys
}
