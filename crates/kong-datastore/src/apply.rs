//! How a batch changes tables, for stores that have exclusive access while they write (the in-memory store, SQLite):
//! uniqueness, foreign keys, delete rules, expiry. The store supplies six primitive operations and the undoing.

use std::sync::Arc;

use kong_schema::{OnDelete, Schema};
use serde_json::Value;

use crate::relations::{
    Relations, UniqueKey, foreign_fields, foreign_id, foreign_violation, is_expired, normalize, primary_key_of,
};
use crate::{Change, Key, Row, RowOp, StoreError, StoreResult, WorkspaceId, Write};

/// Foreign keys of entities do not nest deeper; a cycle among them ends here.
const MAX_DEPTH: usize = 32;

/// Primitive operations on rows. None of them looks at workspaces or at expiry.
pub trait RowTables {
    /// The foreign keys among the entities.
    fn relations(&self) -> Arc<Relations>;
    /// The row under a primary key, values in the schema's order.
    fn get(&mut self, schema: &Arc<Schema>, primary: &[Value]) -> StoreResult<Option<Row>>;
    /// The row that holds the same value of a unique key as `row`, if that is subject to it; maybe `row` itself.
    fn holder(&mut self, schema: &Arc<Schema>, unique: &UniqueKey, row: &Row) -> StoreResult<Option<Row>>;
    /// The rows whose foreign field references this id.
    fn below(&mut self, schema: &Arc<Schema>, field: &str, parent_id: &str) -> StoreResult<Vec<Row>>;
    /// Inserts, or replaces `old`, which has the same primary key.
    fn put(&mut self, schema: &Arc<Schema>, old: Option<&Row>, row: &Row) -> StoreResult<()>;
    /// Removes.
    fn take(&mut self, schema: &Arc<Schema>, row: &Row) -> StoreResult<()>;
}

/// Applies writes in order and returns the changes, children before parents. On an error the caller undoes whatever
/// was put or taken. `now`: Unix seconds; rows whose expiry has passed are removed where they are in the way.
pub fn apply(tables: &mut dyn RowTables, writes: Vec<Write>, now: f64) -> StoreResult<Vec<Change>> {
    let relations = tables.relations();
    let mut step = Step {
        tables,
        relations,
        changes: Vec::new(),
        now,
    };
    for write in writes {
        step.operation(write)?;
    }
    Ok(step.changes)
}

/// Removes an expired row with what hangs on it. Nothing is reported: it had ceased to exist.
pub fn purge(tables: &mut dyn RowTables, schema: &Arc<Schema>, row: &Row, now: f64) -> StoreResult<()> {
    let relations = tables.relations();
    Step {
        tables,
        relations,
        changes: Vec::new(),
        now,
    }
    .delete_unseen(schema, row, 0)
}

/// Whether a row exists for a workspace.
pub fn is_visible(schema: &Schema, row: &Row, ws: WorkspaceId) -> bool {
    !schema.storage.workspaceable
        || row
            .get("ws_id")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            == Some(ws)
}

/// Values of a primary key.
pub fn primary_values<'a>(schema: &Schema, key: &'a Key) -> StoreResult<&'a [Value]> {
    match key {
        Key::Primary(values) if values.len() == schema.storage.primary_key.len() => Ok(values),
        other => Err(StoreError::Internal(format!(
            "{other:?} is not a primary key of {}",
            schema.name
        ))),
    }
}

struct Step<'a> {
    tables: &'a mut dyn RowTables,
    relations: Arc<Relations>,
    changes: Vec<Change>,
    now: f64,
}

