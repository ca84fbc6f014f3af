//! Pages and tags.

use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Fixture, Verdict, ensure, id, row, text};
use crate::{Key, PageQuery, RowOp, TagFilter, TagQuery};

pub(super) async fn pages_are_ordered_and_complete(f: &Fixture) -> Verdict {
    for n in [5, 1, 4, 2, 3, 7, 6] {
        f.parent(n).await?;
    }
    let all: Vec<String> = (1..=7).map(id).collect();
    for size in [1, 2, 3, 6, 7, 8, 1000] {
        let ids = f.ids(PageQuery::all(&f.schemas.parents, f.ws, size)).await?;
        ensure!(ids == all, "with pages of {size}: {ids:?}");
    }
    let exact = f.page(&PageQuery::all(&f.schemas.parents, f.ws, 7)).await?;
    ensure!(exact.next.is_none(), "a full last page announces another");
    let none = f.page(&PageQuery::all(&f.schemas.notes, f.ws, 7)).await?;
    ensure!(
        none.rows.is_empty() && none.next.is_none(),
        "an empty entity has a page"
    );
    Ok(())
}

pub(super) async fn no_row_is_missed_or_doubled_while_others_come_and_go(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    for n in 0..60 {
        f.parent(n * 10).await?;
    }
    // Multiples of 20 stay throughout; of the others some go and new ones come, behind and before the reader.
    let steady: HashSet<String> = (0..30).map(|n| id(n * 20)).collect();
    let mut query = PageQuery::all(parents, f.ws, 7);
    let mut seen = Vec::new();
    for turn in 0..200 {
        let page = f.page(&query).await?;
        seen.extend(
            page.rows
                .iter()
                .filter_map(|r| r.get("id").and_then(Value::as_str))
                .map(str::to_owned),
        );
        let Some(next) = page.next else { break };
        query.after = Some(next);
        // The row a page ended with may itself go before the next page is asked for.
        if let Some(last) = seen.last().filter(|last| !steady.contains(*last)).cloned() {
            f.delete(parents, &last).await.map_err(text)?;
        }
        for n in 0..3u32 {
            f.delete(parents, &id((turn * 3 + n) * 20 + 10)).await.map_err(text)?;
            let fresh = id(turn * 7 + n * 111 + 3);
            let upsert = RowOp::Upsert(row(json!({"id": fresh})));
            f.write(parents, upsert).await.map_err(text)?;
        }
    }
    let distinct: HashSet<&String> = seen.iter().collect();
    ensure!(
        distinct.len() == seen.len(),
        "{} rows were seen twice",
        seen.len() - distinct.len()
    );
    let missed: Vec<&String> = steady.iter().filter(|s| !distinct.contains(s)).collect();
    ensure!(missed.is_empty(), "missed {missed:?}");
    Ok(())
}

pub(super) async fn by_foreign_pages_only_below_the_parent(f: &Fixture) -> Verdict {
    let (one, two) = (f.parent(1).await?, f.parent(2).await?);
    for n in 10..20 {
        f.child(n, if n % 2 == 0 { &one } else { &two }).await.map_err(text)?;
    }
    let below = |parent: &str| PageQuery {
        by_foreign: Some(("parent".into(), parent.into())),
        ..PageQuery::all(&f.schemas.children, f.ws, 2)
    };
    let ids = f.ids(below(&one)).await?;
    ensure!(ids == [10, 12, 14, 16, 18].map(id), "below the first: {ids:?}");
    let moved = row(json!({"id": id(10), "key": "key-10", "parent": {"id": two}}));
    f.write(
        &f.schemas.children,
        RowOp::Update {
            key: Key::id(id(10)),
            row: moved,
        },
    )
    .await
    .map_err(text)?;
    f.delete(&f.schemas.children, &id(12)).await.map_err(text)?;
    let ids = f.ids(below(&one)).await?;
    ensure!(ids == [14, 16, 18].map(id), "after one moved and one went: {ids:?}");
    let ids = f.ids(below(&two)).await?;
    ensure!(ids == [10, 11, 13, 15, 17, 19].map(id), "below the second: {ids:?}");
    let ids = f.ids(below(&id(99))).await?;
    ensure!(ids.is_empty(), "below a parent that doesn't exist: {ids:?}");
    Ok(())
}

pub(super) async fn by_tags_all_and_any(f: &Fixture) -> Verdict {
    let tags: [&[&str]; 6] = [&["a"], &["b"], &["a", "b"], &["a", "b", "c"], &[], &["ab", "A"]];
    for (n, tags) in (1..).zip(tags) {
        let new = json!({"id": id(n), "tags": tags});
        f.insert(&f.schemas.parents, new).await.map_err(text)?;
    }
    f.insert(&f.schemas.notes, json!({"id": id(50), "tags": ["a"]}))
        .await
        .map_err(text)?;
    let own = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let rows: [(TagFilter, &[u32]); 7] = [
        (TagFilter::All(own(&["a"])), &[1, 3, 4]),
        (TagFilter::All(own(&["a", "b"])), &[3, 4]),
        (TagFilter::All(own(&["c", "a", "b"])), &[4]),
        (TagFilter::Any(own(&["a", "b"])), &[1, 2, 3, 4]),
        (TagFilter::Any(own(&["c", "A"])), &[4, 6]),
        (TagFilter::All(own(&["a", "x"])), &[]),
        (TagFilter::Any(own(&["x"])), &[]),
    ];
    for (filter, expected) in rows {
        for size in [1, 2, 100] {
            let query = PageQuery {
                tags: Some(filter.clone()),
                ..PageQuery::all(&f.schemas.parents, f.ws, size)
            };
            let ids = f.ids(query).await?;
            let expected: Vec<String> = expected.iter().map(|n| id(*n)).collect();
            ensure!(ids == expected, "{filter:?} by {size}: {ids:?}");
        }
    }
    Ok(())
}

