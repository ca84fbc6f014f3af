//! Everything the store holds, and how a batch changes it: with an undo log, so that a failing operation leaves no
//! trace.

use std::collections::HashMap;
use std::sync::Arc;

use kong_schema::Schema;
use serde_json::Value;

use super::table::{Pk, Table, pk_text};
use crate::apply::{self, RowTables};
use crate::relations::{Relations, UniqueKey, is_expired, primary_key_of};
use crate::{Change, CounterKey, Event, Row, StoreError, StoreResult, Write};

/// Rows removed per call of `purge`.
const PURGE_LIMIT: usize = 50_000;

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) relations: Arc<Relations>,
    pub(super) tables: HashMap<String, Table>,
    /// Events in order of `at`, with their expiry.
    pub(super) events: Vec<(Event, f64)>,
    /// Counters with their expiry.
    pub(super) counters: HashMap<CounterKey, (i64, f64)>,
}

impl State {
    pub(super) fn prepare(&mut self, schemas: &[Arc<Schema>]) -> StoreResult<()> {
        self.relations = Arc::new(self.relations.with(schemas)?);
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
        self.tables.get(&schema.name).ok_or_else(|| unprepared(schema))
    }

    /// All operations or none.
    pub(super) fn apply(&mut self, writes: Vec<Write>, now: f64) -> StoreResult<Vec<Change>> {
        let mut tables = Undoable {
            state: self,
            undo: Vec::new(),
        };
        let result = apply::apply(&mut tables, writes, now);
        if result.is_err() {
            tables.roll_back();
        }
        result
    }

    /// Removes what has expired, rows below an expired row included.
    pub(super) fn purge(&mut self, now: f64) -> u64 {
        let mut expired = Vec::new();
        for table in self.tables.values().filter(|t| t.schema.storage.ttl) {
            let rows = table.rows.values().filter(|row| is_expired(&table.schema, row, now));
            let room = PURGE_LIMIT.saturating_sub(expired.len());
            expired.extend(rows.take(room).map(|row| (table.schema.clone(), row.clone())));
        }
        let mut removed = 0;
        for (schema, row) in expired {
            let mut tables = Undoable {
                state: self,
                undo: Vec::new(),
            };
            // A row that something restricting hangs on stays, invisible.
            match apply::purge(&mut tables, &schema, &row, now) {
                Ok(()) => removed += 1,
                Err(_) => tables.roll_back(),
            }
        }
        let before = self.events.len() + self.counters.len();
        self.events.retain(|(_, expiry)| *expiry > now);
        self.counters.retain(|_, (_, expiry)| *expiry > now);
        removed + (before - self.events.len() - self.counters.len()) as u64
    }
}

fn unprepared(schema: &Schema) -> StoreError {
    StoreError::NeedsMigration(format!("the store was not prepared for {}", schema.name))
}

/// The tables, and what to put back in reverse order.
struct Undoable<'a> {
    state: &'a mut State,
    undo: Vec<(String, Pk, Option<Arc<Row>>)>,
}

impl Undoable<'_> {
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

    fn table(&mut self, schema: &Schema) -> StoreResult<&mut Table> {
        self.state
            .tables
            .get_mut(&schema.name)
            .ok_or_else(|| unprepared(schema))
    }
}

fn pk_of(schema: &Schema, row: &Row) -> Pk {
    let key = primary_key_of(schema, row);
    pk_text(schema.storage.primary_key.iter().filter_map(|f| key.get(f)))
}

impl RowTables for Undoable<'_> {
    fn relations(&self) -> Arc<Relations> {
        self.state.relations.clone()
    }

    fn get(&mut self, schema: &Arc<Schema>, primary: &[Value]) -> StoreResult<Option<Row>> {
        Ok(self
            .table(schema)?
            .rows
            .get(&pk_text(primary.iter()))
            .map(|row| (**row).clone()))
    }

    fn holder(&mut self, schema: &Arc<Schema>, unique: &UniqueKey, row: &Row) -> StoreResult<Option<Row>> {
        let table = self.table(schema)?;
        let pk = unique.value(schema, row).and_then(|value| table.holder(&value));
        Ok(pk.and_then(|pk| table.rows.get(pk)).map(|row| (**row).clone()))
    }

    fn below(&mut self, schema: &Arc<Schema>, field: &str, parent_id: &str) -> StoreResult<Vec<Row>> {
        let table = self.table(schema)?;
        let keys = table.below(field, parent_id).into_iter().flatten();
        Ok(keys
            .filter_map(|pk| table.rows.get(pk))
            .map(|row| (**row).clone())
            .collect())
    }

    fn put(&mut self, schema: &Arc<Schema>, _old: Option<&Row>, row: &Row) -> StoreResult<()> {
        let pk = pk_of(schema, row);
        let old = self.table(schema)?.put(pk.clone(), Arc::new(row.clone()));
        self.undo.push((schema.name.clone(), pk, old));
        Ok(())
    }

    fn take(&mut self, schema: &Arc<Schema>, row: &Row) -> StoreResult<()> {
        let pk = pk_of(schema, row);
        let old = self.table(schema)?.take(&pk);
        self.undo.push((schema.name.clone(), pk, old));
        Ok(())
    }
}
