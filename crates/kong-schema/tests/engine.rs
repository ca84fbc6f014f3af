//! The rules of the engine, a row each.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use kong_schema::check::{
    at_least_one_of, custom, distinct, mutually_exclusive, mutually_exclusive_sets, mutually_required, only_one_of,
    when,
};
use kong_schema::errors::ErrorObject;
use kong_schema::{
    CacheKeyForm, CheckError, EntityCheck, Field, FieldDef, Foreign, Kind, Object, Operation, Polymorphic, Record,
    Schema, Storage, Transformation, Validator, check_value, shorthand, types,
};
use serde_json::{Value, json};

const NOW: f64 = 1_700_000_000.5;
const ID: &str = "00000000-0000-4000-8000-000000000001";

fn field(name: &str, def: FieldDef) -> Field {
    Field { name: name.into(), def }
}

fn of(kind: Kind) -> FieldDef {
    FieldDef {
        kind,
        ..FieldDef::default()
    }
}

fn string() -> FieldDef {
    FieldDef::default()
}

fn integer() -> FieldDef {
    of(Kind::Integer)
}

fn array(elements: FieldDef) -> FieldDef {
    of(Kind::Array(Box::new(elements)))
}

fn set(elements: FieldDef) -> FieldDef {
    of(Kind::Set(Box::new(elements)))
}

fn map(keys: FieldDef, values: FieldDef) -> FieldDef {
    of(Kind::Map {
        keys: Box::new(keys),
        values: Box::new(values),
    })
}

fn record(fields: Vec<Field>) -> FieldDef {
    FieldDef {
        required: true,
        ..of(Kind::Record(Box::new(Record {
            fields,
            ..Record::default()
        })))
    }
}

fn foreign() -> FieldDef {
    of(Kind::Foreign(Foreign::to("owners")))
}

fn with(def: FieldDef, validator: Validator) -> FieldDef {
    FieldDef {
        validators: vec![validator],
        ..def
    }
}

fn required(def: FieldDef) -> FieldDef {
    FieldDef { required: true, ..def }
}

fn default(def: FieldDef, value: Value) -> FieldDef {
    FieldDef {
        default: Some(value),
        ..def
    }
}

fn schema(fields: Vec<Field>) -> Schema {
    Schema {
        name: "things".into(),
        fields,
        storage: Storage {
            primary_key: vec!["id".into()],
            workspaceable: true,
            ..Storage::default()
        },
        ..Schema::default()
    }
}

fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

/// What a POST of the body is refused with; null when it is not.
fn errors(schema: &Schema, body: Value) -> Value {
    let body = object(body);
    let outcome = schema.process(Operation::Insert, &body, None, NOW);
    outcome
        .and_then(|entity| schema.validate(&entity, Operation::Insert, &body))
        .err()
        .map_or(Value::Null, Value::Object)
}

fn patch(schema: &Schema, stored: Value, body: Value) -> Result<Value, Value> {
    let (stored, body) = (object(stored), object(body));
    let entity = schema
        .process(Operation::Update, &body, Some(&stored), NOW)
        .map_err(Value::Object)?;
    schema.validate_update(&entity, &body, &stored).map_err(Value::Object)?;
    Ok(Value::Object(entity))
}

#[test]
fn values_have_the_type_of_their_kind() {
    let rows: Vec<(FieldDef, Value, Value)> = vec![
        (string(), json!(1), json!("expected a string")),
        (string(), json!(""), json!("length must be at least 1")),
        (with(string(), Validator::LenMin(0)), json!(""), Value::Null),
        (of(Kind::Number), json!("1"), json!("expected a number")),
        (of(Kind::Number), json!(1.5), Value::Null),
        (integer(), json!(1.5), json!("expected an integer")),
        (integer(), json!(5.0), Value::Null),
        (integer(), json!(9_007_199_254_740_992u64), Value::Null),
        (integer(), json!("80"), json!("expected an integer")),
        (of(Kind::Boolean), json!("true"), json!("expected a boolean")),
        (array(string()), json!("a"), json!("expected an array")),
        (array(string()), json!({"a": 1}), json!("expected an array")),
        (array(string()), json!({}), Value::Null),
        (
            array(string()),
            json!(["a", 1, "b", null, "c"]),
            json!([null, "expected a string", null, "required field missing"]),
        ),
        (set(string()), json!(1), json!("expected a set")),
        (map(string(), integer()), json!("a"), json!("expected a map")),
        (map(string(), integer()), json!([]), Value::Null),
        (map(string(), integer()), json!(["a"]), json!("expected a string")),
        (
            map(string(), integer()),
            json!({"a": "x"}),
            json!("expected an integer"),
        ),
        (
            map(string(), integer()),
            json!({"a": null}),
            json!("required field missing"),
        ),
        (
            map(types::header_name(), integer()),
            json!({"a b": "x"}),
            json!("bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'"),
        ),
        (
            record(vec![field("a", integer())]),
            json!(1),
            json!("expected a record"),
        ),
        (record(vec![field("a", integer())]), json!([]), Value::Null),
        (
            record(vec![field("a", integer())]),
            json!(["x"]),
            json!(["unknown field"]),
        ),
        (
            record(vec![field("a", integer())]),
            json!({"a": "x", "b": 1}),
            json!({"a": "expected an integer", "b": "unknown field"}),
        ),
        (
            record(vec![field("a", required(integer()))]),
            json!({"a": null}),
            json!({"a": "required field missing"}),
        ),
        (foreign(), json!("x"), json!({"id": "missing primary key"})),
        (foreign(), json!(7), json!({"id": "missing primary key"})),
        (foreign(), json!({"name": "x"}), json!({"id": "missing primary key"})),
        (foreign(), json!({"id": "x"}), json!({"id": "expected a valid UUID"})),
        (foreign(), json!({"id": ID, "more": 1}), Value::Null),
        (of(Kind::Json(None)), json!({"any": ["thing"]}), Value::Null),
        (required(string()), Value::Null, json!("required field missing")),
        (
            FieldDef {
                not_null: true,
                ..string()
            },
            Value::Null,
            json!("required field missing"),
        ),
        (string(), Value::Null, Value::Null),
    ];
    for (def, value, expected) in rows {
        let actual = check_value(&def, &value, Operation::Insert).err().unwrap_or_default();
        assert_eq!(actual, expected, "{value} as {:?}", def.kind);
    }
}

