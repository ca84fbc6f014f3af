//! The operations of the dao over the in-memory store, with two small entities of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::{Arc, Mutex};

use kong_datastore::dao::{ChangeListener, Dao, EntityKey, EntityRule, NoListener, PageRequest, Proposal};
use kong_datastore::{BoxFuture, Change, Datastore, MemoryStore, Row};
use kong_schema::errors::ErrorObject;
use kong_schema::{AdminExposure, Field, FieldDef, Foreign, Kind, Object, OnDelete, Schema, Storage, Unique};
use serde_json::{Value, json};
use uuid::Uuid;

const A: &str = "11111111-1111-4111-8111-111111111111";
const B: &str = "22222222-2222-4222-8222-222222222222";

fn field(name: &str, def: FieldDef) -> Field {
    Field {
        name: name.to_owned(),
        def,
    }
}

fn id() -> Field {
    field(
        "id",
        FieldDef {
            uuid: true,
            auto: true,
            ..FieldDef::default()
        },
    )
}

fn storage(endpoint_key: &str, ttl: bool) -> Storage {
    Storage {
        primary_key: vec!["id".to_owned()],
        endpoint_key: Some(endpoint_key.to_owned()),
        workspaceable: true,
        ttl,
        ..Storage::default()
    }
}

fn shelves() -> Schema {
    let tag = FieldDef {
        required: true,
        ..FieldDef::default()
    };
    Schema {
        name: "shelves".to_owned(),
        fields: vec![
            id(),
            field(
                "name",
                FieldDef {
                    unique: Unique::Workspace,
                    ..FieldDef::default()
                },
            ),
            field(
                "size",
                FieldDef {
                    kind: Kind::Integer,
                    default: Some(json!(10)),
                    ..FieldDef::default()
                },
            ),
            field(
                "tags",
                FieldDef {
                    kind: Kind::Set(Box::new(tag)),
                    ..FieldDef::default()
                },
            ),
        ],
        storage: storage("name", false),
        admin: AdminExposure::default(),
        ..Schema::default()
    }
}

fn books() -> Schema {
    let shelf = Foreign {
        reference: "shelves".to_owned(),
        on_delete: OnDelete::Restrict,
        target: None,
    };
    Schema {
        name: "books".to_owned(),
        fields: vec![
            id(),
            field(
                "title",
                FieldDef {
                    required: true,
                    unique: Unique::Workspace,
                    ..FieldDef::default()
                },
            ),
            field(
                "shelf",
                FieldDef {
                    kind: Kind::Foreign(shelf),
                    required: true,
                    ..FieldDef::default()
                },
            ),
            field(
                "created_at",
                FieldDef {
                    kind: Kind::Integer,
                    auto: true,
                    timestamp: true,
                    ..FieldDef::default()
                },
            ),
        ],
        storage: storage("title", true),
        ..Schema::default()
    }
}

struct Library {
    dao: Dao,
    shelves: Arc<Schema>,
    books: Arc<Schema>,
}

async fn library_with(listener: Arc<dyn ChangeListener>) -> Library {
    let (shelves, books) = (Arc::new(shelves()), Arc::new(books()));
    let schemas: Arc<[Arc<Schema>]> = Arc::new([Arc::clone(&shelves), Arc::clone(&books)]);
    let store = Arc::new(MemoryStore::new());
    store.prepare(&schemas).await.unwrap();
    Library {
        dao: Dao::new(store, schemas, Uuid::nil(), listener),
        shelves,
        books,
    }
}

async fn library() -> Library {
    library_with(Arc::new(NoListener)).await
}

fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

fn by_id(id: &str) -> EntityKey {
    EntityKey::Id(id.to_owned())
}

/// Code and message of an error.
fn refused<T: std::fmt::Debug>(result: Result<T, ErrorObject>) -> (u16, String) {
    let err = result.unwrap_err();
    (err.code, err.message)
}

impl Library {
    async fn shelf(&self, body: Value) -> Row {
        self.dao.insert(&self.shelves, object(body)).await.unwrap()
    }

    fn key(&self, name: &str) -> EntityKey {
        self.dao.key(&self.shelves, name).unwrap()
    }
}

