//! Selecting and paging.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use kong_schema::Schema;
use serde_json::Value;

use super::state::State;
use super::table::{Pk, Table, pk_text, tags_of};
use crate::apply::{is_visible as visible, primary_values};
use crate::cache_key::part;
use crate::relations::{UniqueKey, is_expired, unix_now};
use crate::{Key, Page, PageQuery, Row, StoreError, StoreResult, TagFilter, TagPage, TagQuery, TagRow, WorkspaceId};

impl State {
    pub(super) fn select(&self, schema: &Schema, ws: WorkspaceId, key: &Key) -> StoreResult<Option<Row>> {
        let table = self.table(schema)?;
        let probe = |row: Row| {
            table
                .unique_keys
                .iter()
                .find_map(|k| k.value(schema, &row).and_then(|v| table.holder(&v)))
        };
        let ws_text = Value::String(ws.to_string());
        let pk = match key {
            Key::Primary(_) => Some(pk_text(primary_values(schema, key)?.iter())),
            Key::Unique { field, value } => {
                let known = |k: &&UniqueKey| matches!(k, UniqueKey::Field { name, .. } if name == field);
                if !table.unique_keys.iter().any(|k| known(&k)) {
                    return Err(StoreError::Internal(format!("{}.{field} is not unique", schema.name)));
                }
                probe(Row::from_iter([
                    (field.clone(), value.clone()),
                    ("ws_id".into(), ws_text),
                ]))
                .cloned()
            }
            Key::Cache(values) => {
                let fields = schema.storage.cache_key.iter().cloned();
                probe(
                    fields
                        .zip(values.iter().cloned())
                        .chain([("ws_id".into(), ws_text)])
                        .collect(),
                )
                .cloned()
            }
        };
        let row = pk.and_then(|pk| table.rows.get(&pk));
        let global = matches!(key, Key::Unique { field, .. }
            if table.unique_keys.contains(&UniqueKey::Field { name: field.clone(), global: true }));
        Ok(row
            .filter(|row| (global || visible(schema, row, ws)) && !is_expired(schema, row, unix_now()))
            .map(|row| (**row).clone()))
    }

    pub(super) fn page(&self, query: &PageQuery) -> StoreResult<Page> {
        let table = self.table(&query.schema)?;
        let after: Option<Pk> = query.after.as_ref().map(|token| pk_text(token.iter()));
        let now = unix_now();
        let accepts = |row: &Row| visible(&query.schema, row, query.ws) && !is_expired(&query.schema, row, now);
        let size = query.size.max(1);
        // One more than asked for tells whether another page follows.
        let mut rows: Vec<Row> = candidates(table, query, after)
            .filter_map(|pk| table.rows.get(pk))
            .filter(|row| accepts(row))
            .take(size + 1)
            .map(|row| (**row).clone())
            .collect();
        let more = rows.len() > size;
        rows.truncate(size);
        let next = rows.last().filter(|_| more).map(|row| {
            query
                .schema
                .storage
                .primary_key
                .iter()
                .map(|f| row.get(f).cloned().unwrap_or(Value::Null))
                .collect()
        });
        Ok(Page { rows, next })
    }

    pub(super) fn tags(&self, query: &TagQuery) -> TagPage {
        let mut found: BTreeSet<(String, String, String)> = BTreeSet::new();
        let now = unix_now();
        for table in self.tables.values() {
            let rows: Box<dyn Iterator<Item = &Arc<Row>>> = match &query.tag {
                Some(tag) => Box::new(
                    table
                        .tagged(tag)
                        .into_iter()
                        .flatten()
                        .filter_map(|pk| table.rows.get(pk)),
                ),
                None => Box::new(table.rows.values()),
            };
            for row in rows.filter(|r| visible(&table.schema, r, query.ws) && !is_expired(&table.schema, r, now)) {
                for tag in tags_of(row).filter(|t| query.tag.as_deref().is_none_or(|wanted| wanted == *t)) {
                    found.insert((part(row.get("id")), tag.to_owned(), table.schema.table().to_owned()));
                }
            }
        }
        let after = query.after.clone().unwrap_or_default();
        let mut rows: Vec<TagRow> = found
            .into_iter()
            .filter(|(id, tag, _)| query.after.is_none() || (id, tag) > (&after.0, &after.1))
            .take(query.size.max(1) + 1)
            .map(|(entity_id, tag, entity_name)| TagRow {
                tag,
                entity_name,
                entity_id,
            })
            .collect();
        let more = rows.len() > query.size.max(1);
        rows.truncate(query.size.max(1));
        let next = rows
            .last()
            .filter(|_| more)
            .map(|r| (r.entity_id.clone(), r.tag.clone()));
        TagPage { rows, next }
    }
}

/// Keys that match the query's indices, ascending, after the token.
fn candidates<'a>(table: &'a Table, query: &PageQuery, after: Option<Pk>) -> Box<dyn Iterator<Item = &'a Pk> + 'a> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let range = (from, Bound::Unbounded);
    let below = query.by_foreign.as_ref().map(|(field, id)| table.below(field, id));
    let tagged: Option<(bool, Vec<Option<&BTreeSet<Pk>>>)> = query.tags.as_ref().map(|filter| match filter {
        TagFilter::All(tags) => (true, tags.iter().map(|t| table.tagged(t)).collect()),
        TagFilter::Any(tags) => (false, tags.iter().map(|t| table.tagged(t)).collect()),
    });
    let matches = move |pk: &&Pk| match &tagged {
        None => true,
        Some((true, sets)) => sets.iter().all(|set| set.is_some_and(|s| s.contains(*pk))),
        Some((false, sets)) => sets.iter().any(|set| set.is_some_and(|s| s.contains(*pk))),
    };
    match below {
        Some(None) => Box::new(std::iter::empty()),
        Some(Some(set)) => Box::new(set.range(range).filter(matches)),
        None => Box::new(table.rows.range(range).map(|(pk, _)| pk).filter(matches)),
    }
}
