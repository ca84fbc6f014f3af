//! Endpoints that come from schemas alone, and what single entities do differently.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use axum::Router;
use kong_admin::AdminApp;
use kong_schema::{AdminExposure, Field, FieldDef, Foreign, Kind, OnDelete, Schema, Storage, Unique};
use serde_json::{Value, json};
use support::{call, context, context_with};

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";

fn field(name: &str, def: FieldDef) -> Field {
    Field {
        name: name.to_owned(),
        def,
    }
}

/// An entity of consumers, as a plugin would bring it.
fn of_consumers(name: &str, value: &str, storage: Storage, admin: AdminExposure) -> Schema {
    let consumer = Foreign {
        reference: "consumers".to_owned(),
        on_delete: OnDelete::Cascade,
        target: None,
    };
    let unique = if storage.endpoint_key.is_some() {
        Unique::Workspace
    } else {
        Unique::No
    };
    Schema {
        name: name.to_owned(),
        fields: vec![
            field(
                "id",
                FieldDef {
                    uuid: true,
                    auto: true,
                    ..FieldDef::default()
                },
            ),
            field(
                "consumer",
                FieldDef {
                    kind: Kind::Foreign(consumer),
                    required: true,
                    ..FieldDef::default()
                },
            ),
            field(
                value,
                FieldDef {
                    required: true,
                    unique,
                    ..FieldDef::default()
                },
            ),
        ],
        storage,
        admin,
        ..Schema::default()
    }
}

fn cards() -> Schema {
    let storage = Storage {
        primary_key: vec!["id".to_owned()],
        endpoint_key: Some("number".to_owned()),
        workspaceable: true,
        ..Storage::default()
    };
    let admin = AdminExposure {
        collection: Some("library-cards".to_owned()),
        nested: Some("card".to_owned()),
        hidden: false,
    };
    of_consumers("library_cards", "number", storage, admin)
}

fn acls() -> Schema {
    let storage = Storage {
        primary_key: vec!["id".to_owned()],
        cache_key: vec!["consumer".to_owned(), "group".to_owned()],
        workspaceable: true,
        ..Storage::default()
    };
    let admin = AdminExposure {
        collection: Some("acls".to_owned()),
        nested: Some("acls".to_owned()),
        hidden: false,
    };
    of_consumers("acls", "group", storage, admin)
}

async fn created(app: &Router, path: &str, body: Value) -> Value {
    let (status, answer) = call(app, "POST", path, body).await;
    assert_eq!(status, 201, "{answer}");
    answer
}

#[tokio::test]
async fn a_new_entity_has_all_endpoints_without_further_code() {
    let app = AdminApp::new(context_with([cards()]));
    created(&app, "/consumers", json!({"id": A, "username": "alice"})).await;
    let card = created(&app, "/consumers/alice/card", json!({"id": B, "number": "7"})).await;
    assert_eq!(card, json!({"id": B, "number": "7", "consumer": {"id": A}}));
    for path in [
        "/library-cards/7",
        "/consumers/alice/card/7",
        &format!("/consumers/{A}/card/{B}"),
    ] {
        assert_eq!(
            call(&app, "GET", path, Value::Null).await,
            (200, card.clone()),
            "{path}"
        );
    }
    let list = json!({"data": [card.clone()], "next": null});
    assert_eq!(
        call(&app, "GET", "/library-cards", Value::Null).await,
        (200, list.clone())
    );
    assert_eq!(
        call(&app, "GET", "/consumers/alice/card", Value::Null).await,
        (200, list)
    );
    assert_eq!(
        call(&app, "GET", "/library-cards/7/consumer", Value::Null).await.1["username"],
        json!("alice")
    );
    assert_eq!(
        call(&app, "PATCH", "/consumers/alice/card/7", json!({"number": "8"}))
            .await
            .1["number"],
        json!("8")
    );
    assert_eq!(call(&app, "PUT", "/consumers/alice/card/9", json!({})).await.0, 200);
    assert_eq!(call(&app, "DELETE", "/library-cards/9", Value::Null).await.0, 204);
    let (_, endpoints) = call(&app, "GET", "/endpoints", Value::Null).await;
    for path in [
        "/library-cards",
        "/library-cards/{library_cards}",
        "/library-cards/{library_cards}/consumer",
        "/consumers/{consumers}/card",
        "/consumers/{consumers}/card/{library_cards}",
    ] {
        assert!(endpoints["data"].as_array().unwrap().contains(&json!(path)), "{path}");
    }
    assert_eq!(call(&app, "DELETE", "/consumers/alice", Value::Null).await.0, 204);
    assert_eq!(
        call(&app, "GET", "/library-cards", Value::Null).await.1["data"],
        json!([])
    );
}