#[test]
fn validators_refuse_with_their_texts() {
    let list = |values: &[&str]| values.iter().map(|v| Value::from(*v)).collect::<Vec<_>>();
    let pattern = |text: &str, err: Option<&str>| kong_schema::Pattern {
        pattern: text.into(),
        err: err.map(str::to_owned),
    };
    let any = |err: Option<&str>| Validator::MatchAny {
        patterns: vec!["^a".into(), "^b".into()],
        err: err.map(str::to_owned),
    };
    let subsets =
        Validator::MutuallyExclusiveSubsets(vec![vec!["a".into(), "b".into()], vec!["c".into()], vec!["d".into()]]);
    let rows: Vec<(FieldDef, Value, &str)> = vec![
        (with(string(), Validator::Eq("a".into())), json!("b"), "value must be a"),
        (
            with(string(), Validator::Eq("a".into())),
            Value::Null,
            "value must be a",
        ),
        (
            with(string(), Validator::Eq(Value::Null)),
            json!("b"),
            "value must be null",
        ),
        (
            with(integer(), Validator::Eq(Value::Null)),
            json!("not even an integer"),
            "value must be null",
        ),
        (
            with(of(Kind::Boolean), Validator::Ne(true.into())),
            json!(true),
            "value must not be true",
        ),
        (
            with(string(), Validator::Ne(Value::Null)),
            Value::Null,
            "value must not be null",
        ),
        (
            with(integer(), Validator::Gt(0.0)),
            json!(0),
            "value must be greater than 0",
        ),
        (
            with(integer(), Validator::Between(0.0, 65535.0)),
            json!(65536),
            "value should be between 0 and 65535",
        ),
        (
            with(of(Kind::Number), Validator::Between(0.001, 1e6)),
            json!(0),
            "value should be between 0 and 1000000",
        ),
        (with(string(), Validator::LenEq(2)), json!("a"), "length must be 2"),
        (
            with(array(string()), Validator::LenMin(2)),
            json!(["a"]),
            "length must be at least 2",
        ),
        (
            with(string(), Validator::LenMax(1)),
            json!("é"),
            "length must be at most 1",
        ),
        (
            with(string(), Validator::Match("^%u+$".into())),
            json!("a"),
            "invalid value: a",
        ),
        (
            with(string(), Validator::NotMatch("^%l+$".into())),
            json!("a"),
            "invalid value: a",
        ),
        (
            with(
                string(),
                Validator::MatchAll(vec![pattern("a", None), pattern("b", Some("no b"))]),
            ),
            json!("a"),
            "no b",
        ),
        (
            with(string(), Validator::MatchAll(vec![pattern("b", None)])),
            json!("a"),
            "invalid value: a",
        ),
        (
            with(string(), Validator::MatchNone(vec![pattern("//", Some("empty"))])),
            json!("//"),
            "empty",
        ),
        (with(string(), any(None)), json!("c"), "invalid value: c"),
        (with(string(), any(Some("neither"))), json!("c"), "neither"),
        (
            with(string(), Validator::StartsWith("/".into())),
            json!("a"),
            "should start with: /",
        ),
        (
            with(array(string()), Validator::Contains("exp".into())),
            json!(["a"]),
            "expected to contain: exp",
        ),
        (
            with(string(), Validator::OneOf(list(&["a", "b", "c"]))),
            json!("d"),
            "expected one of: a, b, c",
        ),
        (
            with(string(), Validator::OneOf(list(&["a"]))),
            json!(""),
            "expected one of: a",
        ),
        (
            with(string(), Validator::NotOneOf(list(&["a", "b"]))),
            json!("b"),
            "must not be one of: a, b",
        ),
        (with(string(), Validator::IsRegex), json!("("), "not a valid regex: ("),
        (
            with(set(string()), subsets.clone()),
            json!(["c", "b", "a"]),
            "these sets are mutually exclusive: ('c'), ('a', 'b')",
        ),
        (
            FieldDef {
                timestamp: true,
                ..integer()
            },
            json!(0),
            "expected a valid timestamp",
        ),
        (FieldDef { uuid: true, ..string() }, json!("x"), "expected a valid UUID"),
        (FieldDef { uuid: true, ..string() }, json!(""), "expected a valid UUID"),
        (
            FieldDef {
                err: Some("own text".into()),
                ..with(string(), Validator::LenEq(2))
            },
            json!(""),
            "own text",
        ),
        // The first in order of evaluation is reported, not the first that was declared.
        (
            FieldDef {
                validators: vec![Validator::Match("^b".into()), Validator::LenMin(3)],
                ..string()
            },
            json!("a"),
            "length must be at least 3",
        ),
        (
            FieldDef {
                referenceable: true,
                ..with(string(), Validator::LenEq(1))
            },
            json!("{vault://env/a"),
            "length must be 1",
        ),
    ];
    for (def, value, expected) in rows {
        assert_eq!(
            check_value(&def, &value, Operation::Insert),
            Err(expected.into()),
            "{value}"
        );
    }
    let passing: Vec<(FieldDef, Value)> = vec![
        (with(string(), Validator::IsRegex), json!("(?=a)(b)\\1?")),
        (with(set(string()), subsets), json!(["a", "b", "unknown"])),
        (with(integer(), Validator::OneOf(vec![426.into()])), json!(426.0)),
        (
            FieldDef { uuid: true, ..string() },
            json!("ABCDEF00-0000-0000-0000-00000000000f"),
        ),
        (
            FieldDef {
                referenceable: true,
                ..with(string(), Validator::LenEq(1))
            },
            json!("{vault://env/a}"),
        ),
    ];
    for (def, value) in passing {
        assert_eq!(check_value(&def, &value, Operation::Insert), Ok(()), "{value}");
    }
}

