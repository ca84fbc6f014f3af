//! The documents of `GET /schemas/…` equal the recorded ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod recorded_files;

use std::path::Path;
use std::sync::Arc;

use kong_model::{Registry, RegistryBuilder, RouterFlavor, credentials};
use kong_schema::{Entity, Schema};
use recorded_files::{key_auth, read};
use serde_json::Value;

fn registry() -> Registry {
    let entities: [Arc<Schema>; 10] = [
        credentials::BasicauthCredential::schema(),
        credentials::HmacauthCredential::schema(),
        credentials::JwtSecret::schema(),
        credentials::Acl::schema(),
        credentials::Oauth2AuthorizationCode::schema(),
        credentials::Oauth2Token::schema(),
        credentials::Oauth2Credential::schema(),
        credentials::AcmeStorage::schema(),
        credentials::Session::schema(),
        credentials::RatelimitingMetric::schema(),
    ];
    let builder = RegistryBuilder::new(RouterFlavor::default()).plugin(key_auth());
    entities
        .into_iter()
        .fold(builder, RegistryBuilder::entity)
        .build()
        .unwrap()
}

/// Removes what is ours to word, and the order of lists that differs between starts of the original.
fn comparable(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("description");
            members.values_mut().for_each(comparable);
        }
        Value::Array(items) => items.iter_mut().for_each(comparable),
        Value::Number(number) => {
            if let Some(float) = number.as_f64() {
                *value = Value::from(float);
            }
        }
        _ => {}
    }
}

fn sort_fields(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(sort_fields),
        Value::Array(items) => {
            items.iter_mut().for_each(sort_fields);
            if items.iter().all(Value::is_object) {
                items.sort_by_key(Value::to_string);
            }
        }
        _ => {}
    }
}

fn differs(name: &str, schema: &Schema, file: &Path) -> Option<String> {
    let (mut document, mut recorded) = (schema.document(), read(file));
    comparable(&mut document);
    comparable(&mut recorded);
    if name == "upstreams" {
        // Its records are written in another order at every start of the original.
        sort_fields(&mut document["fields"]);
        sort_fields(&mut recorded["fields"]);
    }
    let lines = |value: &Value| {
        serde_json::to_string_pretty(value)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    };
    let (ours, theirs): (Vec<String>, Vec<String>) = (lines(&document), lines(&recorded));
    let at = (0..ours.len().max(theirs.len())).find(|i| ours.get(*i) != theirs.get(*i))?;
    let context = |lines: &[String]| lines[at.saturating_sub(12)..(at + 6).min(lines.len())].join("\n");
    Some(format!(
        "{name}: ours\n{}\nrecorded\n{}",
        context(&ours),
        context(&theirs)
    ))
}

#[test]
fn documents_equal_the_recorded_ones() {
    let registry = registry();
    let dir = recorded_files::conformance().join("schemas");
    let mut differences = Vec::new();
    for schema in registry.schemas() {
        differences.extend(differs(
            &schema.name,
            schema,
            &dir.join(format!("{}.json", schema.name)),
        ));
    }
    differences.extend(differs(
        "env",
        registry.vault("env").unwrap(),
        &dir.join("vaults/env.json"),
    ));
    let plugin = registry.plugin("key-auth").unwrap();
    differences.extend(differs("key-auth", &plugin.schema, &dir.join("plugins/key-auth.json")));
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    // With keyauth_credentials, which its plugin declares, these are all that the original has.
    let recorded = std::fs::read_dir(dir)
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().is_file());
    assert_eq!(
        registry.schemas().len() + 1,
        recorded.count() - 1,
        "README.md is not a document"
    );
}

#[test]
fn routes_of_the_expressions_flavor_have_two_more_fields() {
    let registry = RegistryBuilder::new(RouterFlavor::Expressions).build().unwrap();
    let fields = &registry.schema("routes").unwrap().fields;
    let names: Vec<&str> = fields.iter().rev().take(2).map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["priority", "expression"]);
}

#[test]
fn every_pattern_of_a_schema_compiles() {
    fn walk(value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("match" | "not_match" | "pattern", Value::String(pattern)) => {
                            kong_schema::LuaPattern::new(pattern).unwrap();
                        }
                        ("patterns", Value::Array(patterns)) => {
                            for pattern in patterns {
                                kong_schema::LuaPattern::new(pattern.as_str().unwrap()).unwrap();
                            }
                        }
                        (_, value) => walk(value),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(walk),
            _ => {}
        }
    }
    let dir = recorded_files::conformance().join("schemas/plugins");
    for entry in std::fs::read_dir(dir).unwrap() {
        walk(&read(&entry.unwrap().path()));
    }
    for schema in registry().schemas() {
        walk(&schema.document());
    }
}
