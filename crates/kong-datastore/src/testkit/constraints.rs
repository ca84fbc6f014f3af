//! Unique keys, foreign keys, delete rules, races.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Fixture, Verdict, ensure, ensure_error, id, row, text};
use crate::{Key, RowOp, StoreError};

pub(super) async fn primary_key_is_unique(f: &Fixture) -> Verdict {
    f.parent(1).await?;
    let again = f
        .insert(&f.schemas.parents, json!({"id": id(1), "name": "other"}))
        .await;
    ensure_error!(again, StoreError::PrimaryKey { entity, key }
        if entity == "testkit_parents" && key.get("id") == Some(&json!(id(1))), "second insert");
    let name = f
        .select(&f.schemas.parents, Key::id(id(1)))
        .await?
        .and_then(|r| r.get("name").cloned());
    ensure!(name == Some(json!("parent-1")), "the first row became {name:?}");
    Ok(())
}

pub(super) async fn unique_field_is_unique_within_a_workspace(f: &Fixture) -> Verdict {
    f.parent(1).await?;
    let again = f
        .insert(
            &f.schemas.parents,
            json!({"id": id(2), "name": "parent-1", "code": "x"}),
        )
        .await;
    ensure_error!(again, StoreError::Unique { entity, fields }
        if entity == "testkit_parents" && Value::Object(fields.clone()) == json!({"name": "parent-1"}), "second insert");
    ensure!(!f.exists(&f.schemas.parents, &id(2)).await?, "the refused row exists");
    let mut elsewhere = f.batch(vec![(
        &f.schemas.parents,
        RowOp::Insert(row(json!({"id": id(3), "name": "parent-1"}))),
    )]);
    elsewhere.writes.iter_mut().for_each(|w| w.ws = Uuid::new_v4());
    f.store
        .write(elsewhere)
        .await
        .map_err(|e| format!("the same name in another workspace: {e}"))?;
    Ok(())
}

pub(super) async fn global_unique_field_is_unique_across_workspaces(f: &Fixture) -> Verdict {
    f.insert(&f.schemas.parents, json!({"id": id(1), "code": "c"}))
        .await
        .map_err(text)?;
    let mut elsewhere = f.batch(vec![(
        &f.schemas.parents,
        RowOp::Insert(row(json!({"id": id(2), "code": "c"}))),
    )]);
    elsewhere.writes.iter_mut().for_each(|w| w.ws = Uuid::new_v4());
    ensure_error!(f.store.write(elsewhere).await, StoreError::Unique { fields, .. }
        if fields.get("code") == Some(&json!("c")), "same code in another workspace");
    f.insert(&f.schemas.globals, json!({"id": id(3), "name": "g"}))
        .await
        .map_err(text)?;
    let again = f.insert(&f.schemas.globals, json!({"id": id(4), "name": "g"})).await;
    ensure_error!(again, StoreError::Unique { .. }, "same name outside workspaces");
    Ok(())
}

pub(super) async fn unique_value_is_free_again_after_update_and_delete(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    f.insert(parents, json!({"id": id(1), "name": "a"}))
        .await
        .map_err(text)?;
    let rename = RowOp::Update {
        key: Key::id(id(1)),
        row: row(json!({"id": id(1), "name": "b"})),
    };
    f.write(parents, rename).await.map_err(text)?;
    f.insert(parents, json!({"id": id(2), "name": "a"}))
        .await
        .map_err(|e| format!("after the rename: {e}"))?;
    f.delete(parents, &id(2)).await.map_err(text)?;
    f.insert(parents, json!({"id": id(3), "name": "a"}))
        .await
        .map_err(|e| format!("after the delete: {e}"))?;
    Ok(())
}

pub(super) async fn unique_values_may_be_swapped_through_a_third_within_a_batch(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    f.insert(parents, json!({"id": id(1), "name": "a"}))
        .await
        .map_err(text)?;
    f.insert(parents, json!({"id": id(2), "name": "b"}))
        .await
        .map_err(text)?;
    let rename = |n: u32, name: &str| {
        (
            parents,
            RowOp::Update {
                key: Key::id(id(n)),
                row: row(json!({"id": id(n), "name": name})),
            },
        )
    };
    f.store
        .write(f.batch(vec![rename(1, "tmp"), rename(2, "a"), rename(1, "b")]))
        .await
        .map_err(text)?;
    for (n, name) in [(1, "b"), (2, "a")] {
        let found = f
            .select(parents, Key::unique("name", name))
            .await?
            .and_then(|r| r.get("id").cloned());
        ensure!(found == Some(json!(id(n))), "{name} leads to {found:?}");
    }
    Ok(())
}