#[test]
fn entity_checks_report_for_the_entity() {
    let fields = || ["a", "b", "c"].map(|name| field(name, string())).to_vec();
    let ab: &[&str] = &["a", "b"];
    let rows: Vec<(EntityCheck, Value, Value)> = vec![
        (
            at_least_one_of(ab),
            json!({}),
            json!("at least one of these fields must be non-empty: 'a', 'b'"),
        ),
        (at_least_one_of(ab), json!({"b": "x"}), Value::Null),
        (
            only_one_of(ab),
            json!({}),
            json!("exactly one of these fields must be non-empty: 'a', 'b'"),
        ),
        (
            only_one_of(ab),
            json!({"a": "x", "b": "y"}),
            json!("exactly one of these fields must be non-empty: 'a', 'b'"),
        ),
        (only_one_of(ab), json!({"a": "x"}), Value::Null),
        (
            distinct(ab),
            json!({"a": "x", "b": "x"}),
            json!("values of these fields must be distinct: 'a', 'b'"),
        ),
        (distinct(ab), json!({}), Value::Null),
        (
            mutually_required(ab),
            json!({"a": "x"}),
            json!("all or none of these fields must be set: 'a', 'b'"),
        ),
        (mutually_required(ab), json!({"a": "x", "b": "y"}), Value::Null),
        (
            mutually_exclusive(ab),
            json!({"a": "x", "b": "y"}),
            json!("only one or none of these fields must be set: 'a', 'b'"),
        ),
        (mutually_exclusive(ab), json!({}), Value::Null),
        (
            mutually_exclusive_sets(&["a"], &["b", "c"]),
            json!({"a": "x", "c": "y"}),
            json!("these sets are mutually exclusive: ('a'), ('b', 'c')"),
        ),
        (
            mutually_exclusive_sets(&["a"], &["b", "c"]),
            json!({"b": "x", "c": "y"}),
            Value::Null,
        ),
        (
            custom("no", &["a"], |_| Err(CheckError::entity("no"))),
            json!({}),
            json!("no"),
        ),
        (when("a").eq("x").then("b").required(), json!({"a": "y"}), Value::Null),
        (
            when("a").eq("x").then("b").eq("y"),
            json!({"a": "x", "b": "y"}),
            Value::Null,
        ),
    ];
    for (check, body, expected) in rows {
        let schema = Schema {
            entity_checks: vec![check.clone()],
            ..schema(fields())
        };
        assert_eq!(
            errors(&schema, body.clone())["@entity"][0],
            expected,
            "{check:?} on {body}"
        );
    }
}