impl Step<'_> {
    fn operation(&mut self, write: Write) -> StoreResult<()> {
        let Write { schema, ws, op } = write;
        match op {
            RowOp::Insert(row) => {
                let row = normalize(&schema, ws, row);
                match self.present(&schema, &own_primary(&schema, &row)?, 0)? {
                    Some(_) => Err(primary_key_violation(&schema, &row)),
                    None => self.store(&schema, None, row),
                }
            }
            RowOp::Upsert(row) => {
                let row = normalize(&schema, ws, row);
                match self.present(&schema, &own_primary(&schema, &row)?, 0)? {
                    Some(old) if !is_visible(&schema, &old, ws) => Err(primary_key_violation(&schema, &row)),
                    old => self.store(&schema, old, row),
                }
            }
            RowOp::Update { key, row } => {
                let primary = primary_values(&schema, &key)?;
                let Some(old) = self
                    .present(&schema, primary, 0)?
                    .filter(|old| is_visible(&schema, old, ws))
                else {
                    let key = schema
                        .storage
                        .primary_key
                        .iter()
                        .cloned()
                        .zip(primary.iter().cloned())
                        .collect();
                    return Err(StoreError::NotFound {
                        entity: schema.name.clone(),
                        key,
                    });
                };
                let mut row = normalize(&schema, ws, row);
                row.extend(primary_key_of(&schema, &old));
                self.store(&schema, Some(old), row)
            }
            RowOp::Delete { key } => {
                let primary = primary_values(&schema, &key)?;
                match self
                    .present(&schema, primary, 0)?
                    .filter(|old| is_visible(&schema, old, ws))
                {
                    Some(old) => self.delete(&schema, &old, 0),
                    None => Ok(()),
                }
            }
        }
    }

    /// The row under a key; an expired one is removed first.
    fn present(&mut self, schema: &Arc<Schema>, primary: &[Value], depth: usize) -> StoreResult<Option<Row>> {
        let found = self.tables.get(schema, primary)?;
        self.unexpired(schema, found, depth)
    }

    fn unexpired(&mut self, schema: &Arc<Schema>, row: Option<Row>, depth: usize) -> StoreResult<Option<Row>> {
        match row {
            Some(row) if is_expired(schema, &row, self.now) => {
                self.delete_unseen(schema, &row, depth + 1)?;
                Ok(None)
            }
            row => Ok(row),
        }
    }

    fn store(&mut self, schema: &Arc<Schema>, old: Option<Row>, row: Row) -> StoreResult<()> {
        self.check_foreign(schema, old.as_ref(), &row)?;
        self.check_unique(schema, old.as_ref(), &row)?;
        self.tables.put(schema, old.as_ref(), &row)?;
        self.changes.push(Change {
            schema: schema.clone(),
            old,
            new: Some(row),
        });
        Ok(())
    }

    fn check_foreign(&mut self, schema: &Arc<Schema>, old: Option<&Row>, row: &Row) -> StoreResult<()> {
        for (field, foreign) in foreign_fields(schema) {
            let Some(id) = foreign_id(row, field) else { continue };
            // What was there before was checked then, and its parent cannot have gone without it.
            if old.is_some_and(|old| foreign_id(old, field) == Some(id)) {
                continue;
            }
            let violation = || foreign_violation(schema, field, &foreign.reference, id);
            let parent = self
                .relations
                .schema(&foreign.reference)
                .cloned()
                .ok_or_else(violation)?;
            let found = self
                .present(&parent, &[Value::String(id.to_owned())], 0)?
                .ok_or_else(violation)?;
            let both_owned = parent.storage.workspaceable && schema.storage.workspaceable;
            if both_owned && found.get("ws_id") != row.get("ws_id") {
                return Err(violation());
            }
        }
        Ok(())
    }

    fn check_unique(&mut self, schema: &Arc<Schema>, old: Option<&Row>, row: &Row) -> StoreResult<()> {
        let own = primary_key_of(schema, row);
        for unique in UniqueKey::of(schema) {
            let value = unique.value(schema, row);
            if value.is_none() || old.is_some_and(|old| unique.value(schema, old) == value) {
                continue;
            }
            let holder = self
                .tables
                .holder(schema, &unique, row)?
                .filter(|h| primary_key_of(schema, h) != own);
            if self.unexpired(schema, holder, 0)?.is_some() {
                let fields = unique.report(schema, row);
                return Err(StoreError::Unique {
                    entity: schema.name.clone(),
                    fields,
                });
            }
        }
        Ok(())
    }

    fn delete(&mut self, schema: &Arc<Schema>, row: &Row, depth: usize) -> StoreResult<()> {
        self.release_children(schema, row, depth)?;
        self.tables.take(schema, row)?;
        self.changes.push(Change {
            schema: schema.clone(),
            old: Some(row.clone()),
            new: None,
        });
        Ok(())
    }

    /// Deletes an expired row. Rows that hang on it and have not expired themselves are reported as for any delete.
    fn delete_unseen(&mut self, schema: &Arc<Schema>, row: &Row, depth: usize) -> StoreResult<()> {
        self.release_children(schema, row, depth)?;
        self.tables.take(schema, row)
    }

    fn release_children(&mut self, schema: &Arc<Schema>, row: &Row, depth: usize) -> StoreResult<()> {
        if depth > MAX_DEPTH {
            return Err(StoreError::Internal(format!(
                "foreign keys around {} form a cycle",
                schema.name
            )));
        }
        let Some(id) = row.get("id").and_then(Value::as_str) else {
            return Ok(());
        };
        let relations = self.relations.clone();
        for child in relations.children(&schema.name) {
            for child_row in self.tables.below(&child.schema, &child.field, id)? {
                let Some(child_row) = self.unexpired(&child.schema, Some(child_row), depth)? else {
                    continue;
                };
                match child.on_delete {
                    OnDelete::Restrict => {
                        let (entity, by) = (schema.name.clone(), child.schema.name.clone());
                        return Err(StoreError::Restricted { entity, by });
                    }
                    OnDelete::Cascade => self.delete(&child.schema, &child_row, depth + 1)?,
                    OnDelete::Null => {
                        let mut new = child_row.clone();
                        new.insert(child.field.clone(), Value::Null);
                        self.store(&child.schema, Some(child_row), new)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn own_primary(schema: &Schema, row: &Row) -> StoreResult<Vec<Value>> {
    match Key::of_row(schema, row) {
        Some(Key::Primary(values)) => Ok(values),
        _ => Err(StoreError::Internal(format!(
            "a row of {} has no primary key",
            schema.name
        ))),
    }
}

fn primary_key_violation(schema: &Schema, row: &Row) -> StoreError {
    StoreError::PrimaryKey {
        entity: schema.name.clone(),
        key: primary_key_of(schema, row),
    }
}
