//! One entity's rows and their indices.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kong_schema::Schema;
use serde_json::Value;

use crate::Row;
use crate::cache_key::part;
use crate::relations::{UniqueKey, foreign_fields, foreign_id};

/// Text of a primary key; its order is the order of pages.
pub(super) type Pk = String;

/// Joins the values of a primary key.
pub(super) fn pk_text<'a>(values: impl Iterator<Item = &'a Value>) -> Pk {
    values.map(|v| part(Some(v))).collect::<Vec<_>>().join("\0")
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) schema: Arc<Schema>,
    pub(super) unique_keys: Vec<UniqueKey>,
    pub(super) rows: BTreeMap<Pk, Arc<Row>>,
    /// Value of a unique key → row.
    unique: HashMap<String, Pk>,
    /// (foreign field, parent id) → rows.
    foreign: HashMap<(String, String), BTreeSet<Pk>>,
    /// Tag → rows.
    tags: HashMap<String, BTreeSet<Pk>>,
}

impl Table {
    pub(super) fn new(schema: Arc<Schema>) -> Self {
        Self {
            unique_keys: UniqueKey::of(&schema),
            schema,
            rows: BTreeMap::new(),
            unique: HashMap::new(),
            foreign: HashMap::new(),
            tags: HashMap::new(),
        }
    }

    /// Takes over a new version of the schema.
    pub(super) fn reshape(&mut self, schema: Arc<Schema>) {
        let rows = std::mem::take(&mut self.rows);
        *self = Self::new(schema);
        for (pk, row) in rows {
            self.put(pk, row);
        }
    }

    /// Row that holds a unique value.
    pub(super) fn holder(&self, unique_value: &str) -> Option<&Pk> {
        self.unique.get(unique_value)
    }

    /// Keys of the rows below a parent.
    pub(super) fn below(&self, field: &str, parent: &str) -> Option<&BTreeSet<Pk>> {
        self.foreign.get(&(field.to_owned(), parent.to_owned()))
    }

    /// Keys of the rows that have a tag.
    pub(super) fn tagged(&self, tag: &str) -> Option<&BTreeSet<Pk>> {
        self.tags.get(tag)
    }

    /// Inserts or replaces, and returns what was there.
    pub(super) fn put(&mut self, pk: Pk, row: Arc<Row>) -> Option<Arc<Row>> {
        let old = self.take(&pk);
        for key in &self.unique_keys {
            if let Some(value) = key.value(&self.schema, &row) {
                self.unique.insert(value, pk.clone());
            }
        }
        for (field, _) in foreign_fields(&self.schema) {
            if let Some(id) = foreign_id(&row, field) {
                self.foreign
                    .entry((field.to_owned(), id.to_owned()))
                    .or_default()
                    .insert(pk.clone());
            }
        }
        for tag in tags_of(&row) {
            self.tags.entry(tag.to_owned()).or_default().insert(pk.clone());
        }
        self.rows.insert(pk, row);
        old
    }

    /// Removes.
    pub(super) fn take(&mut self, pk: &str) -> Option<Arc<Row>> {
        let row = self.rows.remove(pk)?;
        for key in &self.unique_keys {
            if let Some(value) = key.value(&self.schema, &row)
                && self.unique.get(&value).is_some_and(|holder| holder == pk)
            {
                self.unique.remove(&value);
            }
        }
        for (field, _) in foreign_fields(&self.schema) {
            if let Some(id) = foreign_id(&row, field) {
                drop_from(&mut self.foreign, &(field.to_owned(), id.to_owned()), pk);
            }
        }
        for tag in tags_of(&row) {
            drop_from(&mut self.tags, &tag.to_owned(), pk);
        }
        Some(row)
    }
}

fn drop_from<K: std::hash::Hash + Eq>(index: &mut HashMap<K, BTreeSet<Pk>>, key: &K, pk: &str) {
    if let Some(set) = index.get_mut(key) {
        set.remove(pk);
        if set.is_empty() {
            index.remove(key);
        }
    }
}

/// Tags of a row.
pub(super) fn tags_of(row: &Row) -> impl Iterator<Item = &str> {
    row.get("tags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
