//! Rows that expire.

use serde_json::{Value, json};

use super::{Fixture, Verdict, ensure, id, row, sleep, text};
use crate::relations::unix_now;
use crate::{Key, PageQuery, RowOp, TagFilter};

fn in_seconds(seconds: f64) -> f64 {
    ((unix_now() + seconds) * 1000.0).round() / 1000.0
}

pub(super) async fn expired_row_does_not_exist(f: &Fixture) -> Verdict {
    let children = &f.schemas.children;
    let parent = f.parent(1).await?;
    let expiry = in_seconds(0.6);
    for (n, ttl) in [(2, json!(expiry)), (3, json!(in_seconds(100.0))), (4, Value::Null)] {
        let new = json!({"id": id(n), "key": format!("k{n}"), "parent": {"id": parent}, "ttl": ttl, "tags": ["t"]});
        f.insert(children, new).await.map_err(text)?;
    }
    let fresh = f.select(children, Key::id(id(2))).await?;
    let ttl = fresh.as_ref().and_then(|r| r.get("ttl")).and_then(Value::as_f64);
    ensure!(
        ttl.is_some_and(|t| (t - expiry).abs() < 0.002),
        "ttl was written as {expiry} and is read as {ttl:?}"
    );
    let endless = f.select(children, Key::id(id(4))).await?;
    ensure!(
        endless.is_some_and(|r| r.get("ttl") == Some(&Value::Null)),
        "a row without expiry lacks `ttl: null`"
    );
    sleep(800).await;
    ensure!(
        f.select(children, Key::id(id(2))).await?.is_none(),
        "selected by id after expiry"
    );
    ensure!(
        f.select(children, Key::unique("key", "k2")).await?.is_none(),
        "selected by key after expiry"
    );
    let queries = [
        PageQuery::all(children, f.ws, 10),
        PageQuery {
            by_foreign: Some(("parent".into(), parent.clone())),
            ..PageQuery::all(children, f.ws, 1)
        },
        PageQuery {
            tags: Some(TagFilter::All(vec!["t".into()])),
            ..PageQuery::all(children, f.ws, 10)
        },
    ];
    for query in queries {
        let ids = f.ids(query.clone()).await?;
        ensure!(ids == [id(3), id(4)], "{query:?} after expiry: {ids:?}");
    }
    let update = RowOp::Update {
        key: Key::id(id(2)),
        row: row(json!({"id": id(2), "key": "k2"})),
    };
    let updated = f.write(children, update).await;
    ensure!(
        matches!(updated, Err(crate::StoreError::NotFound { .. })),
        "update after expiry: {updated:?}"
    );
    let orphan = f
        .insert(&f.schemas.grandchildren, json!({"id": id(9), "child": {"id": id(2)}}))
        .await;
    ensure!(orphan.is_err(), "an expired row is accepted as a parent");
    Ok(())
}

pub(super) async fn expired_row_frees_its_unique_value(f: &Fixture) -> Verdict {
    let children = &f.schemas.children;
    let parent = f.parent(1).await?;
    let new = |n: u32, ttl: Value| json!({"id": id(n), "key": "same", "parent": {"id": parent}, "ttl": ttl});
    f.insert(children, new(2, json!(in_seconds(0.3)))).await.map_err(text)?;
    sleep(500).await;
    f.insert(children, new(3, Value::Null))
        .await
        .map_err(|e| format!("the key stayed taken: {e}"))?;
    let found = f
        .select(children, Key::unique("key", "same"))
        .await?
        .and_then(|r| r.get("id").cloned());
    ensure!(found == Some(json!(id(3))), "the key leads to {found:?}");
    let reused = json!({"id": id(2), "key": "other", "parent": {"id": parent}});
    f.insert(children, reused)
        .await
        .map_err(|e| format!("the id stayed taken: {e}"))?;
    Ok(())
}

pub(super) async fn purge_removes_only_what_expired(f: &Fixture) -> Verdict {
    let children = &f.schemas.children;
    let parent = f.parent(1).await?;
    for n in 2..8 {
        let ttl = if n < 5 {
            json!(in_seconds(0.2))
        } else {
            json!(in_seconds(100.0))
        };
        let new = json!({"id": id(n), "key": format!("k{n}"), "parent": {"id": parent}, "ttl": ttl});
        f.insert(children, new).await.map_err(text)?;
    }
    sleep(400).await;
    let purged = f.store.purge_expired().await.map_err(text)?;
    ensure!(purged >= 3, "purged {purged} rows instead of 3");
    let ids = f.ids(PageQuery::all(children, f.ws, 10)).await?;
    ensure!(ids == [5, 6, 7].map(id), "left: {ids:?}");
    let again = f.store.purge_expired().await.map_err(text)?;
    ensure!(again == 0, "a second purge found {again}");
    Ok(())
}
