//! Declarative documents.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kong_model::declarative::{DeclarativeError, LoadContext, Loaded, load, parse_text};
use kong_model::{RegistryBuilder, RouterFlavor, credentials};
use kong_schema::Entity;
use serde_json::{Value, json};
use uuid::Uuid;

fn run(document: &Value) -> Result<Loaded, DeclarativeError> {
    let registry = RegistryBuilder::new(RouterFlavor::default())
        .entity(credentials::BasicauthCredential::schema())
        .entity(credentials::Acl::schema())
        .entity(credentials::Session::schema())
        .build()
        .unwrap();
    let context = LoadContext {
        registry: &registry,
        now: 1_700_000_000.0,
        ws: Uuid::nil(),
    };
    let text = document.to_string();
    load(parse_text(&text)?, context)
}

fn with_version(mut document: Value) -> Value {
    document["_format_version"] = "3.0".into();
    document
}

fn certificate(snis: Value) -> Value {
    let key = recorded_pair();
    json!({"certificates": [{"id": "00000000-0000-4000-8000-000000000001", "cert": key.0, "key": key.1, "snis": snis}]})
}

/// Certificate and key of the recorded cases.
fn recorded_pair() -> (String, String) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/conformance/cases/dbless/accepted.json"
    );
    let cases: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let vars = cases["cases"].as_array().unwrap().iter().find_map(|case| {
        let vars = &case["vars"];
        Some((
            vars["rsa1_cert"].as_str()?.to_owned(),
            vars["rsa1_key"].as_str()?.to_owned(),
        ))
    });
    vars.unwrap()
}

#[test]
fn a_certificate_shows_its_server_names_as_they_were_written() {
    let document = certificate(json!([{"name": "a.test", "_comment": "first", "_ignore": [1]}, {"name": "*.b.test"}]));
    let loaded = run(&with_version(document)).unwrap();
    let certificate = &loaded.shown["certificates"]["00000000-0000-4000-8000-000000000001"];
    let snis = certificate["snis"].as_array().unwrap();
    assert_eq!(snis.len(), 2);
    assert_eq!(
        (&snis[0]["_comment"], &snis[0]["_ignore"]),
        (&json!("first"), &json!([1]))
    );
    assert_eq!(
        (&snis[1]["_comment"], &snis[1]["_ignore"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(snis[1]["certificate"]["id"], "00000000-0000-4000-8000-000000000001");
    for sni in loaded.shown["snis"].values() {
        assert!(!sni.contains_key("_comment"));
    }
    let row = loaded.rows.iter().find(|(schema, _)| schema.name == "certificates");
    assert!(
        row.unwrap().1.get("snis").is_none_or(Value::is_null),
        "rows keep no list"
    );
}

#[test]
fn errors_stand_where_the_original_puts_them() {
    let uniqueness =
        |entity: &str, what: &str| format!("uniqueness violation: '{entity}' entity with {what} already declared");
    let rows = [
        (
            json!({"consumers": [["a"]]}),
            json!({"consumers": [{
                "1": "unknown field",
                "@entity": ["at least one of these fields must be non-empty: 'custom_id', 'username'"],
            }]}),
        ),
        (json!({"consumers": ["a"]}), json!({"consumers": ["expected a record"]})),
        (
            json!({"consumers": {"a": 1}}),
            json!({"consumers": "expected an array"}),
        ),
        (json!({"services": null, "consumers": []}), json!(null)),
        (json!({"_comment": 1}), json!({"_comment": "expected a string"})),
        (
            json!({"consumers": [{"username": "a", "_ignore": "x"}]}),
            json!({"consumers": [{"_ignore": "expected an array"}]}),
        ),
        (
            certificate(json!([{"name": "a.test"}, {"name": "a.test"}])),
            json!({"snis": [null, uniqueness("snis", "name set to 'a.test'")]}),
        ),
        (
            certificate(json!(["a.test"])),
            json!({"certificates": [{"snis": ["expected a record"]}]}),
        ),
        (
            json!({"consumers": [{"username": "a", "custom_id": "x"}, {"username": "b", "custom_id": "x"}]}),
            json!({"consumers": {"b": uniqueness("consumers", "custom_id set to 'x'")}}),
        ),
        (
            json!({"consumers": [{"username": "a", "acls": [{"group": "g"}, {"group": "g"}]}]}),
            json!({"consumers": [{"acls": [null,
                uniqueness("acls", "primary key set to '4add49ad-f75d-577a-86fb-a51c9e63fd66'")]}]}),
        ),
        (
            json!({"routes": [{"name": "r", "paths": ["/"], "service": "nope"}]}),
            json!({"routes": {"r": ["invalid reference 'service: nope' (no such entry in 'services')"]}}),
        ),
        (json!({"nope": []}), json!({"nope": "unknown field"})),
    ];
    for (document, fields) in rows {
        let outcome = run(&with_version(document.clone()));
        match outcome {
            Ok(_) => assert_eq!(fields, Value::Null, "{document}"),
            Err(error) => assert_eq!(error.body(false)["fields"], fields, "{document}"),
        }
    }
}

#[test]
fn a_list_in_place_of_an_entity_is_written_by_position() {
    let error = run(&with_version(json!({"consumers": [["a"]]}))).err().unwrap();
    assert_eq!(
        error.body(false)["message"],
        "declarative config is invalid: {consumers={{\"unknown field\",[\"@entity\"]={\"at least one of these fields \
         must be non-empty: 'custom_id', 'username'\"}}}}"
    );
}

#[test]
fn times_to_live_are_absolute_and_shown_only_if_given() {
    let document = json!({"sessions": [{"session_id": "a"}, {"session_id": "b", "ttl": 1_800_000_000}]});
    let loaded = run(&with_version(document)).unwrap();
    let shown: Vec<Option<&Value>> = loaded.shown["sessions"].values().map(|s| s.get("ttl")).collect();
    assert!(shown.contains(&None) && shown.contains(&Some(&json!(1_800_000_000))));
    assert!(loaded.rows.iter().all(|(_, row)| row.contains_key("ttl")));
}