#[tokio::test]
async fn post_fills_in_defaults_and_refuses_what_is_taken() {
    let lib = library().await;
    let row = lib.shelf(json!({"id": A, "name": "a"})).await;
    assert_eq!((&row["size"], &row["tags"]), (&json!(10), &Value::Null));
    let again = |body: Value| lib.dao.insert(&lib.shelves, object(body));
    assert_eq!(
        refused(again(json!({"id": A, "name": "b"})).await),
        (3, format!("primary key violation on key '{{id=\"{A}\"}}'"))
    );
    assert_eq!(
        refused(again(json!({"name": "a"})).await),
        (5, "UNIQUE violation detected on '{name=\"a\"}'".to_owned())
    );
    let (code, message) = refused(again(json!({"color": 1, "size": "x"})).await);
    assert_eq!(
        (code, message.as_str()),
        (
            2,
            "2 schema violations (color: unknown field; size: expected an integer)"
        )
    );
}

#[tokio::test]
async fn ids_are_stored_in_lower_case() {
    let lib = library().await;
    let upper = "ABCDEF01-58D2-4B7A-9C41-0D2F6E8A7B11";
    let row = lib.shelf(json!({"id": upper, "name": "a"})).await;
    assert_eq!(row["id"], json!(upper.to_lowercase()));
    assert_eq!(lib.dao.key(&lib.shelves, upper).unwrap(), by_id(&upper.to_lowercase()));
}

#[tokio::test]
async fn put_by_id_replaces_everything() {
    let lib = library().await;
    lib.shelf(json!({"id": A, "name": "a", "size": 3, "tags": ["x"]})).await;
    let row = lib
        .dao
        .upsert(&lib.shelves, &by_id(A), object(json!({"id": B, "name": "b"})))
        .await
        .unwrap();
    assert_eq!(
        (&row["id"], &row["name"], &row["size"], &row["tags"]),
        (&json!(A), &json!("b"), &json!(10), &Value::Null)
    );
    assert!(lib.dao.select(&lib.shelves, &by_id(B)).await.unwrap().is_none());
}

#[tokio::test]
async fn put_by_name_keeps_the_id_and_never_takes_over_another_row() {
    let lib = library().await;
    let put = |name: &'static str, body: Value| {
        let (dao, shelves, key) = (lib.dao.clone(), Arc::clone(&lib.shelves), lib.key(name));
        async move { dao.upsert(&shelves, &key, object(body)).await }
    };
    let row = put("a", json!({"id": A, "name": "ignored"})).await.unwrap();
    assert_eq!((&row["id"], &row["name"]), (&json!(A), &json!("a")));
    let row = put("a", json!({"id": B, "size": 1})).await.unwrap();
    assert_eq!((&row["id"], &row["size"]), (&json!(A), &json!(1)));
    assert_eq!(refused(put("b", json!({"id": A})).await).0, 3);
    assert_eq!(
        lib.dao.select(&lib.shelves, &by_id(A)).await.unwrap().unwrap()["name"],
        json!("a")
    );
}

#[tokio::test]
async fn patch_never_changes_the_id() {
    let lib = library().await;
    lib.shelf(json!({"id": A, "name": "a"})).await;
    let patch = |key: EntityKey, body: Value| {
        let (dao, shelves) = (lib.dao.clone(), Arc::clone(&lib.shelves));
        async move { dao.update(&shelves, &key, object(body)).await }
    };
    let missing = format!("could not find the entity with primary key '{{id=\"{A}\"}}'");
    assert_eq!(refused(patch(by_id(A), json!({"id": B})).await), (6, missing.clone()));
    assert_eq!(refused(patch(by_id(A), json!({"id": null})).await), (6, missing));
    assert_eq!(refused(patch(by_id(A), json!({"id": "x"})).await).0, 2);
    assert_eq!(
        patch(by_id(A), json!({"id": A, "size": 4})).await.unwrap()["size"],
        json!(4)
    );
    assert_eq!(
        patch(lib.key("a"), json!({"id": B, "name": "c"})).await.unwrap()["id"],
        json!(A)
    );
    assert_eq!(
        refused(patch(lib.key("a"), json!({})).await),
        (6, "could not find the entity with '{name=\"a\"}'".to_owned())
    );
}

