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

fn cache_key(schema: &Schema, entity: &Object, parent: Option<(&str, &str)>) -> Option<String> {
    let fields = &schema.storage.cache_key;
    // Server names are cached by name too, yet their ids come from the name alone.
    if fields.is_empty() || schema.name == "snis" {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::{RegistryBuilder, RouterFlavor, credentials};
    use kong_schema::Entity;

    fn id(entity: &str, object: &Value, parent: Option<(&str, &str)>) -> Option<String> {
        let registry = RegistryBuilder::new(RouterFlavor::default())
            .entity(credentials::BasicauthCredential::schema())
            .entity(credentials::JwtSecret::schema())
            .entity(credentials::Acl::schema())
            .build()
            .unwrap();
        let schema = registry.schema(entity).unwrap();
        deterministic_id(schema, object.as_object().unwrap(), parent).map(|id| id.to_string())
    }

    #[test]
    fn ids_are_those_of_the_original() {
        let pool = ("upstream", "c14e2d40-a45e-5649-9613-892d114dcb18");
        let orders = ("service", "580c8aca-d632-5804-b307-a24326e1e2d5");
        let mine = ("service", "0855b320-0dd2-547d-891d-601e9b38647f");
        let route = ("route", "95a8204f-b0ca-5182-bfe2-54e7ada6bd2b");
        let alice = ("consumer", "b32379d9-3d28-5683-a79c-72139be6e34f");
        #[rustfmt::skip]
        let rows = [
            ("services", json!({"name": "orders"}), None, "580c8aca-d632-5804-b307-a24326e1e2d5"),
            ("services", json!({"name": "my-service"}), None, "0855b320-0dd2-547d-891d-601e9b38647f"),
            ("routes", json!({"name": "orders-v1"}), None, "95a8204f-b0ca-5182-bfe2-54e7ada6bd2b"),
            ("routes", json!({"name": "my-route"}), None, "481a9539-f49c-51b6-b2e2-fe99ee68866c"),
            ("consumers", json!({"username": "alice"}), None, "b32379d9-3d28-5683-a79c-72139be6e34f"),
            ("consumers", json!({"username": "my-user"}), None, "4b1b701d-de2b-5588-9aa2-3b97061d9f52"),
            ("upstreams", json!({"name": "orders-pool"}), None, "c14e2d40-a45e-5649-9613-892d114dcb18"),
            ("targets", json!({"target": "10.0.0.1:80"}), Some(pool), "28e2af89-0d83-53b2-ac87-9c19ac6216a1"),
            ("targets", json!({"target": "a:1", "upstream": "u"}), None, "59e9d73e-11e6-582a-9dc5-bd219cad006e"),
            ("plugins", json!({"name": "cors"}), None, "48ee727e-8b90-5faa-bda1-a3c6bc3c9daa"),
            ("plugins", json!({"name": "cors"}), Some(orders), "7a9c6f94-8856-50b3-b314-5399f462871e"),
            ("plugins", json!({"name": "key-auth"}), Some(mine), "4a4d9361-8cf7-5304-acb5-d4e8f72ac40b"),
            ("plugins", json!({"name": "key-auth"}), Some(route), "d6dd2c49-05cf-5bbd-aea1-8fb7c6b7e756"),
            ("plugins", json!({"name": "request-termination", "service": "orders"}), None,
                "ed141702-2878-574f-a7f2-65553b52ca8d"),
            ("basicauth_credentials", json!({"username": "ab"}), None, "5e5ecc51-f9b9-5882-9b20-9f86042eace0"),
            ("acls", json!({"group": "admin"}), Some(alice), "051654ec-b4cd-59fd-96db-c35d736d4e4d"),
            ("vaults", json!({"prefix": "my-env"}), None, "3dc3bf8d-e9b4-576c-af74-01619966a0d0"),
        ];
        for (entity, object, parent, expected) in rows {
            assert_eq!(
                id(entity, &object, parent).as_deref(),
                Some(expected),
                "{entity} {object}"
            );
        }
    }

    #[test]
    fn what_nothing_identifies_gets_a_random_id() {
        for (entity, object) in [
            ("services", json!({})),
            ("certificates", json!({"cert": "x"})),
            ("jwt_secrets", json!({"secret": "s"})),
        ] {
            assert_eq!(id(entity, &object, None), None);
        }
    }
}
