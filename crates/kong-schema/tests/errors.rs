//! Error objects: the worked examples of entities.md §7 and the rules of §2.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kong_schema::Object;
use kong_schema::errors::ErrorObject;
use serde_json::{Value, json};

fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

#[test]
fn every_code_has_its_name_status_and_text() {
    let id = "00000000-0000-4000-8000-000000000001";
    let pk = || object(json!({"id": id}));
    let rows: Vec<(ErrorObject, u16, Value)> = vec![
        (
            ErrorObject::invalid_primary_key(object(json!({"id": "expected a valid UUID"}))),
            400,
            json!({"code": 1, "name": "invalid primary key", "message": "invalid primary key: '{id=\"expected a valid UUID\"}'",
                "fields": {"id": "expected a valid UUID"}}),
        ),
        (
            ErrorObject::field_violation("host", "required field missing"),
            400,
            json!({"code": 2, "name": "schema violation", "message": "schema violation (host: required field missing)",
                "fields": {"host": "required field missing"}}),
        ),
        (
            ErrorObject::primary_key_violation(pk()),
            400,
            json!({"code": 3, "name": "primary key violation", "message": format!("primary key violation on key '{{id=\"{id}\"}}'"),
                "fields": {"id": id}}),
        ),
        (
            ErrorObject::foreign_key_violation("service", "services", pk()),
            400,
            json!({"code": 4, "name": "foreign key violation", "fields": {"service": {"id": id}},
                "message": format!("the foreign key '{{id=\"{id}\"}}' does not reference an existing 'services' entity.")}),
        ),
        (
            ErrorObject::restricted_by("services", "routes"),
            400,
            json!({"code": 4, "name": "foreign key violation", "fields": {"@referenced_by": "routes"},
                "message": "an existing 'routes' entity references this 'services' entity"}),
        ),
        (
            ErrorObject::unique_violation(object(
                json!({"name": "cors", "consumer": null, "route": null, "service": {"id": id}}),
            )),
            409,
            json!({"code": 5, "name": "unique constraint violation",
                "fields": {"name": "cors", "consumer": null, "route": null, "service": {"id": id}},
                "message": format!("UNIQUE violation detected on '{{consumer=null,name=\"cors\",route=null,service={{id=\"{id}\"}}}}'")}),
        ),
        (
            ErrorObject::not_found(pk()),
            404,
            json!({"code": 6, "name": "not found", "fields": {"id": id},
                "message": format!("could not find the entity with primary key '{{id=\"{id}\"}}'")}),
        ),
        (
            ErrorObject::not_found_by(object(json!({"name": "x"}))),
            404,
            json!({"code": 6, "name": "not found", "message": "could not find the entity with '{name=\"x\"}'", "fields": {"name": "x"}}),
        ),
        (
            ErrorObject::invalid_offset("x", "bad base64 encoding"),
            400,
            json!({"code": 7, "name": "invalid offset", "message": "'x' is not a valid offset: bad base64 encoding"}),
        ),
        (
            ErrorObject::database_error("secret"),
            500,
            json!({"message": "An unexpected error occurred"}),
        ),
        (
            ErrorObject::size_not_a_number(),
            400,
            json!({"code": 9, "name": "invalid size", "message": "size must be a number"}),
        ),
        (
            ErrorObject::size_out_of_range(),
            400,
            json!({"code": 9, "name": "invalid size", "message": "size must be an integer between 1 and 1000"}),
        ),
        (
            ErrorObject::invalid_options(object(json!({"b": "no", "a": "never"}))),
            400,
            json!({"code": 11, "name": "invalid options", "message": "2 option violations (a: never; b: no)",
                "options": {"a": "never", "b": "no"}}),
        ),
        (
            ErrorObject::operation_unsupported("cannot create"),
            405,
            json!({"code": 12, "name": "operation unsupported", "message": "cannot create"}),
        ),
        (
            ErrorObject::foreign_keys_unresolved([("service", "name", &json!("nope"), "services")]),
            400,
            json!({"code": 13, "name": "foreign keys unresolved",
                "message": "foreign key unresolved (service.name: the foreign key cannot be resolved with '{name=\"nope\"}' for an existing 'services' entity)",
                "fields": {"service": {"name": "the foreign key cannot be resolved with '{name=\"nope\"}' for an existing 'services' entity"}}}),
        ),
        (
            ErrorObject::invalid_declarative_config(
                json!({"services": [null, {"host": "required field missing"}]}),
                None,
            ),
            400,
            json!({"code": 14, "name": "invalid declarative configuration",
                "message": "declarative config is invalid: {services={[2]={host=\"required field missing\"}}}",
                "fields": {"services": [null, {"host": "required field missing"}]}}),
        ),
        (
            ErrorObject::transformation_error("secret"),
            500,
            json!({"message": "An unexpected error occurred"}),
        ),
        (
            ErrorObject::invalid_foreign_key("secret"),
            500,
            json!({"message": "An unexpected error occurred"}),
        ),
        (
            ErrorObject::invalid_workspace("secret"),
            500,
            json!({"message": "An unexpected error occurred"}),
        ),
        (
            ErrorObject::invalid_global_query("secret"),
            500,
            json!({"message": "An unexpected error occurred"}),
        ),
        (
            ErrorObject::ca_certificate_in_use("ca", "services", "s"),
            400,
            json!({"code": 19, "name": "referenced by others",
                "message": "ca certificate ca is still referenced by services (id = s)"}),
        ),
    ];
    for (error, status, body) in rows {
        assert_eq!((error.http_status(), error.body()), (status, body));
    }
}

#[test]
fn a_violation_is_summed_up_in_one_line() {
    let rows = [
        (
            json!({"host": "a", "port": "b"}),
            "2 schema violations (host: a; port: b)",
        ),
        (
            json!({"a": "x", "@entity": ["one", "two"]}),
            "3 schema violations (one; two; a: x)",
        ),
        (
            json!({"protocols": [null, "bad"]}),
            "schema violation (protocols.2: bad)",
        ),
        (
            json!({"config": {"b": "y", "a": "x"}}),
            "2 schema violations (config.a: x; config.b: y)",
        ),
        (
            json!({"config": {"redis": {"host": "x"}}}),
            "schema violation (config.redis: {\n  host = \"x\"\n})",
        ),
        (
            json!({"pem": {"@entity": ["at least"]}}),
            "schema violation (pem.@entity: {\n  \"at least\"\n})",
        ),
        (
            json!({"sources": [{"@entity": ["at least"], "ip": "bad"}]}),
            "schema violation (sources.1: {\n  [\"@entity\"] = {\n    \"at least\"\n  },\n  ip = \"bad\"\n})",
        ),
    ];
    for (fields, message) in rows {
        assert_eq!(ErrorObject::schema_violation(object(fields)).message, message);
    }
}