pub(super) async fn tags_follow_updates_and_deletes(f: &Fixture) -> Verdict {
    let parents = &f.schemas.parents;
    f.insert(parents, json!({"id": id(1), "tags": ["a", "b"]}))
        .await
        .map_err(text)?;
    f.insert(parents, json!({"id": id(2), "tags": ["a"]}))
        .await
        .map_err(text)?;
    f.insert(
        &f.schemas.links,
        json!({"id": id(3), "parent": {"id": id(2)}, "tags": ["a"]}),
    )
    .await
    .map_err(text)?;
    let update = RowOp::Update {
        key: Key::id(id(1)),
        row: row(json!({"id": id(1), "tags": ["c", "b"]})),
    };
    f.write(parents, update).await.map_err(text)?;
    f.delete(parents, &id(2)).await.map_err(text)?;
    for (schema, tag, expected) in [
        (parents, "a", vec![]),
        (parents, "b", vec![id(1)]),
        (parents, "c", vec![id(1)]),
        (&f.schemas.links, "a", vec![]),
    ] {
        let tags = Some(TagFilter::All(vec![tag.into()]));
        let ids = f
            .ids(PageQuery {
                tags,
                ..PageQuery::all(schema, f.ws, 10)
            })
            .await?;
        ensure!(ids == expected, "{} with tag {tag}: {ids:?}", schema.name);
    }
    Ok(())
}

pub(super) async fn tags_view_lists_entity_and_tag(f: &Fixture) -> Verdict {
    f.insert(&f.schemas.parents, json!({"id": id(1), "tags": ["b", "a"]}))
        .await
        .map_err(text)?;
    f.insert(&f.schemas.notes, json!({"id": id(2), "tags": ["a"]}))
        .await
        .map_err(text)?;
    f.insert(&f.schemas.parents, json!({"id": id(3), "tags": []}))
        .await
        .map_err(text)?;
    let rows = [
        ("a", "testkit_parents", 1),
        ("b", "testkit_parents", 1),
        ("a", "testkit_notes", 2),
    ];
    for (tag, size) in [(None, 100), (None, 1), (Some("a"), 1), (Some("zzz"), 3)] {
        let mut query = TagQuery {
            ws: f.ws,
            tag: tag.map(str::to_owned),
            size,
            after: None,
        };
        let mut found = Vec::new();
        for _ in 0..10 {
            let page = f.store.tags(&query).await.map_err(text)?;
            found.extend(page.rows.into_iter().map(|r| (r.tag, r.entity_name, r.entity_id)));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let expected: Vec<_> = rows
            .iter()
            .filter(|(t, _, _)| tag.is_none_or(|wanted| wanted == *t))
            .map(|(t, e, n)| ((*t).to_owned(), (*e).to_owned(), id(*n)))
            .collect();
        ensure!(found == expected, "tag {tag:?} by {size}: {found:?}");
    }
    Ok(())
}

pub(super) async fn paging_is_per_workspace(f: &Fixture) -> Verdict {
    let other = Uuid::new_v4();
    for n in 1..7 {
        let new = RowOp::Insert(row(json!({"id": id(n), "tags": ["t"]})));
        let mut batch = f.batch(vec![(&f.schemas.parents, new)]);
        batch
            .writes
            .iter_mut()
            .for_each(|w| w.ws = if n % 2 == 0 { f.ws } else { other });
        f.store.write(batch).await.map_err(text)?;
    }
    for tags in [None, Some(TagFilter::Any(vec!["t".into()]))] {
        let ids = f
            .ids(PageQuery {
                tags: tags.clone(),
                ..PageQuery::all(&f.schemas.parents, f.ws, 2)
            })
            .await?;
        ensure!(ids == [2, 4, 6].map(id), "own workspace, {tags:?}: {ids:?}");
        let ids = f
            .ids(PageQuery {
                tags,
                ..PageQuery::all(&f.schemas.parents, other, 2)
            })
            .await?;
        ensure!(ids == [1, 3, 5].map(id), "other workspace: {ids:?}");
    }
    let view = f
        .store
        .tags(&TagQuery {
            ws: f.ws,
            tag: None,
            size: 10,
            after: None,
        })
        .await
        .map_err(text)?;
    ensure!(
        view.rows.len() == 3,
        "the tags view shows {} rows of 3",
        view.rows.len()
    );
    Ok(())
}