pub(super) async fn null_never_collides(f: &Fixture) -> Verdict {
    for n in 1..4 {
        f.insert(&f.schemas.parents, json!({"id": id(n)}))
            .await
            .map_err(|e| format!("null name {n}: {e}"))?;
        f.insert(&f.schemas.links, json!({"id": id(n)}))
            .await
            .map_err(|e| format!("all-null link {n}: {e}"))?;
    }
    Ok(())
}

pub(super) async fn composite_key_counts_null_as_equal(f: &Fixture) -> Verdict {
    let links = &f.schemas.links;
    let parent = f.parent(1).await?;
    f.insert(&f.schemas.guards, json!({"id": id(1)})).await.map_err(text)?;
    let rows = [
        json!({"id": id(1), "name": "n"}),
        json!({"id": id(2), "name": "n", "parent": {"id": parent}}),
        json!({"id": id(3), "name": "n", "guard": {"id": id(1)}}),
        json!({"id": id(4), "name": "n", "parent": {"id": parent}, "guard": {"id": id(1)}}),
        json!({"id": id(5), "name": "m", "parent": {"id": parent}}),
    ];
    for link in &rows {
        f.insert(links, link.clone())
            .await
            .map_err(|e| format!("{link}: {e}"))?;
    }
    for link in rows {
        let mut again = row(link);
        again.insert("id".into(), json!(Uuid::new_v4().to_string()));
        let expected: crate::Row = ["name", "parent", "guard"]
            .map(|k| (k.to_owned(), again.get(k).cloned().unwrap_or(Value::Null)))
            .into_iter()
            .collect();
        let result = f.write(links, RowOp::Insert(again)).await;
        ensure_error!(result, StoreError::Unique { fields, .. } if fields == expected, "the same link again");
    }
    Ok(())
}

pub(super) async fn update_and_upsert_respect_unique_fields(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    f.insert(parents, json!({"id": id(1), "name": "a"}))
        .await
        .map_err(text)?;
    f.insert(parents, json!({"id": id(2), "name": "b"}))
        .await
        .map_err(text)?;
    let taken = row(json!({"id": id(2), "name": "a"}));
    let update = RowOp::Update {
        key: Key::id(id(2)),
        row: taken.clone(),
    };
    ensure_error!(
        f.write(parents, update).await,
        StoreError::Unique { .. },
        "update to a taken name"
    );
    ensure_error!(
        f.write(parents, RowOp::Upsert(taken)).await,
        StoreError::Unique { .. },
        "upsert to a taken name"
    );
    let new = RowOp::Upsert(row(json!({"id": id(3), "name": "a"})));
    ensure_error!(
        f.write(parents, new).await,
        StoreError::Unique { .. },
        "upsert of a new row with a taken name"
    );
    let same = RowOp::Update {
        key: Key::id(id(1)),
        row: row(json!({"id": id(1), "name": "a", "count": 2})),
    };
    f.write(parents, same)
        .await
        .map_err(|e| format!("an update that keeps its own name: {e}"))?;
    Ok(())
}

pub(super) async fn missing_parent_is_a_foreign_key_violation(f: &Fixture) -> Verdict {
    let result = f.child(1, &id(9)).await;
    ensure_error!(result, StoreError::ForeignKey { entity, field, reference, key }
        if entity == "testkit_children" && field == "parent" && reference == "testkit_parents"
            && key.get("id") == Some(&json!(id(9))), "insert");
    f.parent(2).await?;
    f.child(3, &id(2)).await.map_err(text)?;
    let moved = row(json!({"id": id(3), "key": "key-3", "parent": {"id": id(9)}}));
    let update = RowOp::Update {
        key: Key::id(id(3)),
        row: moved,
    };
    ensure_error!(
        f.write(&f.schemas.children, update).await,
        StoreError::ForeignKey { .. },
        "update"
    );
    f.insert(&f.schemas.notes, json!({"id": id(4), "parent": null}))
        .await
        .map_err(|e| format!("null parent: {e}"))?;
    Ok(())
}

pub(super) async fn restricted_parent_stays(f: &Fixture) -> Verdict {
    let parent = f.parent(1).await?;
    f.child(2, &parent).await.map_err(text)?;
    f.insert(&f.schemas.guards, json!({"id": id(3), "parent": {"id": parent}}))
        .await
        .map_err(text)?;
    let result = f.delete(&f.schemas.parents, &parent).await;
    ensure_error!(result, StoreError::Restricted { entity, by }
        if entity == "testkit_parents" && by == "testkit_guards", "delete");
    ensure!(f.exists(&f.schemas.parents, &parent).await?, "the parent is gone");
    ensure!(
        f.exists(&f.schemas.children, &id(2)).await?,
        "the refused delete took a child"
    );
    f.delete(&f.schemas.guards, &id(3)).await.map_err(text)?;
    f.delete(&f.schemas.parents, &parent)
        .await
        .map_err(|e| format!("after the guard went: {e}"))?;
    Ok(())
}

