//! Writing entities.

use std::sync::Arc;

use kong_schema::errors::ErrorObject;
use kong_schema::{Errors, Kind, Object, Operation, Schema};
use serde_json::Value;

use super::failure::{single, store_failure};
use super::key::canonical_uuid;
use super::{Dao, EntityKey, Proposal};
use crate::{Batch, Change, Event, Key, Row, RowOp, StoreError, Write, unix_now};

/// A write that passed every check but those of the store.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What the store is to do.
    pub write: Write,
    /// The row to be stored.
    pub row: Row,
    /// Members that are validated but not stored (`certificates.snis`).
    pub transient: Object,
}

/// What a refused write was about to do (code 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// POST.
    Create,
    /// PUT.
    Upsert,
    /// PATCH.
    Update,
    /// DELETE.
    Remove,
}

impl Verb {
    fn text(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Upsert => "create or update",
            Verb::Update => "update",
            Verb::Remove => "remove",
        }
    }
}

/// An upsert by endpoint key is a look-up and a write: another client may create the row in between, then the second
/// attempt finds it.
const UPSERT_ATTEMPTS: usize = 3;

impl Dao {
    /// Creates an entity (POST).
    pub async fn insert(&self, schema: &Arc<Schema>, input: Object) -> Result<Row, ErrorObject> {
        let prepared = self.prepare_insert(schema, input).await?;
        self.writable(Verb::Create, schema, None)?;
        self.commit_one(prepared).await
    }

    /// Creates or replaces the entity under a key (PUT).
    pub async fn upsert(&self, schema: &Arc<Schema>, key: &EntityKey, input: Object) -> Result<Row, ErrorObject> {
        let mut attempt = 1;
        loop {
            let prepared = self.prepare_upsert(schema, key, input.clone()).await?;
            self.writable(Verb::Upsert, schema, Some(key))?;
            let row = prepared.row.clone();
            match self.try_commit(vec![prepared.write]).await {
                Ok(changes) => return Ok(written_row(&changes, schema, row)),
                Err(StoreError::Unique { fields, .. }) if attempt < UPSERT_ATTEMPTS && fields == key.to_object() => {
                    attempt += 1;
                }
                Err(err) => return Err(store_failure(&err)),
            }
        }
    }

    /// Changes the entity under a key (PATCH).
    pub async fn update(&self, schema: &Arc<Schema>, key: &EntityKey, input: Object) -> Result<Row, ErrorObject> {
        let prepared = self.prepare_update(schema, key, input).await?;
        self.writable(Verb::Update, schema, Some(key))?;
        self.commit_one(prepared).await
    }

    /// Deletes the entity under a key with its cascade; false when there was none.
    pub async fn delete(&self, schema: &Arc<Schema>, key: &EntityKey) -> Result<bool, ErrorObject> {
        let Some(row) = self.select(schema, key).await? else {
            return Ok(false);
        };
        self.writable(Verb::Remove, schema, Some(key))?;
        let write = self.prepare_delete(schema, &row).await?;
        self.commit(vec![write]).await?;
        Ok(true)
    }

    /// Everything of [`insert`](Self::insert) but the write.
    pub async fn prepare_insert(&self, schema: &Arc<Schema>, input: Object) -> Result<Prepared, ErrorObject> {
        let row = self.checked(schema, Operation::Insert, input, None).await?;
        Ok(self.prepared(schema, row, RowOp::Insert))
    }

    /// Everything of [`upsert`](Self::upsert) but the write. The key wins over the same member of the body; an existing
    /// row that is addressed by its endpoint key keeps its id.
    pub async fn prepare_upsert(
        &self,
        schema: &Arc<Schema>,
        key: &EntityKey,
        mut input: Object,
    ) -> Result<Prepared, ErrorObject> {
        input.extend(key.to_object());
        let mut row = self.checked(schema, Operation::Upsert, input, None).await?;
        match key {
            EntityKey::Id(_) => Ok(self.prepared(schema, row, RowOp::Upsert)),
            EntityKey::Field { .. } => match self.select(schema, key).await? {
                Some(stored) => {
                    if let Some(id) = stored.get("id") {
                        row.insert("id".to_owned(), id.clone());
                    }
                    Ok(self.prepared(schema, row, RowOp::Upsert))
                }
                // Not an upsert: an id in the body that belongs to another row must not replace that one.
                None => Ok(self.prepared(schema, row, RowOp::Insert)),
            },
        }
    }

