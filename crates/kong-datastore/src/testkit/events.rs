//! What other nodes are told.

use std::collections::HashSet;

use serde_json::json;
use uuid::Uuid;

use super::{Fixture, Verdict, ensure, id, row, text};
use crate::{CORE_INVALIDATIONS, Event, EventCursor, INVALIDATIONS, Key, RowOp};

/// A node that reads events.
struct Reader<'a> {
    fixture: &'a Fixture,
    node: Uuid,
    cursor: EventCursor,
}

impl<'a> Reader<'a> {
    async fn start(fixture: &'a Fixture, node: Uuid) -> Result<Self, String> {
        let page = fixture
            .store
            .events_since(node, EventCursor::default())
            .await
            .map_err(text)?;
        ensure!(
            page.events.is_empty(),
            "a default cursor delivers {} old events",
            page.events.len()
        );
        Ok(Self {
            fixture,
            node,
            cursor: page.cursor,
        })
    }

    /// Everything new, over as many reads as it takes.
    async fn read(&mut self) -> Result<Vec<Event>, String> {
        let mut all = Vec::new();
        for _ in 0..1000 {
            let page = self
                .fixture
                .store
                .events_since(self.node, self.cursor.clone())
                .await
                .map_err(text)?;
            self.cursor = page.cursor;
            if page.events.is_empty() {
                return Ok(all);
            }
            all.extend(page.events);
        }
        Err("events do not come to an end".into())
    }
}

fn keys(events: &[Event]) -> HashSet<&str> {
    events.iter().map(|e| e.data.as_str()).collect()
}

pub(super) async fn every_change_is_announced_to_other_nodes(f: &Fixture) -> Verdict {
    let mut reader = Reader::start(f, Uuid::new_v4()).await?;
    let parent = f.parent(1).await?;
    f.child(2, &parent).await.map_err(text)?;
    let events = reader.read().await?;
    let ws = f.ws;
    for key in [
        format!("testkit_parents:{parent}:::::{ws}"),
        format!("testkit_children:key-2:::::{ws}"),
        format!("testkit_children:{}:::::{ws}", id(2)),
        format!("testkit_children:{parent}:::::{ws}"),
    ] {
        ensure!(
            keys(&events).contains(key.as_str()),
            "{key} is not among {:?}",
            keys(&events)
        );
    }
    ensure!(
        events.iter().all(|e| e.node_id == f.node && e.at > 0.0),
        "node or time is not stamped: {events:?}"
    );
    let moved = row(json!({"id": id(2), "key": "new-key", "parent": {"id": parent}}));
    f.write(
        &f.schemas.children,
        RowOp::Update {
            key: Key::id(id(2)),
            row: moved,
        },
    )
    .await
    .map_err(text)?;
    let events = reader.read().await?;
    for key in [
        format!("testkit_children:key-2:::::{ws}"),
        format!("testkit_children:new-key:::::{ws}"),
    ] {
        ensure!(
            keys(&events).contains(key.as_str()),
            "after the update {key} is not among {:?}",
            keys(&events)
        );
    }
    f.delete(&f.schemas.children, &id(2)).await.map_err(text)?;
    let events = reader.read().await?;
    let key = format!("testkit_children:new-key:::::{ws}");
    ensure!(keys(&events).contains(key.as_str()), "the delete is not announced");
    Ok(())
}

pub(super) async fn own_events_are_skipped(f: &Fixture) -> Verdict {
    let mut own = Reader::start(f, f.node).await?;
    f.parent(1).await?;
    let events = own.read().await?;
    ensure!(events.is_empty(), "a node reads its own events: {events:?}");
    Ok(())
}

pub(super) async fn cascaded_changes_are_announced(f: &Fixture) -> Verdict {
    let parent = f.parent(1).await?;
    f.child(2, &parent).await.map_err(text)?;
    f.insert(&f.schemas.notes, json!({"id": id(3), "parent": {"id": parent}}))
        .await
        .map_err(text)?;
    let mut reader = Reader::start(f, Uuid::new_v4()).await?;
    f.delete(&f.schemas.parents, &parent).await.map_err(text)?;
    let events = reader.read().await?;
    for key in [
        format!("testkit_children:key-2:::::{}", f.ws),
        format!("testkit_notes:{}:::::{}", id(3), f.ws),
    ] {
        ensure!(
            keys(&events).contains(key.as_str()),
            "{key} is not among {:?}",
            keys(&events)
        );
    }
    Ok(())
}

pub(super) async fn failed_batch_announces_nothing(f: &Fixture) -> Verdict {
    f.parent(1).await?;
    let mut reader = Reader::start(f, Uuid::new_v4()).await?;
    let failing = f.batch(vec![
        (
            &f.schemas.parents,
            RowOp::Insert(row(json!({"id": id(2), "name": "b"}))),
        ),
        (
            &f.schemas.parents,
            RowOp::Insert(row(json!({"id": id(3), "name": "parent-1"}))),
        ),
    ]);
    ensure!(f.store.write(failing).await.is_err(), "the batch succeeded");
    let events = reader.read().await?;
    ensure!(events.is_empty(), "announced {events:?}");
    Ok(())
}