#[tokio::test]
async fn references_resolve_by_any_unique_field() {
    let lib = library().await;
    lib.shelf(json!({"id": A, "name": "a"})).await;
    let book = |shelf: Value| {
        lib.dao
            .insert(&lib.books, object(json!({"title": "t", "shelf": shelf})))
    };
    let unresolved = "foreign key unresolved (shelf.name: the foreign key cannot be resolved with '{name=\"z\"}' for an \
                      existing 'shelves' entity)";
    assert_eq!(refused(book(json!({"name": "z"})).await), (13, unresolved.to_owned()));
    assert_eq!(
        refused(book(json!({"id": B})).await),
        (
            4,
            format!("the foreign key '{{id=\"{B}\"}}' does not reference an existing 'shelves' entity.")
        )
    );
    assert_eq!(refused(book(Value::Null).await).0, 2);
    assert_eq!(refused(book(json!("a")).await).0, 2);
    assert_eq!(
        book(json!({"name": "a", "size": 1})).await.unwrap()["shelf"],
        json!({"id": A})
    );
    assert_eq!(
        refused(lib.dao.delete(&lib.shelves, &by_id(A)).await),
        (
            4,
            "an existing 'books' entity references this 'shelves' entity".to_owned()
        )
    );
}

#[tokio::test]
async fn delete_is_no_error_where_there_is_nothing() {
    let lib = library().await;
    lib.shelf(json!({"name": "a"})).await;
    assert!(lib.dao.delete(&lib.shelves, &lib.key("a")).await.unwrap());
    assert!(!lib.dao.delete(&lib.shelves, &lib.key("a")).await.unwrap());
}

#[tokio::test]
async fn ttl_is_an_option_of_entities_that_expire() {
    let lib = library().await;
    lib.shelf(json!({"id": A, "name": "a"})).await;
    let book = |ttl: Value| {
        lib.dao.insert(
            &lib.books,
            object(json!({"title": "t", "shelf": {"id": A}, "ttl": ttl})),
        )
    };
    for ttl in [json!(-1), json!("5"), json!(1.5), json!(100_000_001)] {
        assert_eq!(refused(book(ttl.clone()).await).0, 11, "{ttl}");
    }
    let row = book(json!(100)).await.unwrap();
    assert_eq!(
        row["ttl"].as_f64().unwrap() - row["created_at"].as_f64().unwrap(),
        100.0
    );
    assert_eq!(
        refused(
            lib.dao
                .insert(&lib.shelves, object(json!({"name": "b", "ttl": 1})))
                .await
        )
        .0,
        2
    );
}

#[tokio::test]
async fn pages_follow_each_other_until_there_is_no_offset() {
    let lib = library().await;
    for n in 0..5 {
        lib.shelf(json!({"name": format!("s{n}"), "tags": if n < 3 { json!(["x"]) } else { Value::Null }}))
            .await;
    }
    let mut request = PageRequest {
        size: Some("2".to_owned()),
        ..PageRequest::default()
    };
    let mut ids = Vec::new();
    loop {
        let page = lib.dao.page(&lib.shelves, None, &request).await.unwrap();
        assert!(page.rows.len() <= 2);
        ids.extend(page.rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        match page.offset {
            Some(offset) => request.offset = Some(offset),
            None => break,
        }
    }
    assert_eq!(ids.len(), 5);
    assert!(ids.is_sorted());
    let tagged = PageRequest {
        tags: Some(b"x".to_vec()),
        ..PageRequest::default()
    };
    assert_eq!(lib.dao.page(&lib.shelves, None, &tagged).await.unwrap().rows.len(), 3);
    let both = PageRequest {
        size: Some("x".to_owned()),
        tags: Some(b"a,b/c".to_vec()),
        ..PageRequest::default()
    };
    assert_eq!(refused(lib.dao.page(&lib.shelves, None, &both).await).0, 9);
}

#[tokio::test]
async fn a_read_only_dao_validates_before_it_refuses() {
    let lib = library().await;
    lib.shelf(json!({"id": A, "name": "a"})).await;
    let dao = lib.dao.clone().read_only(true);
    let name = lib.key("a");
    let said = |what: &str| (12, format!("cannot {what} when not using a database"));
    assert_eq!(
        refused(dao.insert(&lib.shelves, object(json!({"size": "x"}))).await).0,
        2
    );
    assert_eq!(
        refused(dao.insert(&lib.shelves, Object::new()).await),
        said("create 'shelves' entities")
    );
    assert_eq!(
        refused(dao.upsert(&lib.shelves, &by_id(A), Object::new()).await),
        said("create or update 'shelves' entities")
    );
    assert_eq!(
        refused(dao.upsert(&lib.shelves, &name, Object::new()).await),
        said("create or update 'shelves' entities by 'name'")
    );
    assert_eq!(
        refused(dao.update(&lib.shelves, &by_id(A), Object::new()).await),
        said("update 'shelves' entities")
    );
    assert_eq!(refused(dao.update(&lib.shelves, &by_id(B), Object::new()).await).0, 6);
    assert_eq!(
        refused(dao.delete(&lib.shelves, &name).await),
        said("remove 'shelves' entities by 'name'")
    );
    assert!(!dao.delete(&lib.shelves, &by_id(B)).await.unwrap());
    assert!(dao.select(&lib.shelves, &by_id(A)).await.unwrap().is_some());
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl ChangeListener for Heard {
    fn changed<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            // Slower than the caller: an answer that did not wait would come first.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let text = |c: &Change| format!("{} {} {}", c.schema.name, c.old.is_some(), c.new.is_some());
            self.0.lock().unwrap().extend(changes.iter().map(text));
        })
    }
}