#[tokio::test]
async fn a_group_addresses_a_membership_below_its_consumer() {
    let app = AdminApp::new(context_with([acls()]));
    created(&app, "/consumers", json!({"id": A, "username": "alice"})).await;
    let (status, row) = call(&app, "PUT", "/consumers/alice/acls/my%20group", json!({})).await;
    assert_eq!((status, &row["group"]), (200, &json!("my group")));
    let again = call(&app, "PUT", "/consumers/alice/acls/my%20group", json!({})).await;
    assert_eq!(again.1["id"], row["id"]);
    assert_eq!(
        call(&app, "GET", "/consumers/alice/acls/my%20group", Value::Null).await,
        (200, row)
    );
    let renamed = call(&app, "PATCH", "/consumers/alice/acls/my%20group", json!({"group": "g"})).await;
    assert_eq!(renamed.1["group"], json!("g"));
    assert_eq!(
        call(&app, "PUT", "/consumers/alice/acls/x", json!({"group": "y"}))
            .await
            .1["group"],
        json!("y")
    );
    for path in ["/consumers/alice/acls/none", "/consumers/nobody/acls/g"] {
        let (status, body) = call(&app, "GET", path, Value::Null).await;
        assert_eq!((status, &body["message"]), (404, &json!("Not found")), "{path}");
        assert_eq!(body["request_id"].as_str().map(str::len), Some(32), "{path}");
    }
    let plain = call(&app, "GET", &format!("/consumers/alice/acls/{B}"), Value::Null).await;
    assert_eq!(plain, (404, json!({"message": "Not found"})));
    assert_eq!(
        call(&app, "DELETE", "/consumers/alice/acls/g", Value::Null).await.0,
        204
    );
    assert_eq!(call(&app, "GET", "/acls/g", Value::Null).await.1["code"], json!(1));
}

#[tokio::test]
async fn malformed_requests_that_break_the_original_are_answered() {
    let app = AdminApp::new(context());
    created(&app, "/upstreams", json!({"name": "u.test"})).await;
    created(&app, "/services", json!({"name": "s", "host": "a.test"})).await;
    for (method, path, body, status, code) in [
        ("POST", "/services", json!(7), 400, Value::Null),
        ("POST", "/services", json!([{"host": "a"}]), 400, Value::Null),
        ("GET", "/services?tags", Value::Null, 400, json!(11)),
        ("GET", "/services?size", Value::Null, 400, json!(9)),
        ("GET", "/services?size=1&size=1", Value::Null, 400, json!(9)),
        ("GET", "/services?offset", Value::Null, 400, json!(7)),
        (
            "GET",
            "/services?offset=WyJ4Il0&offset=WyJ4Il0",
            Value::Null,
            400,
            json!(7),
        ),
        ("POST", "/routes", json!({"paths": ["/a"], "service": 7}), 400, json!(2)),
        (
            "POST",
            "/routes",
            json!({"paths": ["/a"], "service": true}),
            400,
            json!(2),
        ),
        ("POST", "/plugins", json!({"name": 7}), 400, json!(2)),
        (
            "GET",
            "/upstreams/u.test/targets?offset=abc",
            Value::Null,
            400,
            json!(7),
        ),
        ("POST", "/upstreams/u.test/targets", json!({"target": 7}), 400, json!(2)),
        ("PUT", "/tags/x", json!({}), 405, Value::Null),
        ("DELETE", "/ca_certificates/x", Value::Null, 400, json!(1)),
        ("POST", "/vaults", json!({"prefix": "pv", "name": 7}), 400, json!(2)),
        ("GET", "/upstreams/none/targets/all", Value::Null, 404, Value::Null),
        ("GET", "/consumers?custom_id", Value::Null, 400, Value::Null),
        (
            "GET",
            "/consumers?custom_id=a&custom_id=b",
            Value::Null,
            400,
            Value::Null,
        ),
        ("OPTIONS", "/certificates/none.test", Value::Null, 204, Value::Null),
        ("OPTIONS", "/targets", Value::Null, 404, Value::Null),
        ("PATCH", "/targets", json!({}), 405, Value::Null),
        ("GET", "/targets/x", Value::Null, 404, Value::Null),
        ("GET", "/filter-chains", Value::Null, 400, Value::Null),
        ("GET", "/routes/r/filters/all", Value::Null, 400, Value::Null),
        ("GET", "/clustering/data-planes", Value::Null, 400, Value::Null),
    ] {
        let (got, answer) = call(&app, method, path, body).await;
        assert_eq!((got, &answer["code"]), (status, &code), "{method} {path}: {answer}");
        assert!(got == 204 || answer["message"].is_string(), "{method} {path}: {answer}");
    }
}