#[test]
fn a_conditional_also_reports_on_the_field() {
    let base = || {
        vec![
            field("a", with(string(), Validator::OneOf(vec!["x".into(), "y".into()]))),
            field("b", string()),
        ]
    };
    let text = "failed conditional validation given value of field 'a'";
    let rows: Vec<(EntityCheck, Value, Value)> = vec![
        (
            when("a").eq("x").then("b").required(),
            json!({"a": "x"}),
            json!({"@entity": [text], "b": "required field missing"}),
        ),
        (
            when("a").eq("x").then("b").eq(Value::Null),
            json!({"a": "x", "b": "z"}),
            json!({"@entity": [text], "b": "value must be null"}),
        ),
        (
            when("a").eq("x").then("b").one_of(&["q"]).err("own"),
            json!({"a": "x", "b": "z"}),
            json!({"@entity": ["own"], "b": "expected one of: q"}),
        ),
        // A field that is wrong itself is no condition.
        (
            when("a").not_one_of(&["y"]).then("b").eq(Value::Null),
            json!({"a": "q", "b": "z"}),
            json!({"a": "expected one of: x, y"}),
        ),
        // The field's own rules hold beside those of the check, and run although the field failed them already.
        (
            when("a").eq("x").then("b").required(),
            json!({"a": "x", "b": 1}),
            json!({"@entity": [text], "b": "expected a string"}),
        ),
    ];
    for (check, body, expected) in rows {
        let schema = Schema {
            entity_checks: vec![check.clone()],
            ..schema(base())
        };
        assert_eq!(errors(&schema, body.clone()), expected, "{check:?} on {body}");
    }
}

#[test]
fn checks_know_when_not_to_run() {
    let reference = FieldDef {
        referenceable: true,
        ..string()
    };
    let with_checks = |checks| Schema {
        entity_checks: checks,
        ..schema(vec![
            field("a", reference.clone()),
            field("b", string()),
            field("n", integer()),
        ])
    };
    let vault = json!({"a": "{vault://env/x}", "b": "y"});
    assert_eq!(
        errors(&with_checks(vec![mutually_exclusive(&["a", "b"])]), vault),
        Value::Null
    );
    let never = || custom("never", &["n"], |_| Err(CheckError::entity("ran")));
    assert_eq!(
        errors(&with_checks(vec![never()]), json!({"n": "x"})),
        json!({"n": "expected an integer"})
    );
    let anyway = never().with_invalid_fields();
    assert_eq!(
        errors(&with_checks(vec![anyway]), json!({"n": "x"})),
        json!({"n": "expected an integer", "@entity": ["ran"]})
    );
    let exclusive = mutually_exclusive(&["b", "n"]);
    assert_eq!(
        errors(&with_checks(vec![exclusive]), json!({"b": "x", "n": "y"})),
        json!({"n": "expected an integer"})
    );
}

#[test]
fn records_are_checked_inside_and_as_a_whole() {
    let inner = Record {
        fields: vec![field("a", string()), field("b", string())],
        entity_checks: vec![at_least_one_of(&["a", "b"])],
        checks: vec![kong_schema::Custom::new("whole", |value| {
            if value["a"] == "bad" {
                Err("bad record".into())
            } else {
                Ok(())
            }
        })],
        ..Record::default()
    };
    let schema = schema(vec![field("r", required(of(Kind::Record(Box::new(inner)))))]);
    let none = json!({"@entity": ["at least one of these fields must be non-empty: 'a', 'b'"]});
    assert_eq!(errors(&schema, json!({})), json!({"r": none}));
    assert_eq!(errors(&schema, json!({"r": {"a": "bad"}})), json!({"r": "bad record"}));
    assert_eq!(
        errors(&schema, json!({"r": {"a": "bad", "b": 1}})),
        json!({"r": {"b": "expected a string"}})
    );
    assert_eq!(errors(&schema, json!({"r": {"a": "x"}})), Value::Null);
}

#[test]
fn absent_members_get_their_values() {
    let schema = schema(vec![
        field("id", types::uuid()),
        field("created_at", types::timestamp()),
        field("updated_at", types::timestamp()),
        field("secret", FieldDef { auto: true, ..string() }),
        field("retries", default(integer(), json!(5))),
        field("name", string()),
        field(
            "r",
            record(vec![field("x", default(integer(), json!(1))), field("y", string())]),
        ),
        field(
            "n",
            FieldDef {
                required: false,
                ..record(vec![field("x", default(integer(), json!(1)))])
            },
        ),
        field("list", array(record(vec![field("x", default(integer(), json!(1)))]))),
        field("tags", set(string())),
        field("m", map(string(), string())),
        field("owner", foreign()),
    ]);
    let body = json!({"created_at": null, "updated_at": "anything", "retries": null, "list": [{}], "tags": ["b", "a", "b"],
        "m": [], "owner": {"id": ID, "name": "whole entity"}});
    let entity = schema.process(Operation::Insert, &object(body), None, NOW).unwrap();
    assert_eq!(entity["id"].as_str().map(str::len), Some(36));
    let secret = entity["secret"].as_str().unwrap();
    assert!(
        secret.len() == 32 && secret.bytes().all(|b| b.is_ascii_alphanumeric()),
        "{secret}"
    );
    let rest = json!({"created_at": 1_700_000_000, "updated_at": 1_700_000_000, "retries": null, "name": null,
        "r": {"x": 1, "y": null}, "n": null, "list": [{"x": 1}], "tags": ["b", "a"], "m": {}, "owner": {"id": ID}});
    for (name, expected) in object(rest) {
        assert_eq!(entity[&name], expected, "{name}");
    }
    assert_eq!(schema.validate(&entity, Operation::Insert, &Object::new()), Ok(()));
}