#[tokio::test]
async fn a_write_returns_once_the_listener_has_seen_it() {
    let heard = Arc::new(Heard::default());
    let lib = library_with(Arc::clone(&heard) as Arc<dyn ChangeListener>).await;
    lib.shelf(json!({"id": A, "name": "a"})).await;
    lib.dao
        .update(&lib.shelves, &by_id(A), object(json!({"size": 1})))
        .await
        .unwrap();
    lib.dao.delete(&lib.shelves, &by_id(A)).await.unwrap();
    let _ = lib.dao.insert(&lib.shelves, object(json!({"size": "x"}))).await;
    assert_eq!(
        *heard.0.lock().unwrap(),
        ["shelves false true", "shelves true true", "shelves true false"]
    );
}

struct NoGiants;

impl EntityRule for NoGiants {
    fn entity(&self) -> &str {
        "shelves"
    }

    fn before_write<'a>(&'a self, _: &'a Dao, proposal: Proposal<'a>) -> BoxFuture<'a, Result<(), ErrorObject>> {
        let giant = proposal
            .input
            .get("size")
            .and_then(Value::as_i64)
            .is_some_and(|size| size > 100);
        let result = if giant {
            Err(ErrorObject::field_violation("size", "too large"))
        } else {
            Ok(())
        };
        Box::pin(std::future::ready(result))
    }

    fn before_delete<'a>(&'a self, _: &'a Dao, row: &'a Row) -> BoxFuture<'a, Result<(), ErrorObject>> {
        let locked = row["name"] == json!("locked");
        let result = if locked {
            Err(ErrorObject::field_violation("name", "is locked"))
        } else {
            Ok(())
        };
        Box::pin(std::future::ready(result))
    }
}

#[tokio::test]
async fn rules_of_single_entities_come_from_outside() {
    let mut lib = library().await;
    lib.dao = lib.dao.with_rules([Arc::new(NoGiants) as Arc<dyn EntityRule>]);
    let refusal = lib.dao.insert(&lib.shelves, object(json!({"size": 101}))).await;
    assert_eq!(refused(refusal), (2, "schema violation (size: too large)".to_owned()));
    lib.shelf(json!({"name": "locked"})).await;
    assert_eq!(refused(lib.dao.delete(&lib.shelves, &lib.key("locked")).await).0, 2);
}

#[tokio::test]
async fn writers_of_one_name_do_not_lose_to_each_other() {
    let lib = library().await;
    let key = lib.key("a");
    let writes = (0..20).map(|n| lib.dao.upsert(&lib.shelves, &key, object(json!({"size": n}))));
    let rows = futures_util::future::join_all(writes).await;
    let ids: std::collections::BTreeSet<_> = rows.into_iter().map(|row| row.unwrap()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
}
