//! Rows and batches.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Fixture, Verdict, ensure, ensure_error, id, row, text};
use crate::{Key, RowOp, StoreError, Write};

pub(super) async fn inserted_row_is_selected_by_every_key(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    f.insert(parents, json!({"id": id(1), "name": "a", "code": "c"}))
        .await
        .map_err(text)?;
    for key in [Key::id(id(1)), Key::unique("name", "a"), Key::unique("code", "c")] {
        let found = f.select(parents, key.clone()).await?;
        ensure!(
            found.is_some_and(|r| r.get("id") == Some(&json!(id(1)))),
            "not found by {key:?}"
        );
    }
    for key in [Key::id(id(2)), Key::unique("name", "b"), Key::unique("name", "c")] {
        ensure!(f.select(parents, key.clone()).await?.is_none(), "found by {key:?}");
    }
    f.insert(
        &f.schemas.links,
        json!({"id": id(3), "name": "l", "parent": {"id": id(1)}}),
    )
    .await
    .map_err(text)?;
    let found = f
        .select(
            &f.schemas.links,
            Key::Cache(vec![json!("l"), json!(id(1)), Value::Null]),
        )
        .await?;
    ensure!(found.is_some(), "not found by its cache key");
    let other = f
        .select(
            &f.schemas.links,
            Key::Cache(vec![json!("l"), Value::Null, json!(id(1))]),
        )
        .await?;
    ensure!(other.is_none(), "found by a cache key with the parts in other places");
    Ok(())
}

pub(super) async fn values_of_every_kind_survive(f: &Fixture) -> Verdict {
    let full = json!({
        "id": id(1), "name": "jürgen ☃ 'quoted' \"twice\"", "code": "c", "count": 9_007_199_254_740_992_i64,
        "created_at": 1_700_000_000.123, "enabled": false,
        "config": {"enabled": true, "sizes": [1, 2, -3]}, "headers": {"b": "2", "a": ""},
        "paths": ["/b", "/a", "/b"], "free": {"deep": [null, {"x": 1.5}]}, "group": "order", "tags": ["t1", "t 2"],
    });
    let empty = json!({"id": id(2)});
    for (n, written) in [(1, full), (2, empty)] {
        f.insert(&f.schemas.parents, written.clone()).await.map_err(text)?;
        let read = f.select(&f.schemas.parents, Key::id(id(n))).await?.unwrap_or_default();
        for field in &f.schemas.parents.fields {
            let expected = written.get(&field.name).unwrap_or(&Value::Null);
            let found = read.get(&field.name);
            ensure!(
                found == Some(expected),
                "{}: wrote {expected}, read {found:?}",
                field.name
            );
        }
        ensure!(
            read.get("ws_id") == Some(&json!(f.ws.to_string())),
            "ws_id is {:?}",
            read.get("ws_id")
        );
        ensure!(!read.contains_key("ttl"), "ttl on an entity that has none");
    }
    f.insert(&f.schemas.notes, json!({"id": id(3), "parent": {"id": id(1)}}))
        .await
        .map_err(text)?;
    let read = f.select(&f.schemas.notes, Key::id(id(3))).await?.unwrap_or_default();
    ensure!(
        read.get("parent") == Some(&json!({"id": id(1)})),
        "foreign field is {:?}",
        read.get("parent")
    );
    f.insert(&f.schemas.globals, json!({"id": id(4), "name": "g"}))
        .await
        .map_err(text)?;
    let read = f.select(&f.schemas.globals, Key::id(id(4))).await?.unwrap_or_default();
    ensure!(!read.contains_key("ws_id"), "ws_id on an entity outside workspaces");
    Ok(())
}

pub(super) async fn update_replaces_the_whole_row(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    f.insert(parents, json!({"id": id(1), "name": "a", "code": "c", "count": 1}))
        .await
        .map_err(text)?;
    let new = row(json!({"id": id(1), "name": "b", "count": null}));
    f.write(
        parents,
        RowOp::Update {
            key: Key::id(id(1)),
            row: new,
        },
    )
    .await
    .map_err(text)?;
    let read = f.select(parents, Key::id(id(1))).await?.unwrap_or_default();
    for (name, expected) in [("name", json!("b")), ("code", Value::Null), ("count", Value::Null)] {
        ensure!(read.get(name) == Some(&expected), "{name} is {:?}", read.get(name));
    }
    ensure!(
        f.select(parents, Key::unique("name", "a")).await?.is_none(),
        "still found by its old name"
    );
    ensure!(
        f.select(parents, Key::unique("name", "b")).await?.is_some(),
        "not found by its new name"
    );
    Ok(())
}

pub(super) async fn update_of_a_missing_row_is_not_found(f: &Fixture) -> Verdict {
    let op = RowOp::Update {
        key: Key::id(id(1)),
        row: row(json!({"id": id(1), "name": "a"})),
    };
    let result = f.write(&f.schemas.parents, op).await;
    ensure_error!(result, StoreError::NotFound { entity, key }
        if entity == "testkit_parents" && key.get("id") == Some(&json!(id(1))), "update");
    ensure!(
        !f.exists(&f.schemas.parents, &id(1)).await?,
        "the update created the row"
    );
    Ok(())
}

