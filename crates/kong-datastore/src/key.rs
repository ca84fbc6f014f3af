//! How rows are addressed, and pages of them.

use std::sync::Arc;

use kong_schema::{Object, Schema};
use serde_json::Value;
use uuid::Uuid;

/// A stored row: every declared field present (null when unset), foreign fields as `{"id": …}`, times as Unix
/// seconds (integer fields) or seconds with a millisecond fraction (number fields). Two members are the store's own
/// and never leave the gateway: `ws_id` (text; only rows of workspaceable entities have it, the store sets it from
/// [`Write::ws`](crate::Write::ws)) and, for TTL entities, `ttl` = absolute expiry in Unix seconds or null.
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
        /// Its value; for a foreign field the id as text, or `{"id": …}`.
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

    /// By a unique text field.
    pub fn unique(field: impl Into<String>, value: impl Into<String>) -> Self {
        Key::Unique {
            field: field.into(),
            value: Value::String(value.into()),
        }
    }

    /// The primary key of a row, `None` when a part of it is absent.
    pub fn of_row(schema: &Schema, row: &Row) -> Option<Self> {
        let parts: Option<Vec<Value>> = schema
            .storage
            .primary_key
            .iter()
            .map(|f| row.get(f).filter(|v| !v.is_null()).cloned())
            .collect();
        parts.filter(|p| !p.is_empty()).map(Key::Primary)
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
    /// Most rows to return (at least 1).
    pub size: usize,
    /// Where the last page ended.
    pub after: Option<PageToken>,
}

impl PageQuery {
    /// The first page of all rows.
    pub fn all(schema: &Arc<Schema>, ws: WorkspaceId, size: usize) -> Self {
        Self {
            schema: schema.clone(),
            ws,
            by_foreign: None,
            tags: None,
            size,
            after: None,
        }
    }
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

/// Which rows of the `tags` view to page through (admin-api.md §7.7).
#[derive(Debug, Clone)]
pub struct TagQuery {
    /// Workspace.
    pub ws: WorkspaceId,
    /// Only this tag.
    pub tag: Option<String>,
    /// Most rows to return (at least 1).
    pub size: usize,
    /// Where the last page ended: entity id and tag.
    pub after: Option<(String, String)>,
}

/// A row of the `tags` view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRow {
    /// The tag.
    pub tag: String,
    /// Table of the tagged entity.
    pub entity_name: String,
    /// Id of the tagged entity.
    pub entity_id: String,
}

/// A page of the `tags` view, ordered by entity id, then tag.
#[derive(Debug, Clone, Default)]
pub struct TagPage {
    /// The rows.
    pub rows: Vec<TagRow>,
    /// Set when more rows may follow.
    pub next: Option<(String, String)>,
}