pub(super) async fn further_events_of_a_batch_are_delivered(f: &Fixture) -> Verdict {
    let mut reader = Reader::start(f, Uuid::new_v4()).await?;
    let mut batch = f.batch(vec![(&f.schemas.parents, RowOp::Insert(row(json!({"id": id(1)}))))]);
    let event = Event {
        nbf: Some(4_000_000_000.5),
        ..Event::new(f.node, "balancer:targets", "create:x")
    };
    batch.events.push(event.clone());
    f.store.write(batch).await.map_err(text)?;
    let events = reader.read().await?;
    let found = events.iter().find(|e| e.id == event.id);
    let same = found.is_some_and(|e| {
        (&e.channel, &e.data) == (&event.channel, &event.data)
            && e.nbf.is_some_and(|nbf| (nbf - 4_000_000_000.5).abs() < 0.002)
    });
    ensure!(same, "the event arrived as {found:?}");
    let alone = crate::Batch {
        node_id: f.node,
        writes: Vec::new(),
        events: vec![Event::new(f.node, "c", "d")],
    };
    f.store.write(alone).await.map_err(text)?;
    let events = reader.read().await?;
    ensure!(
        events.len() == 1,
        "a batch of one event alone delivered {}",
        events.len()
    );
    Ok(())
}

pub(super) async fn each_event_is_delivered_exactly_once(f: &Fixture) -> Verdict {
    let mut reader = Reader::start(f, Uuid::new_v4()).await?;
    let mut seen = HashSet::new();
    let mut last = 0.0;
    for n in 1..30 {
        f.parent(n).await?;
        for event in reader.read().await? {
            ensure!(seen.insert(event.id), "{event:?} came twice");
            ensure!(event.at.total_cmp(&last).is_ge(), "event times run backwards");
            last = event.at;
        }
    }
    ensure!(seen.len() == 29, "{} events of 29 rows", seen.len());
    // Writers that commit at the same moment share a time stamp; none may be lost to it.
    let mut tasks = Vec::new();
    for n in 100..140 {
        let store = f.store.clone();
        let batch = f.batch(vec![(&f.schemas.parents, RowOp::Insert(row(json!({"id": id(n)}))))]);
        tasks.push(tokio::spawn(async move { store.write(batch).await }));
    }
    let mut concurrent = Vec::new();
    for task in tasks {
        task.await.map_err(text)?.map_err(text)?;
        concurrent.extend(reader.read().await?);
    }
    concurrent.extend(reader.read().await?);
    let distinct: HashSet<Uuid> = concurrent.iter().map(|e| e.id).collect();
    ensure!(
        distinct.len() == concurrent.len(),
        "some of the concurrent events came twice"
    );
    ensure!(distinct.len() == 40, "{} events of 40 concurrent rows", distinct.len());
    Ok(())
}

pub(super) async fn fresh_cursor_starts_now(f: &Fixture) -> Verdict {
    f.parent(1).await?;
    let mut reader = Reader::start(f, Uuid::new_v4()).await?;
    let events = reader.read().await?;
    ensure!(events.is_empty(), "events from before the start: {events:?}");
    f.parent(2).await?;
    let events = reader.read().await?;
    ensure!(
        events.len() == 1,
        "{} events after the start instead of 1",
        events.len()
    );
    Ok(())
}

pub(super) async fn many_events_are_all_delivered(f: &Fixture) -> Verdict {
    let mut reader = Reader::start(f, Uuid::new_v4()).await?;
    for part in 0..3 {
        let ops = (0..1000).map(|n| {
            (
                &f.schemas.parents,
                RowOp::Insert(row(json!({"id": id(part * 1000 + n)}))),
            )
        });
        f.store.write(f.batch(ops.collect())).await.map_err(text)?;
    }
    let events = reader.read().await?;
    let distinct: HashSet<Uuid> = events.iter().map(|e| e.id).collect();
    ensure!(
        distinct.len() == 3000 && events.len() == 3000,
        "{} events of 3000 rows",
        events.len()
    );
    Ok(())
}

pub(super) async fn core_entities_use_their_own_channel(f: &Fixture) -> Verdict {
    let mut reader = Reader::start(f, Uuid::new_v4()).await?;
    f.parent(1).await?;
    let core = reader.read().await?;
    ensure!(
        core.iter().all(|e| e.channel == CORE_INVALIDATIONS) && !core.is_empty(),
        "core: {core:?}"
    );
    f.child(2, &id(1)).await.map_err(text)?;
    let others = reader.read().await?;
    ensure!(
        others.iter().all(|e| e.channel == INVALIDATIONS) && !others.is_empty(),
        "others: {others:?}"
    );
    Ok(())
}