pub(super) async fn upsert_inserts_then_replaces(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    let upsert = |name: &str| RowOp::Upsert(row(json!({"id": id(1), "name": name})));
    let changes = f.write(parents, upsert("a")).await.map_err(text)?;
    ensure!(
        changes.iter().all(|c| c.old.is_none()),
        "the first upsert reports an old row"
    );
    let changes = f.write(parents, upsert("b")).await.map_err(text)?;
    let old = changes.first().and_then(|c| c.old.as_ref()).and_then(|r| r.get("name"));
    ensure!(
        old == Some(&json!("a")),
        "the second upsert reports {old:?} as old name"
    );
    ensure!(
        f.select(parents, Key::unique("name", "b")).await?.is_some(),
        "not replaced"
    );
    ensure!(
        f.select(parents, Key::unique("name", "a")).await?.is_none(),
        "the old name still leads to it"
    );
    Ok(())
}

pub(super) async fn upsert_keeps_children(f: &Fixture) -> Verdict {
    let parent = f.parent(1).await?;
    f.child(2, &parent).await.map_err(text)?;
    f.insert(&f.schemas.guards, json!({"id": id(3), "parent": {"id": parent}}))
        .await
        .map_err(text)?;
    let upsert = RowOp::Upsert(row(json!({"id": parent, "name": "other"})));
    f.write(&f.schemas.parents, upsert).await.map_err(text)?;
    ensure!(
        f.exists(&f.schemas.children, &id(2)).await?,
        "replacing the parent took the child"
    );
    Ok(())
}

pub(super) async fn delete_removes_and_tolerates_absence(f: &Fixture) -> Verdict {
    let parent = f.parent(1).await?;
    let changes = f.delete(&f.schemas.parents, &parent).await.map_err(text)?;
    ensure!(changes.len() == 1, "{} changes for one deleted row", changes.len());
    ensure!(!f.exists(&f.schemas.parents, &parent).await?, "the row is still there");
    let changes = f.delete(&f.schemas.parents, &parent).await.map_err(text)?;
    ensure!(changes.is_empty(), "deleting nothing reports changes");
    Ok(())
}

pub(super) async fn batch_is_all_or_nothing(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    f.parent(1).await?;
    f.child(2, &id(1)).await.map_err(text)?;
    let failing = f.batch(vec![
        (
            parents,
            RowOp::Insert(row(json!({"id": id(10), "name": "x", "tags": ["t"]}))),
        ),
        (
            parents,
            RowOp::Update {
                key: Key::id(id(1)),
                row: row(json!({"id": id(1), "name": "changed"})),
            },
        ),
        (&f.schemas.children, RowOp::Delete { key: Key::id(id(2)) }),
        (parents, RowOp::Insert(row(json!({"id": id(11), "name": "x"})))),
    ]);
    ensure_error!(f.store.write(failing).await, StoreError::Unique { .. }, "the batch");
    ensure!(
        !f.exists(parents, &id(10)).await?,
        "the insert before the failure stayed"
    );
    ensure!(
        f.select(parents, Key::unique("name", "parent-1")).await?.is_some(),
        "the update stayed"
    );
    ensure!(f.exists(&f.schemas.children, &id(2)).await?, "the delete stayed");
    f.insert(parents, json!({"id": id(12), "name": "x"}))
        .await
        .map_err(|e| format!("the name stayed taken: {e}"))?;
    Ok(())
}

pub(super) async fn batch_applies_in_order(f: &Fixture) -> Verdict {
    let (parents, children) = (&f.schemas.parents, &f.schemas.children);
    let parent = row(json!({"id": id(1), "name": "a"}));
    let child = row(json!({"id": id(2), "key": "k", "parent": {"id": id(1)}}));
    let backwards = f.batch(vec![
        (children, RowOp::Insert(child.clone())),
        (parents, RowOp::Insert(parent.clone())),
    ]);
    ensure_error!(
        f.store.write(backwards).await,
        StoreError::ForeignKey { .. },
        "child before parent"
    );
    let renamed = row(json!({"id": id(1), "name": "b"}));
    let forwards = f.batch(vec![
        (parents, RowOp::Insert(parent)),
        (children, RowOp::Insert(child)),
        (
            parents,
            RowOp::Update {
                key: Key::id(id(1)),
                row: renamed,
            },
        ),
    ]);
    let changes = f.store.write(forwards).await.map_err(text)?;
    let kinds: Vec<&str> = changes.iter().map(|c| c.schema.name.as_str()).collect();
    ensure!(
        kinds == ["testkit_parents", "testkit_children", "testkit_parents"],
        "changes come as {kinds:?}"
    );
    let name = f
        .select(parents, Key::id(id(1)))
        .await?
        .and_then(|r| r.get("name").cloned());
    ensure!(name == Some(json!("b")), "the name is {name:?}");
    Ok(())
}

