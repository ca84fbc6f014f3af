//! References given by something other than the id (entities.md §1.7).

use kong_schema::errors::ErrorObject;
use kong_schema::{Kind, Object, Schema, Unique};
use serde_json::Value;

use super::Dao;
use super::failure::single;
use super::key::canonical_uuid;
use crate::Key;

impl Dao {
    /// Replaces references by `{id}`: an object with a valid id loses its other members, one with a unique field of
    /// the referenced entity is looked up. What cannot be resolved otherwise stays for validation to refuse; look-ups
    /// that all miss are code 13.
    pub(super) async fn resolve_foreign(&self, schema: &Schema, input: &mut Object) -> Result<(), ErrorObject> {
        let mut unresolved = Vec::new();
        for field in &schema.fields {
            let Kind::Foreign(foreign) = &field.def.kind else {
                continue;
            };
            let Some(Value::Object(reference)) = input.get(&field.name) else {
                continue;
            };
            if let Some(id) = reference.get("id").and_then(Value::as_str).and_then(canonical_uuid) {
                input.insert(field.name.clone(), Value::Object(single("id", id)));
                continue;
            }
            let Some(target) = self.schema(&foreign.reference) else {
                continue;
            };
            let mut misses = Vec::new();
            let mut found = None;
            for candidate in target.fields.iter().filter(|f| f.def.unique != Unique::No) {
                let Some(value) = reference.get(&candidate.name) else {
                    continue;
                };
                if value.is_null() || target.validate_unique(&candidate.name, value).is_err() {
                    continue;
                }
                let key = Key::Unique {
                    field: candidate.name.clone(),
                    value: value.clone(),
                };
                found = self.select_row(target, &key).await?;
                if found.is_some() {
                    break;
                }
                misses.push((
                    field.name.as_str(),
                    candidate.name.as_str(),
                    value.clone(),
                    target.name.as_str(),
                ));
            }
            match found.as_ref().and_then(|row| row.get("id")) {
                Some(id) => {
                    input.insert(field.name.clone(), Value::Object(single("id", id.clone())));
                }
                None => unresolved.extend(misses),
            }
        }
        if unresolved.is_empty() {
            return Ok(());
        }
        let items = unresolved
            .iter()
            .map(|(field, key, value, reference)| (*field, *key, value, *reference));
        Err(ErrorObject::foreign_keys_unresolved(items))
    }
}