#[test]
fn numbers_are_stored_without_fraction_where_they_have_none() {
    let schema = schema(vec![field("n", of(Kind::Number)), field("free", of(Kind::Json(None)))]);
    for (given, stored) in [
        ("5.0", "5"),
        ("1e3", "1000"),
        ("1.5", "1.5"),
        ("9007199254740992", "9007199254740992"),
    ] {
        let body: Value = serde_json::from_str(&format!("{{\"n\": {given}, \"free\": [{given}]}}")).unwrap();
        let entity = schema.process(Operation::Insert, &object(body), None, NOW).unwrap();
        assert_eq!(
            (entity["n"].to_string(), entity["free"].to_string()),
            (stored.into(), format!("[{stored}]"))
        );
    }
}

#[test]
fn an_update_merges_records_and_replaces_the_rest() {
    let schema = schema(vec![
        field("id", types::uuid()),
        field("created_at", types::timestamp()),
        field("updated_at", types::timestamp()),
        field("host", required(string())),
        field("tags", set(string())),
        field("m", map(string(), string())),
        field(
            "r",
            record(vec![
                field("x", default(integer(), json!(1))),
                field("y", record(vec![field("z", string())])),
            ]),
        ),
    ]);
    let stored = json!({"id": ID, "created_at": 5, "updated_at": 5, "host": "a", "tags": ["t"], "m": {"k": "v"},
        "r": {"x": 2, "y": {"z": "z"}}, "ws_id": "w"});
    let base = |changes: Value| {
        let mut row = object(
            json!({"id": ID, "created_at": 5, "updated_at": 1_700_000_000, "host": "a", "tags": ["t"],
            "m": {"k": "v"}, "r": {"x": 2, "y": {"z": "z"}}}),
        );
        row.extend(object(changes));
        Ok(Value::Object(row))
    };
    let rows = vec![
        (json!({}), base(json!({}))),
        (json!({"tags": []}), base(json!({"tags": []}))),
        (json!({"tags": null}), base(json!({"tags": null}))),
        (json!({"m": {"a": "b"}}), base(json!({"m": {"a": "b"}}))),
        (
            json!({"r": {"y": {"z": null}}}),
            base(json!({"r": {"x": 2, "y": {"z": null}}})),
        ),
        (json!({"created_at": 7}), base(json!({"created_at": 7}))),
        (json!({"created_at": null}), base(json!({}))),
        (json!({"host": null}), Err(json!({"host": "required field missing"}))),
        (json!({"r": null}), Err(json!({"r": "required field missing"}))),
        (json!({"r": {"q": 1}}), Err(json!({"r": {"q": "unknown field"}}))),
        (json!({"ws_id": "other"}), Err(json!({"ws_id": "unknown field"}))),
        (json!({"nope": null}), Err(json!({"nope": "unknown field"}))),
    ];
    for (body, expected) in rows {
        assert_eq!(patch(&schema, stored.clone(), body.clone()), expected, "{body}");
    }
}

#[test]
fn a_check_when_updating_says_so() {
    let schema = Schema {
        entity_checks: vec![at_least_one_of(&["a"])],
        ..schema(vec![field("a", string())])
    };
    let error = json!({"@entity": ["when updating, at least one of these fields must be non-empty: 'a'"]});
    assert_eq!(patch(&schema, json!({"a": "x"}), json!({"a": null})), Err(error));
}

