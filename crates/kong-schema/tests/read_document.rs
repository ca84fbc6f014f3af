//! Schemas from documents.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use kong_schema::{Operation, from_document};
use serde_json::{Value, json};

fn recorded() -> Vec<(String, Value)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/schemas");
    let mut documents = Vec::new();
    for dir in [dir.join("plugins"), dir.join("vaults"), dir] {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                documents.push((name, serde_json::from_str(&text).unwrap()));
            }
        }
    }
    documents
}

#[test]
fn a_schema_from_a_document_has_that_document() {
    let documents = recorded();
    assert!(documents.len() > 70);
    for (name, document) in documents {
        let schema = from_document(&name, &document).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(schema.document(), document, "{name}");
    }
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    let rows = [
        (json!([]), "x: expected an object"),
        (json!({}), "x.fields: expected an array"),
        (
            json!({"fields": [{"a": {"type": "string"}, "b": {}}]}),
            "x.fields: expected an object with one member",
        ),
        (json!({"fields": [{"a": {}}]}), "x.fields.a.type: expected a string"),
        (
            json!({"fields": [{"a": {"type": "strin"}}]}),
            "x.fields.a: unknown type 'strin'",
        ),
        (
            json!({"fields": [{"a": {"type": "array"}}]}),
            "x.fields.a: elements are missing",
        ),
        (
            json!({"fields": [{"a": {"type": "number", "between": [1]}}]}),
            "x.fields.a.between: expected two numbers",
        ),
        (
            json!({"fields": [{"a": {"type": "string", "match": "%b()"}}]}),
            "x.fields.a.match: pattern '%b()'",
        ),
        (
            json!({"fields": [], "entity_checks": [{"some_of": ["a"]}]}),
            "x.entity_checks.some_of: unknown entity check",
        ),
    ];
    for (document, expected) in rows {
        let error = from_document("x", &document).expect_err("refused").to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn what_was_read_is_enforced() {
    let schema = from_document(
        "x",
        &json!({
            "fields": [{"config": {"type": "record", "required": true, "fields": [
                {"mode": {"type": "string", "one_of": ["a", "b"], "default": "a"}},
                {"host": {"type": "string"}},
                {"port": {"type": "integer", "between": [0, 65535]}},
                {"key": {"type": "string", "auto": true}},
            ], "shorthand_fields": [
                {"server": {"type": "string", "deprecation": {"message": "m", "replaced_with": [{"path": ["host"]}]}}},
            ]}}],
            "entity_checks": [
                {"conditional_at_least_one_of": {"if_field": "config.mode", "if_match": {"eq": "b"},
                    "then_at_least_one_of": ["config.host", "config.port"], "then_err": "mode b needs one of %s"}},
            ],
        }),
    )
    .unwrap();
    let run = |body: Value| {
        let body = body.as_object().unwrap();
        let row = schema.process(Operation::Insert, body, None, 0.0).unwrap();
        let outcome = schema.validate(&row, Operation::Insert, body);
        outcome.map(|()| row).map_err(Value::Object)
    };
    let rows = [
        (
            json!({"config": {"mode": "c"}}),
            json!({"config": {"mode": "expected one of: a, b"}}),
        ),
        (
            json!({"config": {"mode": "b"}}),
            json!({"@entity": ["mode b needs one of 'config.host', 'config.port'"]}),
        ),
        (json!({"config": {"no": 1}}), json!({"config": {"no": "unknown field"}})),
    ];
    for (body, errors) in rows {
        assert_eq!(run(body), Err(errors));
    }
    let row = run(json!({"config": {"mode": "b", "server": "s"}})).unwrap();
    assert_eq!(row["config"]["host"], "s");
    assert_eq!(
        row["config"]["key"].as_str().unwrap().len(),
        32,
        "made up inside a record too"
    );
}
