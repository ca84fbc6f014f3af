//! A derived schema is the value that is built by hand at run time.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::collections::BTreeMap;

use kong_schema::check::{at_least_one_of, when};
use kong_schema::{
    AsRecord, Choice, Custom, Entity, EntityCheck, Field, FieldDef, Foreign, Kind, LuaPattern, OnDelete, Pattern,
    Record, Schema, Shorthand, Storage, Unique, Validator, shorthand, types,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, Serialize, Deserialize, Choice)]
#[serde(rename_all = "kebab-case")]
enum Colour {
    DarkRed,
    Blue,
    #[serde(rename = "x-Green")]
    Green,
}

fn is_even(value: &Value) -> Result<(), Value> {
    if value.as_i64().is_some_and(|n| n % 2 == 0) {
        Ok(())
    } else {
        Err("not even".into())
    }
}

fn sane(_: &Value) -> Result<(), Value> {
    Ok(())
}

fn aliases() -> Vec<Shorthand> {
    vec![shorthand::renamed(
        "old_host",
        FieldDef::default(),
        &["inner", "host"],
        "use inner.host",
    )]
}

#[derive(Debug, Clone, Serialize, Deserialize, Record)]
#[kong(checks = [at_least_one_of(&["host", "colours"])], check = sane)]
struct Inner {
    /// Where to.
    #[kong(kind = "host")]
    host: Option<String>,
    #[kong(optional, default = ["blue"])]
    colours: Option<Vec<Colour>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, Record)]
struct Shared {
    #[kong(default = false)]
    verify: Option<bool>,
}

#[derive(Debug, Clone, Serialize, Deserialize, Entity)]
#[kong(
    name = "things",
    table = "old_things",
    endpoint_key = "name",
    cache_key("name", "owner"),
    collection = "things"
)]
#[kong(nested = "thing", ttl, core_cache, shorthands = aliases())]
#[kong(checks = [when("kind").eq("a").then("inner.host").required()])]
struct Thing {
    /// Key.
    ///
    /// Not for documents.
    #[kong(kind = "uuid")]
    id: String,
    #[kong(required, unique, match_none(("//", "no slashes"), "x"), err = "bad name")]
    name: String,
    #[serde(rename = "kind")]
    #[kong(
        default = "a",
        one_of("a", "b"),
        not_one_of("c"),
        starts_with = "a",
        not_matches = "^b"
    )]
    the_kind: Option<String>,
    #[kong(foreign = "owners", on_delete = "cascade", required)]
    owner: Value,
    #[kong(between(0, 10.5), gt = -1, default = -0.5)]
    ratio: Option<f64>,
    #[kong(custom = is_even, eq = 2, ne = null)]
    count: i64,
    inner: Inner,
    #[kong(optional)]
    other: Option<Inner>,
    #[kong(set, len_min = 1, len_max = 3, contains = "x", elements(required, len_eq = 1))]
    r#type: Vec<String>,
    #[kong(subsets(("a", "b"), ("c")))]
    sets: Vec<String>,
    #[kong(keys(kind = "header_name"), values(elements(is_regex)))]
    map: BTreeMap<String, Vec<String>>,
    #[kong(referenceable, encrypted, transient, immutable, not_null, auto, unique = "global")]
    secret: Option<String>,
    #[kong(match_any("^a", "^b"), match_any_err = "neither", match_all(("c", "no c")), matches = "d")]
    patterns: Option<String>,
    #[kong(json, annotate("json_schema", { "type": "object" }), annotate("examples", [1]))]
    free: Value,
    #[serde(flatten)]
    #[kong(flatten)]
    shared: Shared,
    #[kong(skip)]
    #[serde(default)]
    hidden: u8,
}

fn field(name: &str, def: FieldDef) -> Field {
    Field { name: name.into(), def }
}

fn of(kind: Kind) -> FieldDef {
    FieldDef {
        kind,
        ..FieldDef::default()
    }
}

fn texts(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|t| (*t).into()).collect()
}

