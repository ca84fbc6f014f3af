//! What schemas imply for every backend: which rows hang on which, and what must be unique.

use std::collections::HashMap;
use std::sync::Arc;

use kong_schema::{Kind, Object, OnDelete, Schema, Unique};
use serde_json::{Value, json};

use crate::cache_key::part;
use crate::{Row, StoreError, StoreResult, cache_key};

/// A foreign key seen from the parent's side.
#[derive(Debug, Clone)]
pub struct ChildRelation {
    /// Entity that references the parent.
    pub schema: Arc<Schema>,
    /// Its foreign field.
    pub field: String,
    /// What happens to it when the parent goes.
    pub on_delete: OnDelete,
}

/// The schemas a store was prepared with, and the foreign keys among them.
#[derive(Debug, Clone, Default)]
pub struct Relations {
    schemas: Vec<Arc<Schema>>,
    children: HashMap<String, Vec<ChildRelation>>,
}

impl Relations {
    /// Adds schemas, replacing those of the same name. Fails when a foreign field references an unknown entity.
    pub fn with(&self, schemas: &[Arc<Schema>]) -> StoreResult<Self> {
        let mut all = self.schemas.clone();
        for schema in schemas {
            match all.iter_mut().find(|s| s.name == schema.name) {
                Some(known) => *known = schema.clone(),
                None => all.push(schema.clone()),
            }
        }
        let mut children: HashMap<String, Vec<ChildRelation>> = HashMap::new();
        for schema in &all {
            for (field, foreign) in foreign_fields(schema) {
                if !all.iter().any(|s| s.name == foreign.reference) {
                    return Err(StoreError::Internal(format!(
                        "{}.{field} references {}, which is not among the prepared entities",
                        schema.name, foreign.reference
                    )));
                }
                children
                    .entry(foreign.reference.clone())
                    .or_default()
                    .push(ChildRelation {
                        schema: schema.clone(),
                        field: field.to_owned(),
                        on_delete: foreign.on_delete,
                    });
            }
        }
        Ok(Self { schemas: all, children })
    }

    /// All schemas, in the order in which they became known.
    pub fn schemas(&self) -> &[Arc<Schema>] {
        &self.schemas
    }

    /// Schema by name.
    pub fn schema(&self, name: &str) -> Option<&Arc<Schema>> {
        self.schemas.iter().find(|s| s.name == name)
    }

    /// Foreign keys that reference an entity. Restricting ones come first, so that a refused delete is refused early.
    pub fn children(&self, parent: &str) -> Vec<&ChildRelation> {
        let mut found: Vec<_> = self.children.get(parent).into_iter().flatten().collect();
        found.sort_by_key(|c| c.on_delete != OnDelete::Restrict);
        found
    }
}

/// The foreign fields of an entity.
pub fn foreign_fields(schema: &Schema) -> impl Iterator<Item = (&str, &kong_schema::Foreign)> {
    schema.fields.iter().filter_map(|f| match &f.def.kind {
        Kind::Foreign(foreign) if !f.def.transient => Some((f.name.as_str(), foreign)),
        _ => None,
    })
}

/// Id that a row's foreign field holds.
pub fn foreign_id<'a>(row: &'a Row, field: &str) -> Option<&'a str> {
    match row.get(field) {
        Some(Value::Object(o)) => o.get("id").and_then(Value::as_str),
        Some(Value::String(s)) => Some(s),
        _ => None,
    }
}

/// A uniqueness constraint beside the primary key. Null values never collide; neither does a composite key whose
/// parts are all null. Among composite keys null equals null.
#[derive(Debug, Clone, PartialEq)]
pub enum UniqueKey {
    /// One field.
    Field {
        /// Its name.
        name: String,
        /// Unique in the whole store, not only within a workspace.
        global: bool,
    },
    /// The fields of the cache key together, within a workspace.
    Composite,
}

impl UniqueKey {
    /// The constraints of an entity, in order of declaration.
    pub fn of(schema: &Schema) -> Vec<Self> {
        let mut keys: Vec<Self> = schema
            .fields
            .iter()
            .filter(|f| f.def.unique != Unique::No && !f.def.transient)
            .filter(|f| schema.storage.primary_key != [f.name.clone()])
            .map(|f| UniqueKey::Field {
                name: f.name.clone(),
                global: f.def.unique == Unique::Global || !schema.storage.workspaceable,
            })
            .collect();
        let covered = match schema.storage.cache_key.as_slice() {
            [] => true,
            [one] => {
                schema.storage.primary_key == [one.clone()] || schema.field(one).is_some_and(|d| d.unique != Unique::No)
            }
            _ => false,
        };
        if !covered {
            keys.push(UniqueKey::Composite);
        }
        keys
    }

    /// What two rows may not have in common; `None` when the row is not subject to the constraint. Rows of another
    /// workspace get other values where the constraint is per workspace.
    pub fn value(&self, schema: &Schema, row: &Row) -> Option<String> {
        match self {
            UniqueKey::Field { name, global } => {
                let value = row.get(name).filter(|v| !v.is_null())?;
                let ws = if *global { String::new() } else { part(row.get("ws_id")) };
                Some(format!("{name}\0{ws}\0{}", part(Some(value))))
            }
            UniqueKey::Composite => {
                let bound = schema.storage.cache_key.iter().any(|f| !part(row.get(f)).is_empty());
                bound.then(|| cache_key(schema, row))
            }
        }
    }

    /// The fields as an error reports them.
    pub fn report(&self, schema: &Schema, row: &Row) -> Object {
        let field = |name: &String| (name.clone(), row.get(name).cloned().unwrap_or(Value::Null));
        match self {
            UniqueKey::Field { name, .. } => std::iter::once(field(name)).collect(),
            UniqueKey::Composite => schema.storage.cache_key.iter().map(field).collect(),
        }
    }
}

/// Primary key fields of a row, for errors.
pub fn primary_key_of(schema: &Schema, row: &Row) -> Object {
    schema
        .storage
        .primary_key
        .iter()
        .map(|f| (f.clone(), row.get(f).cloned().unwrap_or(Value::Null)))
        .collect()
}

/// The error for a foreign field that points nowhere.
pub fn foreign_violation(schema: &Schema, field: &str, reference: &str, id: &str) -> StoreError {
    let key = match json!({ "id": id }) {
        Value::Object(key) => key,
        _ => Object::new(),
    };
    StoreError::ForeignKey {
        entity: schema.name.clone(),
        field: field.into(),
        reference: reference.into(),
        key,
    }
}

/// Makes a row complete for storage: every stored field present, `ws_id` set or removed, `ttl` present on TTL entities.
pub fn normalize(schema: &Schema, ws: crate::WorkspaceId, mut row: Row) -> Row {
    for field in schema.fields.iter().filter(|f| !f.def.transient) {
        if !row.contains_key(&field.name) {
            row.insert(field.name.clone(), Value::Null);
        }
    }
    row.retain(|name, _| name == "ttl" || schema.field(name).is_some_and(|d| !d.transient));
    if schema.storage.ttl {
        row.entry("ttl").or_insert(Value::Null);
    } else if schema.field("ttl").is_none() {
        row.remove("ttl");
    }
    if schema.storage.workspaceable {
        row.insert("ws_id".into(), Value::String(ws.to_string()));
    }
    row
}

/// Whether a row's expiry has passed at `now` (Unix seconds).
pub fn is_expired(schema: &Schema, row: &Row, now: f64) -> bool {
    schema.storage.ttl && row.get("ttl").and_then(Value::as_f64).is_some_and(|ttl| ttl <= now)
}

/// Unix seconds of this machine's clock.
pub fn unix_now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}
