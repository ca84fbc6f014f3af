//! Keys under which rows are cached, visible through `/cache/{key}` (entities.md §6.3).

use serde_json::Value;

use crate::{CacheKeyForm, Object, Schema};

/// Value slots of a key.
const SLOTS: usize = 5;

impl Schema {
    /// The key of a row: entity, five values, workspace. The values are those of the declared key fields, or of the
    /// primary key when none is set. `ws` is ignored for entities that belong to no workspace.
    pub fn cache_key(&self, row: &Object, ws: &str) -> String {
        let mut values = self.key_values(&self.storage.cache_key, row);
        if values.iter().all(String::is_empty) {
            values = self.key_values(&self.storage.primary_key, row);
        }
        let form = self.storage.cache_key_form;
        if form != CacheKeyForm::Short {
            values.resize(SLOTS, String::new());
            let has_ws = self.storage.workspaceable && form != CacheKeyForm::WithoutWorkspace;
            values.push(if has_ws { ws.to_owned() } else { String::new() });
        }
        let key = format!("{}:{}", self.name, values.join(":"));
        match form {
            CacheKeyForm::Hashed => format!("{}:{}", self.name, sha1_smol::Sha1::from(key).digest()),
            _ => key,
        }
    }

    fn key_values(&self, fields: &[String], row: &Object) -> Vec<String> {
        let text = |value: &Value| match value {
            Value::Null => String::new(),
            Value::Object(reference) => reference
                .get("id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            other => crate::value::shown(other),
        };
        fields
            .iter()
            .map(|name| row.get(name).map(text).unwrap_or_default())
            .collect()
    }
}
