//! Cluster events: how nodes tell each other what changed (node.md §9).

use std::collections::HashSet;

use uuid::Uuid;

use crate::{Change, cache_keys};

/// Channel of the invalidations of core entities.
pub const CORE_INVALIDATIONS: &str = "invalidations_kong_core_db_cache";
/// Channel of the invalidations of consumers and plugin entities.
pub const INVALIDATIONS: &str = "invalidations";

/// A row of `cluster_events`.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Identity; nodes remember the ids they have seen.
    pub id: Uuid,
    /// Node that wrote it; a node skips its own.
    pub node_id: Uuid,
    /// Channel, e.g. `invalidations_kong_core_db_cache`.
    pub channel: String,
    /// Payload, e.g. a cache key `routes:<id>:::::<ws>`.
    pub data: String,
    /// Commit time by the store's clock, Unix seconds with millisecond fraction; 0 until written.
    pub at: f64,
    /// Not to be acted on before this time. Events are delivered at once all the same; the reader waits.
    pub nbf: Option<f64>,
}

impl Event {
    /// A new event, to be stamped by the store.
    pub fn new(node_id: Uuid, channel: impl Into<String>, data: impl Into<String>) -> Self {
        Self {
            id: Uuid::new_v4(),
            node_id,
            channel: channel.into(),
            data: data.into(),
            at: 0.0,
            nbf: None,
        }
    }
}

/// The events that announce one row change: one for every cache key ([`cache_keys`]) under which another node may
/// hold the old or the new row, or its absence.
pub fn events_for(change: &Change, node_id: Uuid) -> Vec<Event> {
    let channel = if change.schema.storage.core_cache {
        CORE_INVALIDATIONS
    } else {
        INVALIDATIONS
    };
    let mut keys = Vec::new();
    for row in [&change.old, &change.new].into_iter().flatten() {
        for key in cache_keys(&change.schema, row) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    keys.into_iter().map(|key| Event::new(node_id, channel, key)).collect()
}

/// Where reading of events stands: opaque to callers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventCursor {
    /// Largest `at` seen. Commit order is not timestamp order, so the next read re-reads an overlap before it.
    pub at: f64,
    /// Ids seen within the overlap.
    pub seen: Vec<(Uuid, f64)>,
}

impl EventCursor {
    /// Turns what a store read (every event with `at` ≥ `self.at - overlap`, in order of `at`, perhaps cut off) into a
    /// page: drops what was delivered before and what `node_id` wrote itself, and remembers the ids of the overlap.
    pub fn advance(self, read: Vec<Event>, node_id: Uuid, overlap: f64) -> EventPage {
        let known: HashSet<Uuid> = self.seen.iter().map(|(id, _)| *id).collect();
        let at = read.iter().map(|e| e.at).fold(self.at, f64::max);
        let mut seen = self.seen;
        let mut events = Vec::new();
        for event in read {
            if known.contains(&event.id) {
                continue;
            }
            seen.push((event.id, event.at));
            if event.node_id != node_id {
                events.push(event);
            }
        }
        seen.retain(|(_, seen_at)| *seen_at >= at - overlap);
        EventPage {
            events,
            cursor: EventCursor { at, seen },
        }
    }
}

/// Events since a cursor, ordered by `at`, each delivered once.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    /// New events of other nodes.
    pub events: Vec<Event>,
    /// Where to go on.
    pub cursor: EventCursor,
}
