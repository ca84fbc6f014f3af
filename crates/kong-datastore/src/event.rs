//! Cluster events: how nodes tell each other what changed (node.md §9).

use uuid::Uuid;

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
    /// Not to be acted on before this time.
    pub nbf: Option<f64>,
}

/// Where reading of events stands: opaque to callers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventCursor {
    /// Largest `at` seen. Commit order is not timestamp order, so the next read re-reads an overlap before it.
    pub at: f64,
    /// Ids seen within the overlap.
    pub seen: Vec<(Uuid, f64)>,
}

/// Events since a cursor, ordered by `at`, each delivered once.
#[derive(Debug, Clone, Default)]
pub struct EventPage {
    /// New events of other nodes.
    pub events: Vec<Event>,
    /// Where to go on.
    pub cursor: EventCursor,
}