pub(super) async fn changes_report_old_and_new_rows(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    let name = |row: &Option<crate::Row>| row.as_ref().and_then(|r| r.get("name").cloned());
    let changes = f
        .insert(parents, json!({"id": id(1), "name": "a"}))
        .await
        .map_err(text)?;
    let seen: Vec<_> = changes.iter().map(|c| (name(&c.old), name(&c.new))).collect();
    ensure!(seen == [(None, Some(json!("a")))], "insert reports {seen:?}");
    let complete = changes
        .first()
        .and_then(|c| c.new.as_ref())
        .is_some_and(|r| parents.fields.iter().all(|field| r.contains_key(&field.name)) && r.contains_key("ws_id"));
    ensure!(complete, "the reported row lacks fields");
    let op = RowOp::Update {
        key: Key::id(id(1)),
        row: row(json!({"id": id(1), "name": "b"})),
    };
    let seen: Vec<_> = f
        .write(parents, op)
        .await
        .map_err(text)?
        .iter()
        .map(|c| (name(&c.old), name(&c.new)))
        .collect();
    ensure!(
        seen == [(Some(json!("a")), Some(json!("b")))],
        "update reports {seen:?}"
    );
    let seen: Vec<_> = f
        .delete(parents, &id(1))
        .await
        .map_err(text)?
        .iter()
        .map(|c| (name(&c.old), name(&c.new)))
        .collect();
    ensure!(seen == [(Some(json!("b")), None)], "delete reports {seen:?}");
    Ok(())
}

pub(super) async fn workspaces_are_separate(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    let other = Uuid::new_v4();
    f.insert(parents, json!({"id": id(1), "name": "same"}))
        .await
        .map_err(text)?;
    let mut batch = f.batch(vec![(
        parents,
        RowOp::Insert(row(json!({"id": id(2), "name": "same"}))),
    )]);
    batch.writes.iter_mut().for_each(|w: &mut Write| w.ws = other);
    f.store
        .write(batch)
        .await
        .map_err(|e| format!("the same name in another workspace: {e}"))?;
    for (ws, expected) in [(f.ws, id(1)), (other, id(2))] {
        let found = f
            .store
            .select(parents, ws, &Key::unique("name", "same"))
            .await
            .map_err(text)?;
        let found = found.and_then(|r| r.get("id").cloned());
        ensure!(found == Some(json!(expected)), "workspace {ws} sees {found:?}");
    }
    ensure!(
        !f.exists(parents, &id(2)).await?,
        "a row of another workspace is selected by id"
    );
    let op = RowOp::Update {
        key: Key::id(id(2)),
        row: row(json!({"id": id(2), "name": "stolen"})),
    };
    ensure_error!(
        f.write(parents, op).await,
        StoreError::NotFound { .. },
        "update across workspaces"
    );
    f.delete(parents, &id(2)).await.map_err(text)?;
    let kept = f.store.select(parents, other, &Key::id(id(2))).await.map_err(text)?;
    ensure!(kept.is_some(), "deleted across workspaces");
    let op = RowOp::Upsert(row(json!({"id": id(2), "name": "stolen"})));
    ensure_error!(
        f.write(parents, op).await,
        StoreError::PrimaryKey { .. },
        "upsert across workspaces"
    );
    Ok(())
}

pub(super) async fn foreign_parent_of_another_workspace_does_not_exist(f: &Fixture) -> Verdict {
    let mut batch = f.batch(vec![(
        &f.schemas.parents,
        RowOp::Insert(row(json!({"id": id(1), "name": "a"}))),
    )]);
    batch.writes.iter_mut().for_each(|w: &mut Write| w.ws = Uuid::new_v4());
    f.store.write(batch).await.map_err(text)?;
    ensure_error!(
        f.child(2, &id(1)).await,
        StoreError::ForeignKey { .. },
        "child of a parent elsewhere"
    );
    Ok(())
}

pub(super) async fn odd_text_is_data(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    let long = "x".repeat(3000);
    let odd = [
        "'; DROP TABLE testkit_parents; --",
        "a:b:c",
        "%_\\",
        "",
        " ",
        "null",
        "0",
        "\u{1F980}",
        long.as_str(),
    ];
    for (n, name) in (1..).zip(odd) {
        f.insert(parents, json!({"id": id(n), "name": name}))
            .await
            .map_err(|e| format!("{name:?}: {e}"))?;
    }
    for (n, name) in (1..).zip(odd) {
        let found = f
            .select(parents, Key::unique("name", name))
            .await?
            .and_then(|r| r.get("id").cloned());
        ensure!(found == Some(json!(id(n))), "{name:?} leads to {found:?}");
    }
    ensure!(
        f.select(parents, Key::id("no uuid")).await?.is_none(),
        "found by a malformed id"
    );
    Ok(())
}