#[test]
fn shorthands_are_typed_expanded_and_compared() {
    let redis = record(vec![
        field("host", string()),
        field("port", default(integer(), json!(6379))),
    ]);
    let config = Record {
        fields: vec![field("redis", redis)],
        shorthands: vec![
            shorthand::renamed("redis_host", string(), &["redis", "host"], "m"),
            shorthand::renamed("redis_port", integer(), &["redis", "port"], "m"),
        ],
        ..Record::default()
    };
    let mut things = schema(vec![
        field("a", string()),
        field("config", required(of(Kind::Record(Box::new(config))))),
    ]);
    things.shorthands = vec![shorthand::plain("both", string(), |value| object(json!({"a": value})))];
    let mismatch = "both deprecated and new field are used but their values mismatch: redis_port = 1 vs redis.port = 2";
    let rows = vec![
        (
            json!({"both": "x", "a": "y"}),
            Ok(json!({"a": "x", "config": {"redis": {"host": null, "port": 6379}}})),
        ),
        (json!({"both": 1}), Err(json!({"both": "expected a string"}))),
        (
            json!({"config": {"redis_host": "h"}}),
            Ok(json!({"a": null, "config": {"redis": {"host": "h", "port": 6379}}})),
        ),
        (
            json!({"config": {"redis_host": "h", "redis": {"host": "h", "port": 1}}}),
            Ok(json!({"a": null, "config": {"redis": {"host": "h", "port": 1}}})),
        ),
        (
            json!({"config": {"redis_port": 1, "redis": {"port": 2}}}),
            Err(json!({"redis_port": mismatch})),
        ),
        (
            json!({"config": {"redis_port": null, "redis": {"port": 2}}}),
            Ok(json!({"a": null, "config": {"redis": {"host": null, "port": 2}}})),
        ),
        (
            json!({"config": {"redis_host": 1, "x": 1}}),
            Err(json!({"redis_host": "expected a string"})),
        ),
    ];
    for (body, expected) in rows {
        let processed = things.process(Operation::Insert, &object(body.clone()), None, NOW);
        assert_eq!(processed.map(Value::Object).map_err(Value::Object), expected, "{body}");
    }
    let row = object(json!({"a": null, "config": {"redis": {"host": "h", "port": 1}}}));
    assert_eq!(
        Value::Object(things.to_response(&row, NOW)),
        json!({"a": null, "config": {"redis_host": "h", "redis_port": 1, "redis": {"host": "h", "port": 1}}})
    );
}

fn with_variants() -> Schema {
    let variant = |name: &str, config: FieldDef| {
        let schema = Schema {
            fields: vec![field("config", config)],
            name: name.into(),
            ..Schema::default()
        };
        (name.to_owned(), Arc::new(schema))
    };
    let first = record(vec![
        field("x", default(required(integer()), json!(1))),
        field("list", array(string())),
    ]);
    let mut acl = record(vec![
        field("allow", array(string())),
        field("deny", array(string())),
        field("hide", default(required(of(Kind::Boolean)), json!(false))),
    ]);
    if let Kind::Record(record) = &mut acl.kind {
        record.entity_checks = Vec::new();
    }
    let mut things = schema(vec![
        field("name", required(string())),
        field("config", of(Kind::Abstract)),
    ]);
    let (acl_name, acl_schema) = variant("acl", acl);
    let acl_schema = Schema {
        entity_checks: vec![only_one_of(&["config.allow", "config.deny"])],
        ..(*acl_schema).clone()
    };
    things.polymorphic = Some(Polymorphic {
        key: "name".into(),
        variants: vec![variant("first", first), (acl_name, Arc::new(acl_schema))],
        unknown: Some(Arc::new(|name| format!("no '{name}'"))),
    });
    things
}

#[test]
fn a_variant_is_chosen_by_name() {
    let things = with_variants();
    assert_eq!(
        errors(&things, json!({"config": 1})),
        json!({"name": "required field missing"})
    );
    assert_eq!(
        errors(&things, json!({"name": "x", "nope": 1})),
        json!({"name": "no 'x'"})
    );
    assert_eq!(
        errors(&things, json!({"name": "first", "config": {"y": 1}})),
        json!({"config": {"y": "unknown field"}})
    );
    assert_eq!(
        errors(&things, json!({"name": "first", "config": null})),
        json!({"config": "required field missing"})
    );
    let entity = things
        .process(Operation::Insert, &object(json!({"name": "first"})), None, NOW)
        .unwrap();
    assert_eq!(entity["config"], json!({"x": 1, "list": null}));
}

#[test]
fn a_change_of_the_variant_misses_the_members_of_the_new_one() {
    let things = with_variants();
    let stored = json!({"name": "first", "config": {"x": 1, "list": null}});
    let body = json!({"name": "acl", "config": {"allow": ["a"]}});
    let expected = json!({"config": {"x": "unknown field", "list": "unknown field",
        "deny": "field required for entity check when updating"}});
    assert_eq!(patch(&things, stored, body), Err(expected));
}

fn credential() -> Schema {
    let mut things = schema(vec![
        field("consumer", required(foreign())),
        field("password", required(string())),
    ]);
    things.transformations = vec![Transformation {
        name: "hash".into(),
        input: vec!["password".into()],
        needs: vec!["consumer.id".into()],
        apply: Arc::new(|entity| {
            let text = format!("hash of {} for {}", entity["password"], entity["consumer"]["id"]);
            Ok(object(json!({"password": text})))
        }),
    }];
    things
}