    /// Everything of [`update`](Self::update) but the write.
    pub async fn prepare_update(
        &self,
        schema: &Arc<Schema>,
        key: &EntityKey,
        input: Object,
    ) -> Result<Prepared, ErrorObject> {
        check_ttl(schema, &input)?;
        let Some(stored) = self.select(schema, key).await? else {
            return Err(missing(key));
        };
        self.prepare_update_of(schema, key, stored, input).await
    }

    /// [`prepare_update`](Self::prepare_update) of a row that was read already.
    pub async fn prepare_update_of(
        &self,
        schema: &Arc<Schema>,
        key: &EntityKey,
        stored: Row,
        input: Object,
    ) -> Result<Prepared, ErrorObject> {
        let sent_id = input.get("id").cloned();
        let mut row = self.checked(schema, Operation::Update, input, Some(&stored)).await?;
        // The id never changes: addressed by it, another one in the body means a row that is not there.
        if let (EntityKey::Id(id), Some(sent)) = (key, sent_id)
            && sent.as_str().and_then(canonical_uuid).as_ref() != Some(id)
        {
            return Err(missing(key));
        }
        if let Some(id) = stored.get("id") {
            row.insert("id".to_owned(), id.clone());
        }
        let Some(store_key) = Key::of_row(schema, &stored) else {
            return Err(ErrorObject::database_error(format!(
                "a row of {} has no primary key",
                schema.name
            )));
        };
        Ok(self.prepared(schema, row, |row| RowOp::Update { key: store_key, row }))
    }

    /// The deletion of a row that was read, once no rule objects.
    pub async fn prepare_delete(&self, schema: &Arc<Schema>, row: &Row) -> Result<Write, ErrorObject> {
        for rule in self.rules(schema) {
            rule.before_delete(self, row).await?;
        }
        let Some(key) = Key::of_row(schema, row) else {
            return Err(ErrorObject::database_error(format!(
                "a row of {} has no primary key",
                schema.name
            )));
        };
        Ok(self.write(schema, RowOp::Delete { key }))
    }