#[tokio::test]
async fn put_of_what_a_null_field_points_to_creates_and_links_it() {
    let app = AdminApp::new(context());
    created(&app, "/routes", json!({"name": "r", "paths": ["/a"]})).await;
    assert_eq!(call(&app, "GET", "/routes/r/service", Value::Null).await.0, 404);
    assert_eq!(call(&app, "PATCH", "/routes/r/service", json!({})).await.0, 404);
    assert_eq!(call(&app, "PUT", "/routes/r/service", json!({})).await.0, 400);
    let (status, service) = call(&app, "PUT", "/routes/r/service", json!({"host": "a.test"})).await;
    assert_eq!(status, 200, "{service}");
    assert_eq!(
        call(&app, "GET", "/routes/r", Value::Null).await.1["service"],
        json!({"id": service["id"]})
    );
    let (_, replaced) = call(
        &app,
        "PUT",
        "/routes/r/service",
        json!({"host": "b.test", "retries": 1}),
    )
    .await;
    assert_eq!((&replaced["id"], &replaced["host"]), (&service["id"], &json!("b.test")));
    assert_eq!(
        call(&app, "PATCH", "/routes/r/service", json!({"port": 1})).await.1["retries"],
        json!(1)
    );
    assert_eq!(call(&app, "DELETE", "/routes/r/service", Value::Null).await.0, 405);
}

#[tokio::test]
async fn refused_writes_leave_nothing_behind() {
    let app = AdminApp::new(context());
    let body = json!({"cert": "none", "key": "none", "snis": ["a.test"]});
    assert_eq!(call(&app, "POST", "/certificates", body).await.0, 400);
    for path in ["/certificates", "/snis"] {
        assert_eq!(
            call(&app, "GET", path, Value::Null).await.1["data"],
            json!([]),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_node_without_a_database_reads_and_refuses() {
    let mut context = context();
    context.dao = context.dao.read_only(true);
    let app = AdminApp::new(context);
    let unsupported = |what: &str| {
        let message = format!("cannot {what} when not using a database");
        (
            405,
            json!({"code": 12, "name": "operation unsupported", "message": message}),
        )
    };
    for (method, path, body, want) in [
        (
            "POST",
            "/services",
            json!({"host": "a.test"}),
            unsupported("create 'services' entities"),
        ),
        (
            "PUT",
            "/services/s",
            json!({"host": "a.test"}),
            unsupported("create or update 'services' entities by 'name'"),
        ),
        ("DELETE", "/services/s", Value::Null, (204, Value::Null)),
        (
            "PUT",
            "/debug/node/log-level/info",
            json!({}),
            (
                405,
                json!({"message": "cannot change log level when not using a database"}),
            ),
        ),
        ("DELETE", "/cache", Value::Null, (204, Value::Null)),
        (
            "POST",
            "/schemas/services/validate",
            json!({"host": "a.test"}),
            (200, json!({"message": "schema validation successful"})),
        ),
    ] {
        assert_eq!(call(&app, method, path, body).await, want, "{method} {path}");
    }
    assert_eq!(call(&app, "POST", "/services", json!({})).await.1["code"], json!(2));
    assert_eq!(call(&app, "PATCH", "/services/s", json!({})).await.1["code"], json!(6));
}
