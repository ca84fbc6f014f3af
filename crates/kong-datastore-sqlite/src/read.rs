//! Selecting and paging, on a reader's connection.

use kong_datastore::apply::primary_values;
use kong_datastore::{
    Key, Page, PageQuery, Row, StoreError, TagFilter, TagPage, TagQuery, TagRow, UniqueKey, WorkspaceId, unix_now,
};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use serde_json::Value;

use crate::layout::{Layout, column_name, quote};
use crate::tables::{form_of, holder_query, primary_parameters};
use crate::values::{row_from_sql, to_sql};

/// A query in the making.
#[derive(Default)]
struct Query {
    conditions: Vec<String>,
    parameters: Vec<Sql>,
}

impl Query {
    /// Binds a value and returns its place.
    fn bind(&mut self, value: Sql) -> String {
        self.parameters.push(value);
        format!("?{}", self.parameters.len())
    }

    fn text(&mut self, value: &str) -> String {
        self.bind(Sql::Text(value.to_owned()))
    }

    fn require(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    fn conditions(&self) -> String {
        if self.conditions.is_empty() {
            "1".into()
        } else {
            self.conditions.join(" AND ")
        }
    }
}

/// Either what SQLite or what the query got wrong.
pub(crate) enum ReadError {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

pub(crate) fn select(
    connection: &Connection,
    layout: &Layout,
    ws: WorkspaceId,
    key: &Key,
) -> Result<Option<Row>, ReadError> {
    let schema = &layout.schema;
    let ws_text = ws.to_string();
    let mut global = !schema.storage.workspaceable;
    let (sql, parameters) = match key {
        Key::Primary(_) => (
            layout.by_primary.clone(),
            primary_parameters(layout, primary_values(schema, key)?),
        ),
        Key::Unique { field, value } => {
            let unique = UniqueKey::of(schema)
                .into_iter()
                .find(|k| matches!(k, UniqueKey::Field { name, .. } if name == field));
            let unique =
                unique.ok_or_else(|| StoreError::Internal(format!("{}.{field} is not unique", schema.name)))?;
            global |= matches!(unique, UniqueKey::Field { global: true, .. });
            let probe = Row::from_iter([
                (field.clone(), value.clone()),
                ("ws_id".into(), Value::String(ws_text.clone())),
            ]);
            holder_query(layout, &unique, &probe)
        }
        Key::Cache(values) => {
            let fields = schema.storage.cache_key.iter().cloned().zip(values.iter().cloned());
            let probe: Row = fields
                .chain([("ws_id".into(), Value::String(ws_text.clone()))])
                .collect();
            let unique = match schema.storage.cache_key.as_slice() {
                [one] if schema.field(one).is_some() => UniqueKey::of(schema)
                    .into_iter()
                    .find(|k| matches!(k, UniqueKey::Field { name, .. } if name == one))
                    .unwrap_or(UniqueKey::Composite),
                _ => UniqueKey::Composite,
            };
            holder_query(layout, &unique, &probe)
        }
    };
    let row = connection
        .prepare_cached(&sql)?
        .query_row(params_from_iter(parameters), |row| row_from_sql(layout, row))
        .optional()?;
    Ok(row.filter(|row| {
        (global || row.get("ws_id").and_then(Value::as_str) == Some(ws_text.as_str()))
            && !kong_datastore::is_expired(schema, row, unix_now())
    }))
}

pub(crate) fn page(connection: &Connection, layout: &Layout, query: &PageQuery) -> Result<Page, ReadError> {
    let size = query.size.clamp(1, i64::MAX as usize - 1);
    let (sql, parameters) = page_query(layout, query, size + 1)?;
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(parameters), |row| row_from_sql(layout, row))?;
    let mut rows = rows.collect::<rusqlite::Result<Vec<Row>>>()?;
    let more = rows.len() > size;
    rows.truncate(size);
    let next = rows.last().filter(|_| more).map(|row| {
        layout
            .schema
            .storage
            .primary_key
            .iter()
            .map(|f| row.get(f).cloned().unwrap_or(Value::Null))
            .collect()
    });
    Ok(Page { rows, next })
}

/// The statement of a page. Every shape reads an index in the order of the primary key, from the token on, and stops
/// after `limit` rows.
fn page_query(layout: &Layout, page: &PageQuery, limit: usize) -> Result<(String, Vec<Sql>), StoreError> {
    let schema = &layout.schema;
    let mut query = Query::default();
    let ws = if schema.storage.workspaceable {
        page.ws.to_string()
    } else {
        String::new()
    };
    if schema.storage.workspaceable {
        let place = query.text(&ws);
        query.require(format!("t.\"ws_id\" = {place}"));
    }
    if schema.storage.ttl {
        let place = query.bind(Sql::Real(unix_now()));
        query.require(format!("(t.\"ttl\" IS NULL OR t.\"ttl\" > {place})"));
    }
    if let Some((field, id)) = &page.by_foreign {
        let column = quote(&column_name(schema, field));
        let place = query.text(id);
        query.require(format!("t.{column} = {place}"));
    }
    let primary = layout
        .primary
        .iter()
        .map(|p| format!("t.{p}"))
        .collect::<Vec<_>>()
        .join(", ");
    let after = match &page.after {
        None => None,
        Some(token) if token.len() == layout.primary.len() => {
            let fields = schema.storage.primary_key.iter().zip(token);
            let places: Vec<String> = fields.map(|(f, v)| query.bind(to_sql(form_of(layout, f), v))).collect();
            query.require(format!("({primary}) > ({})", places.join(", ")));
            places.first().cloned()
        }
        Some(_) => {
            return Err(StoreError::Internal(format!(
                "a page token that is not one of {}",
                schema.name
            )));
        }
    };
    let (mut source, mut order) = (format!("{} t", layout.table), primary.clone());
    if let Some(filter) = page.tags.as_ref().filter(|_| layout.has_tags) {
        let (name, ws) = (query.text(schema.table()), query.text(&ws));
        let tagged = |alias: &str, place: &str| {
            let from = after
                .as_ref()
                .map(|a| format!(" AND {alias}.entity_id > {a}"))
                .unwrap_or_default();
            format!("{alias}.entity_name = {name} AND {alias}.ws_id = {ws} AND {alias}.tag = {place}{from}")
        };
        let (TagFilter::All(tags) | TagFilter::Any(tags)) = filter;
        let places: Vec<String> = tags.iter().map(|tag| query.text(tag)).collect();
        match (filter, places.split_first()) {
            (_, None) => query.require("0".into()),
            (TagFilter::All(_), Some((first, rest))) => {
                // The side table leads: it is in the order of the entities' ids.
                source = format!("tags g CROSS JOIN {} t ON t.\"id\" = g.entity_id", layout.table);
                order = "g.entity_id".to_owned();
                query.require(tagged("g", first));
                for place in rest {
                    let also = tagged("h", place);
                    query.require(format!(
                        "EXISTS (SELECT 1 FROM tags h WHERE {also} AND h.entity_id = t.\"id\")"
                    ));
                }
            }
            (TagFilter::Any(_), Some(_)) => {
                // Without further filters no more than `limit` ids of each tag can matter.
                let cut = match schema.storage.ttl || page.by_foreign.is_some() {
                    true => String::new(),
                    false => format!(" ORDER BY g.entity_id LIMIT {limit}"),
                };
                let part = |p: &String| {
                    format!(
                        "SELECT * FROM (SELECT g.entity_id FROM tags g WHERE {}{cut})",
                        tagged("g", p)
                    )
                };
                let parts: Vec<String> = places.iter().map(part).collect();
                query.require(format!("t.\"id\" IN ({})", parts.join(" UNION ")));
            }
        }
    } else if page.tags.is_some() {
        query.require("0".into());
    }
    let sql = format!(
        "SELECT {} FROM {source} WHERE {} ORDER BY {order} LIMIT {limit}",
        layout.selection,
        query.conditions()
    );
    Ok((sql, query.parameters))
}

pub(crate) fn tags(connection: &Connection, query: &TagQuery) -> Result<TagPage, ReadError> {
    let size = query.size.clamp(1, i64::MAX as usize - 1);
    let (id, tag) = query.after.clone().unwrap_or_default();
    let only = if query.tag.is_some() {
        "tag = ?5 AND"
    } else {
        "?5 IS NULL AND"
    };
    let sql = format!(
        "SELECT tag, entity_name, entity_id FROM tags WHERE {only} (entity_id, tag) > (?1, ?2) \
         AND ws_id IN ('', ?3) AND (ttl IS NULL OR ttl > ?4) ORDER BY entity_id, tag LIMIT ?6"
    );
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![id, tag, query.ws.to_string(), unix_now(), query.tag, limit],
        |row| {
            Ok(TagRow {
                tag: row.get(0)?,
                entity_name: row.get(1)?,
                entity_id: row.get(2)?,
            })
        },
    )?;
    let mut rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = rows.len() > size;
    rows.truncate(size);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|r| (r.entity_id.clone(), r.tag.clone()));
    Ok(TagPage { rows, next })
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