pub(super) async fn cascade_takes_grandchildren_and_reports_children_first(f: &Fixture) -> Verdict {
    let parent = f.parent(1).await?;
    let spared = f.parent(2).await?;
    for (n, of) in [(3, &parent), (4, &parent), (5, &spared)] {
        f.child(n, of).await.map_err(text)?;
        let grandchild = json!({"id": id(n + 10), "child": {"id": id(n)}, "tags": ["g"]});
        f.insert(&f.schemas.grandchildren, grandchild).await.map_err(text)?;
    }
    let changes = f.delete(&f.schemas.parents, &parent).await.map_err(text)?;
    let order: Vec<String> = changes
        .iter()
        .filter_map(|c| Some(c.old.as_ref()?.get("id")?.as_str()?.to_owned()))
        .collect();
    ensure!(
        order.len() == 5,
        "{} rows reported as deleted instead of 5: {order:?}",
        order.len()
    );
    let place = |n: u32| order.iter().position(|i| *i == id(n));
    for (earlier, later) in [(13, 3), (14, 4), (3, 1), (4, 1)] {
        ensure!(
            place(earlier) < place(later) && place(earlier).is_some(),
            "{earlier} is not before {later}: {order:?}"
        );
    }
    for n in [3, 4] {
        ensure!(!f.exists(&f.schemas.children, &id(n)).await?, "child {n} survived");
        ensure!(
            !f.exists(&f.schemas.grandchildren, &id(n + 10)).await?,
            "grandchild {} survived",
            n + 10
        );
    }
    ensure!(
        f.exists(&f.schemas.grandchildren, &id(15)).await?,
        "a grandchild of another parent went too"
    );
    f.parent(1).await?;
    f.child(3, &parent)
        .await
        .map_err(|e| format!("a unique key of a cascaded row stayed taken: {e}"))?;
    Ok(())
}

pub(super) async fn parent_of_set_null_leaves_the_child(f: &Fixture) -> Verdict {
    let parent = f.parent(1).await?;
    f.insert(&f.schemas.notes, json!({"id": id(2), "parent": {"id": parent}}))
        .await
        .map_err(text)?;
    let changes = f.delete(&f.schemas.parents, &parent).await.map_err(text)?;
    let note = f.select(&f.schemas.notes, Key::id(id(2))).await?;
    ensure!(
        note.is_some_and(|r| r.get("parent") == Some(&Value::Null)),
        "the note is gone or still references"
    );
    let reported = changes
        .first()
        .is_some_and(|c| c.schema.name == "testkit_notes" && c.old.is_some() && c.new.is_some());
    ensure!(
        reported && changes.len() == 2,
        "the set-null is not reported first: {changes:?}"
    );
    Ok(())
}

pub(super) async fn two_writers_on_one_unique_value_exactly_one_wins(f: &Fixture) -> Verdict {
    for round in 0..20 {
        let start = Arc::new(tokio::sync::Barrier::new(4));
        let mut tasks = Vec::new();
        for n in 0..4 {
            let (store, start) = (f.store.clone(), start.clone());
            let new = row(json!({"id": Uuid::new_v4().to_string(), "name": format!("race-{round}"), "count": n}));
            let batch = f.batch(vec![(&f.schemas.parents, RowOp::Insert(new))]);
            tasks.push(tokio::spawn(async move {
                start.wait().await;
                store.write(batch).await
            }));
        }
        let mut won = 0;
        for task in tasks {
            match task.await.map_err(text)? {
                Ok(_) => won += 1,
                Err(StoreError::Unique { .. }) => {}
                Err(other) => return Err(format!("a loser got {other:?}")),
            }
        }
        ensure!(won == 1, "{won} writers won round {round}");
    }
    Ok(())
}

pub(super) async fn child_and_parent_delete_race_leaves_no_orphan(f: &Fixture) -> Verdict {
    for round in 0..20 {
        let parent = f.parent(round).await?;
        let guard = row(json!({"id": id(round), "parent": {"id": parent}}));
        let insert = f.batch(vec![(&f.schemas.guards, RowOp::Insert(guard))]);
        let delete = f.batch(vec![(&f.schemas.parents, RowOp::Delete { key: Key::id(&parent) })]);
        let (store_a, store_b) = (f.store.clone(), f.store.clone());
        let (a, b) = (
            tokio::spawn(async move { store_a.write(insert).await }),
            tokio::spawn(async move { store_b.write(delete).await }),
        );
        match (a.await.map_err(text)?, b.await.map_err(text)?) {
            (Ok(_), Err(StoreError::Restricted { .. })) | (Err(StoreError::ForeignKey { .. }), Ok(_)) => {}
            other => return Err(format!("round {round}: insert and delete answered {other:?}")),
        }
    }
    Ok(())
}
