//! Ids of declared entities that have none: the same name gives the same id on every node (entities.md §6.4).

use kong_schema::Object;
use serde_json::Value;
use uuid::{Uuid, uuid};

const ROOT: Uuid = uuid!("fd02801f-0957-4a15-a55a-c8d9606f30b5");

/// The id of an entity as it is written in a declarative document, with its parent's reference where it is nested.
/// `None`: nothing identifies it, it gets a random one.
pub fn deterministic_id(entity: &str, object: &Object) -> Option<Uuid> {
    let key = key_string(entity, object)?;
    Some(Uuid::new_v5(&Uuid::new_v5(&ROOT, entity.as_bytes()), key.as_bytes()))
}

fn key_string(entity: &str, object: &Object) -> Option<String> {
    let text = |field: &str| {
        object
            .get(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    // A reference that is written as a name contributes that name.
    let reference = |field: &str| match object.get(field) {
        Some(Value::Object(members)) => members.get("id").and_then(Value::as_str).unwrap_or_default(),
        Some(Value::String(text)) => text,
        _ => "",
    };
    Some(match entity {
        "services" | "routes" | "upstreams" | "snis" | "key_sets" => text("name")?.to_owned(),
        "consumers" => text("username")?.to_owned(),
        "hmacauth_credentials" | "basicauth_credentials" => format!("{entity}:*:{}", text("username")?),
        "targets" => format!("targets:*:{}:{}", reference("upstream"), text("target")?),
        "plugins" => format!(
            "plugins:*:{}:{}:{}:{}",
            text("name")?,
            reference("route"),
            reference("service"),
            reference("consumer")
        ),
        "acls" => format!("acls:*:{}:{}", reference("consumer"), text("group")?),
        "vaults" => format!("vaults:*:{}", text("prefix")?),
        "keys" => format!("keys:*:{}:{}", text("kid")?, reference("set")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_those_of_the_original() {
        let upstream = json!({"id": "c14e2d40-a45e-5649-9613-892d114dcb18"});
        let service = json!({"id": "580c8aca-d632-5804-b307-a24326e1e2d5"});
        let route = json!({"id": "95a8204f-b0ca-5182-bfe2-54e7ada6bd2b"});
        let consumer = json!({"id": "b32379d9-3d28-5683-a79c-72139be6e34f"});
        let rows = [
            (
                "services",
                json!({"name": "orders"}),
                "580c8aca-d632-5804-b307-a24326e1e2d5",
            ),
            (
                "routes",
                json!({"name": "orders-v1"}),
                "95a8204f-b0ca-5182-bfe2-54e7ada6bd2b",
            ),
            (
                "consumers",
                json!({"username": "alice"}),
                "b32379d9-3d28-5683-a79c-72139be6e34f",
            ),
            (
                "upstreams",
                json!({"name": "orders-pool"}),
                "c14e2d40-a45e-5649-9613-892d114dcb18",
            ),
            (
                "targets",
                json!({"target": "10.0.0.1:80", "upstream": upstream}),
                "28e2af89-0d83-53b2-ac87-9c19ac6216a1",
            ),
            (
                "plugins",
                json!({"name": "cors"}),
                "48ee727e-8b90-5faa-bda1-a3c6bc3c9daa",
            ),
            (
                "plugins",
                json!({"name": "cors", "service": service}),
                "7a9c6f94-8856-50b3-b314-5399f462871e",
            ),
            (
                "plugins",
                json!({"name": "key-auth", "route": route}),
                "d6dd2c49-05cf-5bbd-aea1-8fb7c6b7e756",
            ),
            (
                "plugins",
                json!({"name": "request-termination", "service": "orders"}),
                "ed141702-2878-574f-a7f2-65553b52ca8d",
            ),
            (
                "basicauth_credentials",
                json!({"username": "ab"}),
                "5e5ecc51-f9b9-5882-9b20-9f86042eace0",
            ),
            (
                "targets",
                json!({"target": "a:1", "upstream": "u"}),
                "59e9d73e-11e6-582a-9dc5-bd219cad006e",
            ),
            (
                "acls",
                json!({"group": "admin", "consumer": consumer}),
                "051654ec-b4cd-59fd-96db-c35d736d4e4d",
            ),
            (
                "vaults",
                json!({"prefix": "my-env"}),
                "3dc3bf8d-e9b4-576c-af74-01619966a0d0",
            ),
        ];
        for (entity, object, id) in rows {
            let found = object.as_object().and_then(|object| deterministic_id(entity, object));
            assert_eq!(found.map(|id| id.to_string()).as_deref(), Some(id), "{entity} {object}");
        }
    }

    #[test]
    fn what_nothing_identifies_gets_no_id() {
        for (entity, object) in [("services", json!({})), ("jwt_secrets", json!({"key": "k"}))] {
            assert_eq!(
                object.as_object().and_then(|object| deterministic_id(entity, object)),
                None
            );
        }
    }
}