#[test]
fn a_derived_value_needs_all_that_it_is_made_of() {
    let things = credential();
    let text = "all or none of these fields must be set: 'password', 'consumer.id'";
    assert_eq!(
        errors(&things, json!({"password": "p"})),
        json!({"@entity": [text], "consumer": "required field missing"})
    );
    assert_eq!(
        errors(&things, json!({"consumer": {"id": ID}})),
        json!({"password": "required field missing"})
    );
    let stored = json!({"consumer": {"id": ID}, "password": "hashed"});
    let other = "00000000-0000-4000-8000-000000000002";
    let rows = [
        (json!({}), true),
        (json!({"password": "p"}), false),
        (json!({"password": "p", "consumer": {"id": ID}}), true),
        (json!({"consumer": {"id": ID}}), true),
        (json!({"consumer": {"id": other}}), false),
        (json!({"password": "p", "consumer": {"id": other}}), true),
    ];
    for (body, accepted) in rows {
        let outcome = patch(&things, stored.clone(), body.clone());
        assert_eq!(outcome.is_ok(), accepted, "{body}: {outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(error, json!({"@entity": [text]}));
        }
    }
}

#[test]
fn derivations_run_only_for_what_was_sent() {
    let things = credential();
    let body = object(json!({"consumer": {"id": "c"}, "password": "p"}));
    let mut entity = body.clone();
    things.transform(&mut entity, &body, Operation::Insert).unwrap();
    assert_eq!(entity["password"], "hash of \"p\" for \"c\"");
    let before = entity.clone();
    things
        .transform(&mut entity, &Object::new(), Operation::Update)
        .unwrap();
    assert_eq!(entity, before);
}

#[test]
fn rows_expire() {
    let mut things = schema(vec![field("created_at", types::timestamp()), field("k", string())]);
    things.storage.ttl = true;
    let insert = |body: Value| things.process(Operation::Insert, &object(body), None, NOW).unwrap();
    assert_eq!(insert(json!({"ttl": 100}))["ttl"], 1_700_000_100);
    assert_eq!(insert(json!({"ttl": 0}))["ttl"], Value::Null);
    assert_eq!(insert(json!({}))["ttl"], Value::Null);
    let stored = json!({"created_at": 5, "k": "k", "ttl": 1_700_000_050});
    let expiry = |body: Value| patch(&things, stored.clone(), body).unwrap()["ttl"].clone();
    assert_eq!(expiry(json!({})), 1_700_000_050);
    assert_eq!(expiry(json!({"ttl": 0})), Value::Null);
    assert_eq!(expiry(json!({"ttl": 9})), 1_700_000_009);
    assert_eq!(things.to_response(&object(stored), NOW)["ttl"], 49);
    for (ttl, valid) in [
        (json!(-1), false),
        (json!(1.5), false),
        (json!("1"), false),
        (json!(100_000_001), false),
        (json!(0), true),
        (Value::Null, true),
    ] {
        assert_eq!(
            things.validate_ttl(&object(json!({"ttl": ttl}))).is_ok(),
            valid,
            "{ttl}"
        );
    }
    let options = things.validate_ttl(&object(json!({"ttl": -1}))).unwrap_err();
    assert_eq!(
        ErrorObject::invalid_options(options).message,
        "invalid option (ttl: must be an integer between 0 and 100000000)"
    );
}

#[test]
fn rows_are_shown_whole() {
    let things = schema(vec![
        field("a", string()),
        field("b", default(required(integer()), json!(7))),
        field("c", default(integer(), json!(8))),
        field(
            "r",
            record(vec![
                field("x", default(required(integer()), json!(1))),
                field("y", string()),
            ]),
        ),
    ]);
    let row = object(json!({"a": "", "b": null, "c": null, "r": {"x": null}, "ws_id": "w"}));
    assert_eq!(
        Value::Object(things.to_response(&row, NOW)),
        json!({"a": null, "b": 7, "c": null, "r": {"x": 1, "y": null}})
    );
}

#[test]
fn keys_in_paths_are_validated() {
    let mut things = schema(vec![field("id", types::uuid()), field("name", types::utf8_name())]);
    things.storage.endpoint_key = Some("name".into());
    let pk = |value: Value| things.validate_primary_key(&object(value)).err().map(Value::Object);
    assert_eq!(pk(json!({"id": ID})), None);
    assert_eq!(pk(json!({"id": "x"})), Some(json!({"id": "expected a valid UUID"})));
    assert_eq!(pk(json!({})), Some(json!({"id": "missing primary key"})));
    assert_eq!(
        pk(json!({"id": ID, "name": "x"})),
        Some(json!({"name": "not a primary key"}))
    );
    let error = things.validate_unique("name", &"a b".into()).unwrap_err();
    let error = ErrorObject::invalid_unique("name", &error);
    assert_eq!(
        serde_json::to_value(error).unwrap(),
        json!({"code": 10, "name": "invalid unique name",
            "message": "invalid value 'a b': the only accepted ascii characters are alphanumerics or ., -, _, and ~"})
    );
}

