//! Loading a whole document into the in-memory store, and reading events that commit late.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use kong_datastore::testkit::TestSchemas;
use kong_datastore::{Datastore, Event, EventCursor, MemoryStore, PageQuery, RowOp, StoreError, Write};
use kong_schema::Schema;
use serde_json::{Value, json};
use uuid::Uuid;

fn write(store: &MemoryStore, schema: &Arc<Schema>, row: Value) -> Write {
    let op = RowOp::Insert(row.as_object().unwrap().clone());
    Write {
        schema: schema.clone(),
        ws: store.default_workspace(),
        op,
    }
}

fn summary(changes: &[kong_datastore::Change]) -> Vec<(&'static str, String)> {
    changes
        .iter()
        .map(|c| {
            let id = c.new.as_ref().or(c.old.as_ref()).unwrap()["id"]
                .as_str()
                .unwrap()
                .to_owned();
            (
                if c.old.is_none() {
                    "insert"
                } else if c.new.is_none() {
                    "delete"
                } else {
                    "update"
                },
                id,
            )
        })
        .collect()
}

#[tokio::test]
async fn replacing_reports_what_differs_and_nothing_else() {
    let store = MemoryStore::new();
    let schemas = TestSchemas::new();
    store.prepare(&schemas.all()).await.unwrap();
    let (parents, children) = (&schemas.parents, &schemas.children);
    let first = vec![
        write(&store, parents, json!({"id": "a", "name": "a"})),
        write(&store, parents, json!({"id": "b", "name": "b"})),
        write(&store, children, json!({"id": "c", "key": "c", "parent": {"id": "b"}})),
    ];
    assert_eq!(store.replace(first).unwrap().len(), 3);
    let second = vec![
        write(&store, parents, json!({"id": "a", "name": "a"})),
        write(&store, parents, json!({"id": "d", "name": "b"})),
    ];
    let changes = store.replace(second).unwrap();
    let expected = [("delete", "c"), ("delete", "b"), ("insert", "d")].map(|(what, id)| (what, id.to_owned()));
    assert_eq!(
        summary(&changes),
        expected,
        "children go before their parents; `a` is the same"
    );
    let third = vec![write(&store, parents, json!({"id": "a", "name": "renamed"}))];
    let changes = store.replace(third).unwrap();
    assert_eq!(
        summary(&changes),
        [("delete", "d"), ("update", "a")].map(|(what, id)| (what, id.to_owned()))
    );
}

#[tokio::test]
async fn a_document_with_an_error_changes_nothing() {
    let store = MemoryStore::new();
    let schemas = TestSchemas::new();
    store.prepare(&schemas.all()).await.unwrap();
    store
        .replace(vec![write(&store, &schemas.parents, json!({"id": "a", "name": "a"}))])
        .unwrap();
    let wrong = vec![
        write(&store, &schemas.parents, json!({"id": "b", "name": "b"})),
        write(&store, &schemas.parents, json!({"id": "c", "name": "b"})),
    ];
    assert!(matches!(store.replace(wrong), Err(StoreError::Unique { .. })));
    let page = store
        .page(&PageQuery::all(&schemas.parents, store.default_workspace(), 10))
        .await
        .unwrap();
    assert_eq!(page.rows.len(), 1);
    assert_eq!(page.rows[0]["id"], "a");
}

fn event(node: Uuid, at: f64) -> Event {
    Event {
        at,
        ..Event::new(node, "c", format!("at {at}"))
    }
}

#[test]
fn an_event_that_becomes_visible_late_is_delivered_once() {
    let (me, other) = (Uuid::new_v4(), Uuid::new_v4());
    let (early, late) = (event(other, 100.3), event(other, 100.0));
    let page = EventCursor {
        at: 99.0,
        seen: Vec::new(),
    }
    .advance(vec![early.clone()], me, 5.0);
    assert_eq!(page.events, std::slice::from_ref(&early));
    // The one stamped earlier commits only now, and is read with the overlap.
    let page = page.cursor.advance(vec![late.clone(), early.clone()], me, 5.0);
    assert_eq!(page.events, std::slice::from_ref(&late));
    assert!((page.cursor.at - 100.3).abs() < 1e-9, "the cursor does not go back");
    let page = page.cursor.advance(vec![late, early], me, 5.0);
    assert!(page.events.is_empty());
}

#[test]
fn a_cursor_remembers_no_more_than_its_overlap() {
    let other = Uuid::new_v4();
    let mut cursor = EventCursor {
        at: 1.0,
        seen: Vec::new(),
    };
    for second in 1..100 {
        cursor = cursor
            .advance(vec![event(other, f64::from(second))], Uuid::nil(), 5.0)
            .cursor;
    }
    assert_eq!(cursor.seen.len(), 6);
}
