//! The primitive operations of a batch, inside the writer's transaction.

use std::path::Path;
use std::sync::Arc;

use kong_datastore::apply::RowTables;
use kong_datastore::{Relations, Row, StoreResult, UniqueKey};
use kong_schema::Schema;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params, params_from_iter};
use serde_json::Value;

use crate::catalog::Catalog;
use crate::error::explain;
use crate::layout::{Form, Layout, column_name, quote};
use crate::values::{composite, row_from_sql, row_to_sql, to_sql};

/// Tables as the writer sees them.
pub(crate) struct SqlTables<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) catalog: &'a Catalog,
    pub(crate) path: &'a Path,
}

/// Tags of a row.
fn tags_of(row: &Row) -> impl Iterator<Item = &str> {
    row.get("tags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

impl SqlTables<'_> {
    fn rows(&self, layout: &Layout, sql: &str, parameters: Vec<Sql>) -> StoreResult<Vec<Row>> {
        self.try_rows(layout, sql, parameters)
            .map_err(|e| explain(e, self.path))
    }

    fn try_rows(&self, layout: &Layout, sql: &str, parameters: Vec<Sql>) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        statement
            .query_map(params_from_iter(parameters), |row| row_from_sql(layout, row))?
            .collect()
    }

    fn execute(&self, sql: &str, parameters: impl IntoIterator<Item = Sql>) -> StoreResult<()> {
        let run = || {
            self.connection
                .prepare_cached(sql)?
                .execute(params_from_iter(parameters))
        };
        run().map(drop).map_err(|e| explain(e, self.path))
    }

    /// Brings the side table of tags from one row's to another's.
    fn retag(&self, layout: &Layout, old: Option<&Row>, new: Option<&Row>) -> rusqlite::Result<()> {
        let untouched = |o: &Row, n: &Row| ["tags", "ttl", "ws_id"].iter().all(|f| o.get(*f) == n.get(*f));
        if !layout.has_tags || old.zip(new).is_some_and(|(o, n)| untouched(o, n)) {
            return Ok(());
        }
        let name = layout.schema.table();
        let text = |row: &Row, field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(old) = old {
            let mut statement = self.connection.prepare_cached(
                "DELETE FROM tags WHERE entity_name = ?1 AND ws_id = ?2 AND tag = ?3 AND entity_id = ?4",
            )?;
            for tag in tags_of(old) {
                statement.execute(params![name, text(old, "ws_id"), tag, text(old, "id")])?;
            }
        }
        if let Some(new) = new {
            let mut statement = self.connection.prepare_cached(
                "INSERT OR REPLACE INTO tags (entity_name, ws_id, tag, entity_id, ttl) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for tag in tags_of(new) {
                let ttl = new.get("ttl").and_then(Value::as_f64);
                statement.execute(params![name, text(new, "ws_id"), tag, text(new, "id"), ttl])?;
            }
        }
        Ok(())
    }
}

/// Primary key of a row as parameters.
fn primary_of(layout: &Layout, row: &Row) -> Vec<Sql> {
    let value = |field: &String| to_sql(form_of(layout, field), row.get(field).unwrap_or(&Value::Null));
    layout.schema.storage.primary_key.iter().map(value).collect()
}

/// Form of a field's column.
pub(crate) fn form_of(layout: &Layout, field: &str) -> Form {
    layout
        .columns
        .iter()
        .find(|c| c.field.as_deref() == Some(field))
        .map_or(Form::Text, |c| c.form)
}

/// Parameters of a primary key given as values.
pub(crate) fn primary_parameters(layout: &Layout, values: &[Value]) -> Vec<Sql> {
    layout
        .schema
        .storage
        .primary_key
        .iter()
        .zip(values)
        .map(|(f, v)| to_sql(form_of(layout, f), v))
        .collect()
}

/// Statement and parameters that find the holder of `row`'s value of a unique key.
pub(crate) fn holder_query(layout: &Layout, unique: &UniqueKey, row: &Row) -> (String, Vec<Sql>) {
    let (condition, per_workspace) = layout.unique_condition(unique);
    let value = match unique {
        UniqueKey::Composite => composite(layout, row),
        UniqueKey::Field { name, .. } => to_sql(form_of(layout, name), row.get(name).unwrap_or(&Value::Null)),
    };
    let ws = row.get("ws_id").and_then(Value::as_str).unwrap_or_default();
    let parameters = [value]
        .into_iter()
        .chain(per_workspace.then(|| Sql::Text(ws.to_owned())))
        .collect();
    (
        format!("SELECT {} FROM {} t WHERE {condition}", layout.selection, layout.table),
        parameters,
    )
}

impl RowTables for SqlTables<'_> {
    fn relations(&self) -> Arc<Relations> {
        self.catalog.relations.clone()
    }

    fn get(&mut self, schema: &Arc<Schema>, primary: &[Value]) -> StoreResult<Option<Row>> {
        let layout = self.catalog.layout(schema)?;
        Ok(self
            .rows(layout, &layout.by_primary, primary_parameters(layout, primary))?
            .pop())
    }

    fn holder(&mut self, schema: &Arc<Schema>, unique: &UniqueKey, row: &Row) -> StoreResult<Option<Row>> {
        let layout = self.catalog.layout(schema)?;
        let (sql, parameters) = holder_query(layout, unique, row);
        Ok(self.rows(layout, &sql, parameters)?.pop())
    }

    fn below(&mut self, schema: &Arc<Schema>, field: &str, parent_id: &str) -> StoreResult<Vec<Row>> {
        let layout = self.catalog.layout(schema)?;
        let column = quote(&column_name(schema, field));
        let order = layout.primary.join(", ");
        let sql = format!(
            "SELECT {} FROM {} t WHERE t.{column} = ?1 ORDER BY {order}",
            layout.selection, layout.table
        );
        self.rows(layout, &sql, vec![Sql::Text(parent_id.to_owned())])
    }

    fn put(&mut self, schema: &Arc<Schema>, old: Option<&Row>, row: &Row) -> StoreResult<()> {
        let layout = self.catalog.layout(schema)?;
        let mut values = row_to_sql(layout, row);
        match old {
            None => self.execute(&layout.insert, values)?,
            Some(_) => {
                values.extend(primary_of(layout, row));
                self.execute(&layout.update, values)?;
            }
        }
        self.retag(layout, old, Some(row)).map_err(|e| explain(e, self.path))
    }

    fn take(&mut self, schema: &Arc<Schema>, row: &Row) -> StoreResult<()> {
        let layout = self.catalog.layout(schema)?;
        self.execute(&layout.delete, primary_of(layout, row))?;
        self.retag(layout, Some(row), None).map_err(|e| explain(e, self.path))
    }
}