#[test]
fn cache_keys_have_seven_parts() {
    let mut things = schema(vec![field("id", types::uuid())]);
    let row = object(json!({"id": "i", "name": "n", "owner": {"id": "o"}, "none": null}));
    assert_eq!(things.cache_key(&row, "ws"), "things:i:::::ws");
    things.storage.cache_key = vec!["name".into(), "none".into(), "owner".into()];
    assert_eq!(things.cache_key(&row, "ws"), "things:n::o:::ws");
    assert_eq!(things.cache_key(&object(json!({"id": "i"})), "ws"), "things:i:::::ws");
    things.storage.cache_key_form = CacheKeyForm::WithoutWorkspace;
    assert_eq!(things.cache_key(&row, "ws"), "things:n::o:::");
    things.storage.cache_key_form = CacheKeyForm::Short;
    assert_eq!(things.cache_key(&row, "ws"), "things:n::o");
    things.storage.cache_key_form = CacheKeyForm::Hashed;
    assert_eq!(things.cache_key(&row, "ws").len(), "things:".len() + 40);
    things.storage = Storage {
        primary_key: vec!["id".into()],
        ..Storage::default()
    };
    assert_eq!(things.cache_key(&row, "ws"), "things:i:::::");
}

#[test]
fn strings_of_forms_are_typed_by_the_schema() {
    let mut things = with_variants();
    things.storage.ttl = true;
    things.fields.extend([
        field("n", of(Kind::Number)),
        field("i", integer()),
        field("b", of(Kind::Boolean)),
        field("tags", set(string())),
        field("m", map(string(), array(integer()))),
        field("owner", foreign()),
    ]);
    things.shorthands = vec![shorthand::plain("short", integer(), |_| Object::new())];
    let rows = [
        (json!({"n": "08"}), json!({"n": 8})),
        (json!({"n": "1e1"}), json!({"n": 10})),
        (json!({"n": "0x50"}), json!({"n": 80})),
        (json!({"n": " 80 "}), json!({"n": 80})),
        (json!({"n": "-1.5"}), json!({"n": -1.5})),
        (json!({"n": "inf"}), json!({"n": "inf"})),
        (json!({"n": "eighty"}), json!({"n": "eighty"})),
        (json!({"i": ""}), json!({"i": null})),
        (json!({"i": ["1", "2"]}), json!({"i": ["1", "2"]})),
        (json!({"b": "true"}), json!({"b": true})),
        (json!({"b": "TRUE"}), json!({"b": "TRUE"})),
        (json!({"tags": "a,b"}), json!({"tags": ["a,b"]})),
        (json!({"tags": ""}), json!({"tags": null})),
        (json!({"m": {"x": "1"}}), json!({"m": {"x": [1]}})),
        (
            json!({"name": "first", "config": {"x": "2", "list": "a", "q": "1"}}),
            json!({"name": "first", "config": {"x": 2, "list": ["a"], "q": "1"}}),
        ),
        (json!({"owner": "x"}), json!({"owner": "x"})),
        (
            json!({"short": "7", "ttl": "5", "unknown": "6"}),
            json!({"short": 7, "ttl": 5, "unknown": "6"}),
        ),
    ];
    for (form, expected) in rows {
        assert_eq!(Value::Object(things.coerce(object(form.clone()))), expected, "{form}");
    }
}

#[test]
fn a_reference_is_validated_against_its_entity() {
    let mut owners = schema(vec![
        field("id", types::uuid()),
        field("name", types::utf8_name()),
        field("n", integer()),
    ]);
    owners.name = "owners".into();
    let linked = |target: Schema| {
        of(Kind::Foreign(Foreign {
            target: Some(Arc::new(target)),
            ..Foreign::to("owners")
        }))
    };
    let rows = [
        (json!({"name": "x"}), json!({"id": "missing primary key"})),
        (json!({"n": "x"}), json!({"n": "expected an integer"})),
        (json!({"q": 1}), json!({"q": "unknown field"})),
        (json!({"id": "x"}), json!({"id": "expected a valid UUID"})),
    ];
    for (value, expected) in rows {
        assert_eq!(
            check_value(&linked(owners.clone()), &value, Operation::Insert),
            Err(expected),
            "{value}"
        );
    }
    let polymorphic = linked(with_variants());
    let error = check_value(&polymorphic, &json!({"id": "x"}), Operation::Insert);
    assert_eq!(error, Err(json!({"name": "required field missing"})));
}

#[test]
fn an_immutable_field_keeps_its_value() {
    let immutable = FieldDef {
        immutable: true,
        ..string()
    };
    let things = schema(vec![field("a", immutable), field("b", string())]);
    let stored = json!({"a": "x", "b": "y"});
    let error = json!({"a": "immutable field cannot be updated"});
    assert_eq!(patch(&things, stored.clone(), json!({"a": "z"})), Err(error));
    assert_eq!(
        patch(&things, stored.clone(), json!({"a": "x", "b": "z"})),
        Ok(json!({"a": "x", "b": "z"}))
    );
}