fn by_hand() -> Schema {
    let inner = Record {
        fields: vec![
            field(
                "host",
                FieldDef {
                    description: Some("Where to.".into()),
                    ..types::host()
                },
            ),
            field(
                "colours",
                FieldDef {
                    explicitly_optional: true,
                    default: Some(json!(["blue"])),
                    ..of(Kind::Array(Box::new(types::one_of(&["dark-red", "blue", "x-Green"]))))
                },
            ),
        ],
        entity_checks: vec![EntityCheck::AtLeastOneOf(vec!["host".into(), "colours".into()])],
        shorthands: Vec::new(),
        checks: vec![Custom::new("sane", sane)],
    };
    let record = of(Kind::Record(Box::new(inner)));
    let pattern = |pattern: &str, err: Option<&str>| Pattern {
        pattern: pattern.into(),
        err: err.map(str::to_owned),
    };
    let with = |validators| FieldDef {
        validators,
        ..FieldDef::default()
    };
    Schema {
        name: "things".into(),
        fields: vec![
            field(
                "id",
                FieldDef {
                    description: Some("Key.".into()),
                    ..types::uuid()
                },
            ),
            field(
                "name",
                FieldDef {
                    required: true,
                    unique: Unique::Workspace,
                    err: Some("bad name".into()),
                    ..with(vec![Validator::MatchNone(vec![
                        pattern("//", Some("no slashes")),
                        pattern("x", None),
                    ])])
                },
            ),
            field(
                "kind",
                FieldDef {
                    default: Some("a".into()),
                    ..with(vec![
                        Validator::OneOf(texts(&["a", "b"])),
                        Validator::NotOneOf(texts(&["c"])),
                        Validator::StartsWith("a".into()),
                        Validator::NotMatch(LuaPattern::new("^b").unwrap()),
                    ])
                },
            ),
            field(
                "owner",
                FieldDef {
                    required: true,
                    ..of(Kind::Foreign(Foreign {
                        on_delete: OnDelete::Cascade,
                        ..Foreign::to("owners")
                    }))
                },
            ),
            field(
                "ratio",
                FieldDef {
                    default: Some(json!(-0.5)),
                    validators: vec![Validator::Between(0.0, 10.5), Validator::Gt(-1.0)],
                    ..of(Kind::Number)
                },
            ),
            field(
                "count",
                FieldDef {
                    validators: vec![
                        Validator::Custom(Custom::new("is_even", is_even)),
                        Validator::Eq(2.into()),
                        Validator::Ne(Value::Null),
                    ],
                    ..of(Kind::Integer)
                },
            ),
            field(
                "inner",
                FieldDef {
                    required: true,
                    ..record.clone()
                },
            ),
            field(
                "other",
                FieldDef {
                    explicitly_optional: true,
                    ..record
                },
            ),
            field(
                "type",
                FieldDef {
                    validators: vec![
                        Validator::LenMin(1),
                        Validator::LenMax(3),
                        Validator::Contains("x".into()),
                    ],
                    ..of(Kind::Set(Box::new(FieldDef {
                        required: true,
                        ..with(vec![Validator::LenEq(1)])
                    })))
                },
            ),
            field(
                "sets",
                FieldDef {
                    validators: vec![Validator::MutuallyExclusiveSubsets(vec![
                        vec!["a".into(), "b".into()],
                        vec!["c".into()],
                    ])],
                    ..of(Kind::Array(Box::default()))
                },
            ),
            field(
                "map",
                of(Kind::Map {
                    keys: Box::new(types::header_name()),
                    values: Box::new(of(Kind::Array(Box::new(with(vec![Validator::IsRegex]))))),
                }),
            ),
            field(
                "secret",
                FieldDef {
                    referenceable: true,
                    encrypted: true,
                    transient: true,
                    immutable: true,
                    not_null: true,
                    auto: true,
                    unique: Unique::Global,
                    ..FieldDef::default()
                },
            ),
            field(
                "patterns",
                with(vec![
                    Validator::MatchAny {
                        patterns: vec!["^a".into(), "^b".into()],
                        err: Some("neither".into()),
                    },
                    Validator::MatchAll(vec![pattern("c", Some("no c"))]),
                    Validator::Match("d".into()),
                ]),
            ),
            field(
                "free",
                FieldDef {
                    annotations: json!({"json_schema": {"type": "object"}, "examples": [1]})
                        .as_object()
                        .unwrap()
                        .clone(),
                    ..of(Kind::Json(None))
                },
            ),
            field(
                "verify",
                FieldDef {
                    default: Some(false.into()),
                    ..of(Kind::Boolean)
                },
            ),
        ],
        entity_checks: vec![when("kind").eq("a").then("inner.host").required()],
        shorthands: aliases(),
        storage: Storage {
            table: Some("old_things".into()),
            primary_key: vec!["id".into()],
            endpoint_key: Some("name".into()),
            cache_key: vec!["name".into(), "owner".into()],
            workspaceable: true,
            ttl: true,
            core_cache: true,
            ..Storage::default()
        },
        admin: kong_schema::AdminExposure {
            collection: Some("things".into()),
            nested: Some("thing".into()),
            hidden: false,
        },
        ..Schema::default()
    }
}

#[test]
fn a_derived_schema_equals_the_one_built_at_run_time() {
    let (derived, built) = (Thing::schema(), by_hand());
    for (derived, built) in derived.fields.iter().zip(&built.fields) {
        assert_eq!(derived, built);
    }
    assert_eq!(*derived, built);
    assert_eq!(derived.document(), built.document());
}

#[test]
fn a_row_decodes_into_the_struct_that_declared_it() {
    let body = json!({"name": "n", "owner": {"id": "00000000-0000-0000-0000-000000000001"}, "count": 2,
        "type": ["x"], "sets": [], "map": {}, "old_host": "a.test"});
    let schema = Thing::schema();
    let body = body.as_object().unwrap();
    let row = schema.process(kong_schema::Operation::Insert, body, None, 1.0).unwrap();
    let thing: Thing = serde_json::from_value(Value::Object(row)).unwrap();
    assert_eq!(thing.inner.host.as_deref(), Some("a.test"));
    assert_eq!(thing.secret.map(|s| s.len()), Some(32));
    assert_eq!(thing.shared.verify, Some(false));
}

#[test]
fn a_struct_may_be_generic_over_nothing_but_its_fields() {
    assert_eq!(Shared::record().fields.len(), 1);
}
