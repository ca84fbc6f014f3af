//! Ids of entities that a document leaves without one (entities.md §6.4, node.md §6).

use kong_schema::{Kind, Object, Schema};
use serde_json::Value;
use uuid::{Uuid, uuid};

const ROOT: Uuid = uuid!("fd02801f-0957-4a15-a55a-c8d9606f30b5");

/// The id that follows from what the entity says, or `None` where it gets a random one. `parent` is the foreign field
/// implied by nesting and the parent's id.
pub fn deterministic_id(schema: &Schema, entity: &Object, parent: Option<(&str, &str)>) -> Option<Uuid> {
    let key = cache_key(schema, entity, parent).or_else(|| endpoint_key(schema, entity))?;
    let namespace = Uuid::new_v5(&ROOT, schema.name.as_bytes());
    Some(Uuid::new_v5(&namespace, key.as_bytes()))
}

/// Fields of the key by which the original caches the entity, if it is not the primary key.
fn key_fields(schema: &Schema) -> Vec<&str> {
    if !schema.storage.cache_key.is_empty() {
        return schema.storage.cache_key.iter().map(String::as_str).collect();
    }
    match schema.name.as_str() {
        // Credentials and tokens are cached by what a request presents; core entities with an endpoint key are not.
        "keyauth_credentials" | "jwt_secrets" => vec!["key"],
        "basicauth_credentials" | "hmacauth_credentials" => vec!["username"],
        "oauth2_credentials" => vec!["client_id"],
        "oauth2_tokens" => vec!["access_token"],
        "sessions" => vec!["session_id"],
        "vaults" => vec!["prefix"],
        _ => Vec::new(),
    }
}

fn cache_key(schema: &Schema, entity: &Object, parent: Option<(&str, &str)>) -> Option<String> {
    let fields = key_fields(schema);
    if fields.is_empty() {
        return None;
    }
    let mut key = format!(
        "{}:{}",
        schema.name,
        entity.get("ws_id").and_then(Value::as_str).unwrap_or("*")
    );
    for field in fields {
        let def = schema.field(field);
        let is_foreign = def.is_some_and(|def| matches!(def.kind, Kind::Foreign(_)));
        match entity.get(field) {
            Some(Value::String(text)) => {
                key.push(':');
                key.push_str(text);
            }
            None if is_foreign => {
                key.push(':');
                if let Some((name, id)) = parent
                    && name == field
                {
                    key.push_str(id);
                }
            }
            None if def.is_some_and(|def| def.required || def.auto) => return None,
            None => key.push(':'),
            // An object or an explicit null contributes no segment.
            Some(_) => {}
        }
    }
    Some(key)
}

fn endpoint_key(schema: &Schema, entity: &Object) -> Option<String> {
    let field = schema.storage.endpoint_key.as_deref()?;
    let is_unique = schema
        .field(field)
        .is_some_and(|def| def.unique != kong_schema::Unique::No);
    let value = entity.get(field)?.as_str()?;
    is_unique.then(|| value.to_owned())
}
