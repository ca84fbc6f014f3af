//! Everything the store holds, and how a batch changes it: step by step with an undo log, so that a failing
//! operation leaves no trace.

use std::collections::HashMap;
use std::sync::Arc;

use kong_schema::{OnDelete, Schema};
use serde_json::Value;

use super::table::{Pk, Table, pk_text};
use crate::relations::{
    Relations, UniqueKey, foreign_fields, foreign_id, foreign_violation, is_expired, normalize, primary_key_of,
};
use crate::{Change, CounterKey, Event, Key, Row, RowOp, StoreError, StoreResult, WorkspaceId, Write};

/// Rows removed per call of `purge`.
const PURGE_LIMIT: usize = 50_000;

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) relations: Relations,
    pub(super) tables: HashMap<String, Table>,
    /// Events in order of `at`, with their expiry.
    pub(super) events: Vec<(Event, f64)>,
    /// Counters with their expiry.
    pub(super) counters: HashMap<CounterKey, (i64, f64)>,
}

/// A table's row before a step: what to put back.
type Undo = Vec<(String, Pk, Option<Arc<Row>>)>;

impl State {
    pub(super) fn prepare(&mut self, schemas: &[Arc<Schema>]) -> StoreResult<()> {
        self.relations = self.relations.with(schemas)?;
        for schema in schemas {
            match self.tables.get_mut(&schema.name) {
                Some(table) => table.reshape(schema.clone()),
                None => {
                    self.tables.insert(schema.name.clone(), Table::new(schema.clone()));
                }
            }
        }
        Ok(())
    }

    pub(super) fn table(&self, schema: &Schema) -> StoreResult<&Table> {
        self.tables
            .get(&schema.name)
            .ok_or_else(|| StoreError::NeedsMigration(format!("the store was not prepared for {}", schema.name)))
    }

    /// All operations or none.
    pub(super) fn apply(&mut self, writes: Vec<Write>, now: f64) -> StoreResult<Vec<Change>> {
        let mut step = Step {
            state: self,
            undo: Vec::new(),
            changes: Vec::new(),
            now,
        };
        for write in writes {
            if let Err(error) = step.operation(write) {
                step.roll_back();
                return Err(error);
            }
        }
        Ok(step.changes)
    }

    /// Removes what has expired, rows below an expired row included. Nothing is announced: it had ceased to exist.
    pub(super) fn purge(&mut self, now: f64) -> u64 {
        let mut expired = Vec::new();
        for table in self.tables.values().filter(|t| t.schema.storage.ttl) {
            let rows = table.rows.iter().filter(|(_, row)| is_expired(&table.schema, row, now));
            let room = PURGE_LIMIT.saturating_sub(expired.len());
            expired.extend(
                rows.take(room)
                    .map(|(pk, row)| (table.schema.clone(), pk.clone(), row.clone())),
            );
        }
        let mut removed = 0;
        for (schema, pk, row) in expired {
            let mut step = Step {
                state: self,
                undo: Vec::new(),
                changes: Vec::new(),
                now,
            };
            // A row that something restricting hangs on stays, invisible.
            match step.delete_unseen(&schema, &pk, &row) {
                Ok(()) => removed += 1,
                Err(_) => step.roll_back(),
            }
        }
        let before = self.events.len() + self.counters.len();
        self.events.retain(|(_, expiry)| *expiry > now);
        self.counters.retain(|_, (_, expiry)| *expiry > now);
        removed + (before - self.events.len() - self.counters.len()) as u64
    }
}

struct Step<'a> {
    state: &'a mut State,
    undo: Undo,
    changes: Vec<Change>,
    now: f64,
}

