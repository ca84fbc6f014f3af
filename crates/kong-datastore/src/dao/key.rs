//! How a client addresses one entity (admin-api.md §3.1).

use kong_schema::errors::ErrorObject;
use kong_schema::{Object, Schema};
use serde_json::Value;
use uuid::Uuid;

use super::Dao;
use crate::Key;

/// The id of an entity, or the value of the unique field that stands for it in URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityKey {
    /// By `id`, lower case.
    Id(String),
    /// By the endpoint key.
    Field {
        /// Field.
        name: String,
        /// Its value.
        value: String,
    },
}

impl EntityKey {
    /// The key as a store takes it.
    pub fn to_store_key(&self) -> Key {
        match self {
            EntityKey::Id(id) => Key::id(id.clone()),
            EntityKey::Field { name, value } => Key::unique(name.clone(), value.clone()),
        }
    }

    /// The key as error objects show it: `{id: …}` or `{name: …}`.
    pub fn to_object(&self) -> Object {
        let (name, value) = match self {
            EntityKey::Id(id) => ("id", id),
            EntityKey::Field { name, value } => (name.as_str(), value),
        };
        Object::from_iter([(name.to_owned(), Value::String(value.clone()))])
    }
}

impl Dao {
    /// What a path segment addresses: text in UUID form is an id, anything else the endpoint key. Fails with code 1
    /// where the entity has none, with code 10 where the value could not be one.
    pub fn key(&self, schema: &Schema, text: &str) -> Result<EntityKey, ErrorObject> {
        if let Some(id) = canonical_uuid(text) {
            return Ok(EntityKey::Id(id));
        }
        let Some(name) = &schema.storage.endpoint_key else {
            let pk = Object::from_iter([("id".to_owned(), Value::String(text.to_owned()))]);
            let errors = match schema.validate_primary_key(&pk) {
                Err(errors) => errors,
                Ok(()) => Object::from_iter([("id".to_owned(), Value::String("expected a valid UUID".to_owned()))]),
            };
            return Err(ErrorObject::invalid_primary_key(errors));
        };
        let value = Value::String(text.to_owned());
        schema
            .validate_unique(name, &value)
            .map_err(|err| ErrorObject::invalid_unique(name, &err))?;
        Ok(EntityKey::Field {
            name: name.clone(),
            value: text.to_owned(),
        })
    }
}

/// The lower-case form of a UUID in its 36-character form; `None` for any other text.
pub fn canonical_uuid(text: &str) -> Option<String> {
    if text.len() != 36 {
        return None;
    }
    Uuid::try_parse(text).ok().map(|id| id.to_string())
}
