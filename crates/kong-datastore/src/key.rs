//! How rows are addressed, and pages of them.

use std::sync::Arc;

use kong_schema::{Object, Schema};
use serde_json::Value;
use uuid::Uuid;

/// A stored row: every declared field present (null when unset), foreign fields as `{"id": …}`, times as Unix
/// seconds (integer fields) or seconds with a millisecond fraction (number fields). Two members are the store's own
/// and never leave the gateway: `ws_id` (text) and, for TTL entities, `ttl` = absolute expiry in Unix seconds or null.
pub type Row = Object;

/// Id of a workspace; OSS has exactly one, `default`.
pub type WorkspaceId = Uuid;

/// Selects at most one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    /// By primary key, values in the order of `Schema::storage.primary_key` (nearly always the single `id`).
    Primary(Vec<Value>),
    /// By a unique field.
    Unique {
        /// Field name.
        field: String,
        /// Its value.
        value: Value,
    },
    /// By the composite cache key, values in the order of `Schema::storage.cache_key` (foreign → id text or null).
    Cache(Vec<Value>),
}

impl Key {
    /// By `id`.
    pub fn id(id: impl Into<String>) -> Self {
        Key::Primary(vec![Value::String(id.into())])
    }
}

/// Which rows of an entity to page through.
#[derive(Debug, Clone)]
pub struct PageQuery {
    /// Entity.
    pub schema: Arc<Schema>,
    /// Workspace; ignored for entities that do not belong to one.
    pub ws: WorkspaceId,
    /// Rows whose foreign field (name) references this id.
    pub by_foreign: Option<(String, String)>,
    /// Rows with these tags.
    pub tags: Option<TagFilter>,
    /// Most rows to return.
    pub size: usize,
    /// Where the last page ended.
    pub after: Option<PageToken>,
}

/// Tag filter of a collection (admin-api.md §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagFilter {
    /// Rows that have all of the tags.
    All(Vec<String>),
    /// Rows that have any of the tags.
    Any(Vec<String>),
}

/// Position in an ordered collection: the primary key of the last row seen. A row inserted or deleted meanwhile
/// makes no other row appear twice or not at all.
pub type PageToken = Vec<Value>;

/// A page of rows in ascending primary-key order.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Set when more rows may follow.
    pub next: Option<PageToken>,
}