impl Step<'_> {
    fn roll_back(self) {
        for (table, pk, old) in self.undo.into_iter().rev() {
            if let Some(table) = self.state.tables.get_mut(&table) {
                match old {
                    Some(row) => drop(table.put(pk, row)),
                    None => drop(table.take(&pk)),
                }
            }
        }
    }

    fn put(&mut self, schema: &Schema, pk: Pk, row: Arc<Row>) {
        if let Some(table) = self.state.tables.get_mut(&schema.name) {
            let old = table.put(pk.clone(), row);
            self.undo.push((schema.name.clone(), pk, old));
        }
    }

    fn take(&mut self, schema: &Schema, pk: &Pk) {
        if let Some(table) = self.state.tables.get_mut(&schema.name) {
            let old = table.take(pk);
            self.undo.push((schema.name.clone(), pk.clone(), old));
        }
    }

    fn operation(&mut self, write: Write) -> StoreResult<()> {
        let Write { schema, ws, op } = write;
        match op {
            RowOp::Insert(row) => {
                let row = normalize(&schema, ws, row);
                let pk = self.state.table(&schema)?.pk_of(&row)?;
                if self.present(&schema, &pk)?.is_some() {
                    let key = primary_key_of(&schema, &row);
                    return Err(StoreError::PrimaryKey {
                        entity: schema.name.clone(),
                        key,
                    });
                }
                self.store(&schema, pk, None, row)
            }
            RowOp::Upsert(row) => {
                let row = normalize(&schema, ws, row);
                let pk = self.state.table(&schema)?.pk_of(&row)?;
                let old = self.present(&schema, &pk)?;
                if old.as_ref().is_some_and(|old| !visible(&schema, old, ws)) {
                    let key = primary_key_of(&schema, &row);
                    return Err(StoreError::PrimaryKey {
                        entity: schema.name.clone(),
                        key,
                    });
                }
                self.store(&schema, pk, old, row)
            }
            RowOp::Update { key, row } => {
                let pk = primary(&schema, &key)?;
                let Some(old) = self.present(&schema, &pk)?.filter(|old| visible(&schema, old, ws)) else {
                    return Err(not_found(&schema, &key));
                };
                let mut row = normalize(&schema, ws, row);
                for field in &schema.storage.primary_key {
                    row.insert(field.clone(), old.get(field).cloned().unwrap_or(Value::Null));
                }
                self.store(&schema, pk, Some(old), row)
            }
            RowOp::Delete { key } => {
                let pk = primary(&schema, &key)?;
                match self.present(&schema, &pk)?.filter(|old| visible(&schema, old, ws)) {
                    Some(old) => self.delete(&schema, &pk, &old),
                    None => Ok(()),
                }
            }
        }
    }

    /// The row under a key; an expired one is removed first, with what hangs on it.
    fn present(&mut self, schema: &Arc<Schema>, pk: &Pk) -> StoreResult<Option<Arc<Row>>> {
        let Some(row) = self.state.table(schema)?.rows.get(pk).cloned() else {
            return Ok(None);
        };
        if is_expired(schema, &row, self.now) {
            self.delete_unseen(schema, pk, &row)?;
            return Ok(None);
        }
        Ok(Some(row))
    }

    fn store(&mut self, schema: &Arc<Schema>, pk: Pk, old: Option<Arc<Row>>, row: Row) -> StoreResult<()> {
        self.check_foreign(schema, &row)?;
        self.check_unique(schema, &pk, &row)?;
        let row = Arc::new(row);
        self.put(schema, pk, row.clone());
        let old = old.map(|old| (*old).clone());
        self.changes.push(Change {
            schema: schema.clone(),
            old,
            new: Some((*row).clone()),
        });
        Ok(())
    }

    fn check_foreign(&mut self, schema: &Arc<Schema>, row: &Row) -> StoreResult<()> {
        let references: Vec<(String, String, String)> = foreign_fields(schema)
            .filter_map(|(field, f)| Some((field.into(), f.reference.clone(), foreign_id(row, field)?.to_owned())))
            .collect();
        for (field, reference, id) in references {
            let parent = self.state.relations.schema(&reference).cloned();
            let found = match parent {
                Some(parent) => {
                    let found = self.present(&parent, &id)?;
                    found.is_some_and(|found| {
                        !parent.storage.workspaceable
                            || !schema.storage.workspaceable
                            || found.get("ws_id") == row.get("ws_id")
                    })
                }
                None => false,
            };
            if !found {
                return Err(foreign_violation(schema, &field, &reference, &id));
            }
        }
        Ok(())
    }

    fn check_unique(&mut self, schema: &Arc<Schema>, pk: &Pk, row: &Row) -> StoreResult<()> {
        for key in UniqueKey::of(schema) {
            let Some(value) = key.value(schema, row) else { continue };
            let holder = self
                .state
                .table(schema)?
                .holder(&value)
                .filter(|holder| *holder != pk)
                .cloned();
            if let Some(holder) = holder
                && self.present(schema, &holder)?.is_some()
            {
                let fields = key.report(schema, row);
                return Err(StoreError::Unique {
                    entity: schema.name.clone(),
                    fields,
                });
            }
        }
        Ok(())
    }

    fn delete(&mut self, schema: &Arc<Schema>, pk: &Pk, row: &Arc<Row>) -> StoreResult<()> {
        let id = row.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        let relations: Vec<_> = self
            .state
            .relations
            .children(&schema.name)
            .into_iter()
            .cloned()
            .collect();
        for child in relations {
            let below: Vec<Pk> = self
                .state
                .table(&child.schema)?
                .below(&child.field, &id)
                .map(|set| set.iter().cloned().collect())
                .unwrap_or_default();
            for child_pk in below {
                let Some(child_row) = self.present(&child.schema, &child_pk)? else {
                    continue;
                };
                match child.on_delete {
                    OnDelete::Restrict => {
                        let (entity, by) = (schema.name.clone(), child.schema.name.clone());
                        return Err(StoreError::Restricted { entity, by });
                    }
                    OnDelete::Cascade => self.delete(&child.schema, &child_pk, &child_row)?,
                    OnDelete::Null => {
                        let mut new = (*child_row).clone();
                        new.insert(child.field.clone(), Value::Null);
                        self.check_unique(&child.schema, &child_pk, &new)?;
                        let new = Arc::new(new);
                        self.put(&child.schema, child_pk, new.clone());
                        self.changes.push(Change {
                            schema: child.schema.clone(),
                            old: Some((*child_row).clone()),
                            new: Some((*new).clone()),
                        });
                    }
                }
            }
        }
        self.take(schema, pk);
        self.changes.push(Change {
            schema: schema.clone(),
            old: Some((**row).clone()),
            new: None,
        });
        Ok(())
    }

    /// Deletes an expired row. It ceased to exist for everyone when it expired, so nothing is reported; rows that hang
    /// on it and have not expired themselves are reported as for any delete.
    fn delete_unseen(&mut self, schema: &Arc<Schema>, pk: &Pk, row: &Arc<Row>) -> StoreResult<()> {
        // Taken first, so that a cycle of references cannot lead back here.
        self.take(schema, pk);
        let before = self.changes.len();
        self.delete(schema, pk, row)?;
        self.changes.truncate(self.changes.len().saturating_sub(1).max(before));
        Ok(())
    }
}

/// Rows of another workspace do not exist for the writer.
pub(super) fn visible(schema: &Schema, row: &Row, ws: WorkspaceId) -> bool {
    !schema.storage.workspaceable
        || row
            .get("ws_id")
            .and_then(Value::as_str)
            .is_some_and(|text| text.parse() == Ok(ws))
}

pub(super) fn primary(schema: &Schema, key: &Key) -> StoreResult<Pk> {
    match key {
        Key::Primary(values) if values.len() == schema.storage.primary_key.len() => Ok(pk_text(values.iter())),
        other => Err(StoreError::Internal(format!(
            "{other:?} is not a primary key of {}",
            schema.name
        ))),
    }
}

fn not_found(schema: &Schema, key: &Key) -> StoreError {
    let values = match key {
        Key::Primary(values) => values.as_slice(),
        _ => &[],
    };
    let key = schema
        .storage
        .primary_key
        .iter()
        .cloned()
        .zip(values.iter().cloned())
        .collect();
    StoreError::NotFound {
        entity: schema.name.clone(),
        key,
    }
}
