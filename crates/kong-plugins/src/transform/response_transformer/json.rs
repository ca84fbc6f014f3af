//! Rules for JSON bodies.

use serde_json::{Map, Number, Value};

use super::{Config, JsonType, Values};
use crate::transform::entry::{pairs, split};
use crate::transform::json_body::{append, is_truthy};

pub(super) struct JsonRules {
    remove: Vec<String>,
    rename: Vec<(String, String)>,
    replace: Vec<(String, Value)>,
    add: Vec<(String, Value)>,
    append: Vec<(String, Value)>,
    is_empty: bool,
}

fn typed(values: &Values) -> Vec<(String, Value)> {
    let kinds = values
        .json_types
        .iter()
        .copied()
        .chain(std::iter::repeat(JsonType::String));
    values
        .json
        .iter()
        .zip(kinds)
        .filter_map(|(entry, kind)| {
            let (name, value) = split(entry);
            let value = value.unwrap_or_default();
            let value = match kind {
                JsonType::String => value.into(),
                JsonType::Boolean => (value == "true").into(),
                JsonType::Number => number(value)?,
            };
            Some((name.to_owned(), value))
        })
        .collect()
}

fn number(text: &str) -> Option<Value> {
    let number: f64 = text.trim().parse().ok()?;
    Some(match number.fract() == 0.0 && number.abs() < 9e15 {
        true => (number as i64).into(),
        false => Number::from_f64(number)?.into(),
    })
}

impl JsonRules {
    pub(super) fn new(config: &Config) -> Self {
        let lists = [
            &config.remove.json,
            &config.rename.json,
            &config.replace.json,
            &config.add.json,
            &config.append.json,
        ];
        JsonRules {
            remove: config.remove.json.clone(),
            rename: pairs(&config.rename.json),
            replace: typed(&config.replace),
            add: typed(&config.add),
            append: typed(&config.append),
            is_empty: lists.iter().all(|list| list.is_empty()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// The body after the rules; `None`: it is no JSON object.
    pub(super) fn transform(&self, body: &[u8]) -> Option<Vec<u8>> {
        let Ok(Value::Object(mut object)) = serde_json::from_slice(body) else {
            return None;
        };
        self.apply(&mut object);
        Some(Value::Object(object).to_string().into_bytes())
    }

    fn apply(&self, object: &mut Map<String, Value>) {
        for name in &self.remove {
            object.remove(name);
        }
        for (old, new) in &self.rename {
            if let Some(value) = object.remove(old) {
                object.insert(new.clone(), value);
            }
        }
        for (name, value) in &self.replace {
            if object.get(name).is_some_and(|v| !v.is_null()) && is_truthy(object.get(name)) {
                object.insert(name.clone(), value.clone());
            }
        }
        for (name, value) in &self.add {
            if object
                .get(name)
                .is_none_or(|v| matches!(v, Value::Null | Value::Bool(false)))
            {
                object.insert(name.clone(), value.clone());
            }
        }
        for (name, value) in &self.append {
            append(object, name, value.clone());
        }
    }
}