    /// Writes everything at once and waits until the node's own data plane sees it.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Change>, ErrorObject> {
        self.try_commit(writes).await.map_err(|err| store_failure(&err))
    }

    /// Tells every other node something that is no row change.
    pub async fn announce(&self, channel: &str, data: &str) -> Result<(), ErrorObject> {
        let node_id = self.inner.node_id;
        let events = vec![Event::new(node_id, channel, data)];
        let batch = Batch {
            node_id,
            writes: Vec::new(),
            events,
        };
        self.store().write(batch).await.map_err(|err| store_failure(&err))?;
        Ok(())
    }

    /// Refuses a write of a node without a database (code 12).
    pub fn writable(&self, verb: Verb, schema: &Schema, key: Option<&EntityKey>) -> Result<(), ErrorObject> {
        if !self.inner.read_only {
            return Ok(());
        }
        let by = match key {
            Some(EntityKey::Field { name, .. }) => format!(" by '{name}'"),
            _ => String::new(),
        };
        let message = format!(
            "cannot {} '{}' entities{by} when not using a database",
            verb.text(),
            schema.name
        );
        Err(ErrorObject::operation_unsupported(message))
    }

    /// The write of an operation on a row.
    pub fn write(&self, schema: &Arc<Schema>, op: RowOp) -> Write {
        Write {
            schema: Arc::clone(schema),
            ws: self.store().default_workspace(),
            op,
        }
    }

    fn prepared(&self, schema: &Arc<Schema>, mut row: Row, op: impl FnOnce(Row) -> RowOp) -> Prepared {
        let mut transient = Object::new();
        for field in schema.fields.iter().filter(|f| f.def.transient) {
            if let Some(value) = row.remove(&field.name) {
                transient.insert(field.name.clone(), value);
            }
        }
        Prepared {
            write: self.write(schema, op(row.clone())),
            row,
            transient,
        }
    }

    async fn commit_one(&self, prepared: Prepared) -> Result<Row, ErrorObject> {
        let schema = Arc::clone(&prepared.write.schema);
        let changes = self.commit(vec![prepared.write]).await?;
        Ok(written_row(&changes, &schema, prepared.row))
    }

    async fn try_commit(&self, writes: Vec<Write>) -> Result<Vec<Change>, StoreError> {
        let batch = Batch {
            node_id: self.inner.node_id,
            writes,
            events: Vec::new(),
        };
        let changes = self.store().write(batch).await?;
        if !changes.is_empty() {
            self.inner.listener.changed(&changes).await;
        }
        Ok(changes)
    }

    /// The whole row that a body makes, or why it makes none: options, references, rules, defaults, validation,
    /// derivations, in the original's order.
    async fn checked(
        &self,
        schema: &Schema,
        op: Operation,
        mut input: Object,
        stored: Option<&Row>,
    ) -> Result<Row, ErrorObject> {
        check_ttl(schema, &input)?;
        let references = references(schema, &input);
        self.resolve_foreign(schema, &mut input).await?;
        for rule in self.rules(schema) {
            rule.before_write(
                self,
                Proposal {
                    op,
                    input: &mut input,
                    stored,
                },
            )
            .await?;
        }
        let violation = |errors: Errors| ErrorObject::schema_violation(errors);
        let now = (unix_now() * 1000.0).floor() / 1000.0;
        let mut row = schema.process(op, &input, stored, now).map_err(violation)?;
        match stored {
            Some(stored) => {
                // What was sent decides whether all that a derivation needs was sent: a name is not an id.
                let mut sent = input.clone();
                sent.extend(references);
                schema.validate_update(&row, &sent, stored)
            }
            None => schema.validate(&row, op, &input),
        }
        .map_err(violation)?;
        schema.transform(&mut row, &input, op).map_err(|err| {
            tracing::error!(entity = schema.name, %err, "a value could not be derived");
            ErrorObject::transformation_error(err.to_string())
        })?;
        canonical_ids(schema, &mut row);
        Ok(row)
    }
}

/// References as the client wrote them.
fn references(schema: &Schema, input: &Object) -> Object {
    let foreign = schema.fields.iter().filter(|f| matches!(f.def.kind, Kind::Foreign(_)));
    foreign
        .filter_map(|field| Some((field.name.clone(), input.get(&field.name)?.clone())))
        .collect()
}

/// The row as the store wrote it.
fn written_row(changes: &[Change], schema: &Schema, row: Row) -> Row {
    let written = changes
        .iter()
        .rev()
        .find(|c| c.schema.name == schema.name)
        .and_then(|c| c.new.clone());
    written.unwrap_or(row)
}

fn check_ttl(schema: &Schema, input: &Object) -> Result<(), ErrorObject> {
    schema.validate_ttl(input).map_err(ErrorObject::invalid_options)
}

fn missing(key: &EntityKey) -> ErrorObject {
    match key {
        EntityKey::Id(id) => ErrorObject::not_found(single("id", id.clone())),
        EntityKey::Field { .. } => ErrorObject::not_found_by(key.to_object()),
    }
}

/// Ids are stored in lower case, whatever the client wrote.
fn canonical_ids(schema: &Schema, row: &mut Row) {
    for field in &schema.fields {
        let Some(value) = row.get_mut(&field.name) else {
            continue;
        };
        match &field.def.kind {
            Kind::String if field.def.uuid => canonical_id(value),
            Kind::Foreign(_) => {
                if let Some(id) = value.get_mut("id") {
                    canonical_id(id);
                }
            }
            Kind::Array(element) | Kind::Set(element) if element.uuid => {
                value.as_array_mut().into_iter().flatten().for_each(canonical_id);
            }
            _ => {}
        }
    }
}

fn canonical_id(value: &mut Value) {
    if let Some(id) = value.as_str().and_then(canonical_uuid) {
        *value = Value::String(id);
    }
}
