//! A document to rows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use kong_schema::{Kind, Object, Operation, Schema, Unique};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::error::is_uuid;
use super::{DeclarativeError, EMPTY_HASH, FlattenedError, deterministic_id, paths};
use crate::Registry;

/// Versions of the format.
const VERSIONS: [&str; 3] = ["1.1", "2.1", "3.0"];
/// Stands for a reference while the entity is validated on its own.
const PLACEHOLDER: &str = "00000000-0000-4000-8000-000000000000";

/// What a load needs to know beside the document.
#[derive(Debug, Clone, Copy)]
pub struct LoadContext<'a> {
    /// Entities and plugins.
    pub registry: &'a Registry,
    /// Unix time in seconds, for time stamps.
    pub now: f64,
    /// Workspace of all rows.
    pub ws: Uuid,
}

/// A document that can be applied.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Rows in stored form, parents before children.
    pub rows: Vec<(Arc<Schema>, Object)>,
    /// The entities as `POST /config` shows them: by entity name and id, before hashing and normalisation on read.
    pub shown: BTreeMap<String, BTreeMap<String, Object>>,
}

impl Loaded {
    /// Hash of this configuration when it was read from `text`.
    pub fn hash(&self, text: &str) -> String {
        if self.rows.is_empty() {
            EMPTY_HASH.to_owned()
        } else {
            hash(text)
        }
    }
}

/// Hash of a text with entities in it: lower-case MD5. It tells documents apart, it protects nothing.
pub fn hash(text: &str) -> String {
    Md5::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// One entity of the document.
struct Node {
    schema: Arc<Schema>,
    /// Where it stands: `services`, 0, `routes`, 2.
    position: Vec<(String, usize)>,
    /// As submitted, without nested lists, comments and what is ignored.
    submitted: Object,
    /// Foreign field implied by nesting, and the parent's place in the list of nodes.
    parent: Option<(String, usize)>,
    id: String,
    /// With defaults, once complete; before that, errors found while collecting.
    entity: Object,
    /// `_comment` and `_ignore`.
    remarks: [Value; 2],
}

/// Checks a document and turns it into rows.
///
/// # Errors
/// [`DeclarativeError`] with everything that the first failing stage found.
pub fn load(mut document: Map<String, Value>, context: LoadContext<'_>) -> Result<Loaded, DeclarativeError> {
    let mut error = DeclarativeError::default();
    let (version, transform) = head(&mut document, &mut error);
    if error.fields.contains_key("_format_version") {
        // Without a version nothing else has a meaning.
        error.fields.retain(|name, _| name == "_format_version");
        error.unattributed = error.fields.clone();
        return Err(error);
    }
    if version != "3.0" {
        paths::migrate(&mut document);
    }

    let mut nodes = Vec::new();
    // The workspace that everything is in may be spelt out.
    document.remove("workspaces");
    for schema in context.registry.schemas() {
        if is_readable(schema)
            && let Some(list) = document.remove(&schema.name)
        {
            match items(list) {
                Ok(items) => {
                    for (n, item) in items.into_iter().enumerate() {
                        let position = vec![(schema.name.clone(), n)];
                        collect(schema, item, position, None, context.registry, &mut nodes, &mut error);
                    }
                }
                Err(text) => error.add_unattributed(&schema.name, text),
            }
        }
    }
    for name in document.keys() {
        error.add_unattributed(name, Value::from("unknown field"));
    }

    for at in 0..nodes.len() {
        complete(&mut nodes, at, &mut error, context);
    }
    if !error.is_empty() {
        return Err(error);
    }
    check_document(&mut nodes, &mut error);
    if !error.is_empty() {
        return Err(error);
    }
    finish(nodes, transform, context)
}

/// Takes the members with an underscore.
fn head(document: &mut Map<String, Value>, error: &mut DeclarativeError) -> (String, bool) {
    let version = match document.remove("_format_version") {
        None | Some(Value::Null) => {
            error.add_unattributed("_format_version", json!("required field missing"));
            String::new()
        }
        Some(Value::String(version)) => {
            if !VERSIONS.contains(&version.as_str()) {
                error.add_unattributed("_format_version", json!("expected one of: 1.1, 2.1, 3.0"));
            }
            version
        }
        Some(_) => {
            error.add_unattributed("_format_version", json!("expected a string"));
            String::new()
        }
    };
    let transform = match document.remove("_transform") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(transform)) => transform,
        Some(_) => {
            error.add_unattributed("_transform", json!("expected a boolean"));
            true
        }
    };
    for (name, text) in take_remarks(document).1 {
        error.add_unattributed(name, json!(text));
    }
    (version, transform)
}

/// Members in which a person may say something.
const REMARKS: [&str; 2] = ["_comment", "_ignore"];

/// Takes `_comment` and `_ignore`; answers them, and what is wrong with them.
fn take_remarks(members: &mut Object) -> ([Value; 2], Vec<(&'static str, &'static str)>) {
    let remarks = REMARKS.map(|name| members.remove(name).unwrap_or_default());
    let [comment, ignore] = &remarks;
    let mut wrong = Vec::new();
    if !comment.is_string() && !comment.is_null() {
        wrong.push((REMARKS[0], "expected a string"));
    }
    if !ignore.is_array() && !ignore.is_null() {
        wrong.push((REMARKS[1], "expected an array"));
    }
    (remarks, wrong)
}

/// Whether documents may hold the entity: the view of tags is made, not loaded.
fn is_readable(schema: &Schema) -> bool {
    schema.name != "tags"
}

fn items(list: Value) -> Result<Vec<Value>, Value> {
    match list {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items),
        Value::Object(members) if members.is_empty() => Ok(Vec::new()),
        _ => Err(json!("expected an array")),
    }
}

/// Adds an entity and what is nested in it.
fn collect(
    schema: &Arc<Schema>,
    item: Value,
    position: Vec<(String, usize)>,
    parent: Option<(String, usize)>,
    registry: &Registry,
    nodes: &mut Vec<Node>,
    error: &mut DeclarativeError,
) {
    let mut submitted = match item {
        Value::Object(members) => members,
        // The original has one table type: a list is an object with numbers for names.
        Value::Array(items) => items
            .into_iter()
            .enumerate()
            .map(|(n, v)| ((n + 1).to_string(), v))
            .collect(),
        _ => {
            put(&mut error.fields, &position, json!("expected a record"));
            error.flattened.push(FlattenedError {
                entity_type: schema.name.clone(),
                entity: Object::new(),
                errors: json!("expected a record"),
            });
            return;
        }
    };
    let mut own_errors = Object::new();
    let (remarks, wrong) = take_remarks(&mut submitted);
    for (name, text) in wrong {
        own_errors.insert(name.to_owned(), json!(text));
    }
    let at = nodes.len();
    let mut nested = Vec::new();
    for (child, foreign) in registry.children(&schema.name) {
        // A field of the entity's own goes first: `services` has no list called `tags`.
        let is_own = schema.field(&child.name).is_some_and(|def| !def.transient);
        if is_own || !is_readable(&child) {
            continue;
        }
        if let Some(list) = submitted.remove(&child.name) {
            match items(list) {
                Ok(items) => nested.push((child, foreign, items)),
                Err(text) => {
                    own_errors.insert(child.name.clone(), text);
                }
            }
        }
    }
    nodes.push(Node {
        schema: schema.clone(),
        position: position.clone(),
        submitted,
        parent,
        id: String::new(),
        entity: own_errors,
        remarks,
    });
    for (child, foreign, items) in nested {
        for (n, item) in items.into_iter().enumerate() {
            let mut position = position.clone();
            position.push((child.name.clone(), n));
            collect(
                &child,
                item,
                position,
                Some((foreign.clone(), at)),
                registry,
                nodes,
                error,
            );
        }
    }
}

/// Gives an entity its id and defaults, and validates it on its own.
fn complete(nodes: &mut [Node], at: usize, error: &mut DeclarativeError, context: LoadContext<'_>) {
    let Some(node) = nodes.get(at) else { return };
    let parent_id = node
        .parent
        .as_ref()
        .and_then(|(field, parent)| Some((field.clone(), nodes.get(*parent)?.id.clone())));
    let given_parent = node.parent.as_ref().and_then(|(field, parent)| {
        let id = nodes.get(*parent)?.submitted.get("id")?.as_str()?;
        is_uuid(id).then(|| (field.clone(), id.to_owned()))
    });
    let schema = node.schema.clone();
    let mut errors = node.entity.clone();
    let mut input = node.submitted.clone();
    let ttl = schema.storage.ttl.then(|| input.remove("ttl")).flatten();
    let id = match input.get("id") {
        Some(Value::String(id)) => id.clone(),
        // The parent has the list as a field of its own (`certificates.snis`): these get random ids.
        _ if is_listed_by_parent(nodes, at) => Uuid::new_v4().to_string(),
        _ => deterministic_id(
            &schema,
            &input,
            parent_id.as_ref().map(|(f, id)| (f.as_str(), id.as_str())),
        )
        .unwrap_or_else(Uuid::new_v4)
        .to_string(),
    };
    if schema.field("id").is_some() && !input.contains_key("id") {
        input.insert("id".to_owned(), Value::from(id.as_str()));
    }
    if let Some((field, parent_id)) = &parent_id {
        input.insert(
            field.clone(),
            json!({ "id": if is_uuid(parent_id) { parent_id } else { PLACEHOLDER } }),
        );
    }
    // Names are looked up later; until then a reference only has to be one.
    let mut references = Vec::new();
    for field in &schema.fields {
        if let Kind::Foreign(_) = field.def.kind
            && let Some(Value::String(text)) = input.get(&field.name)
        {
            references.push((field.name.clone(), text.clone()));
            input.insert(field.name.clone(), json!({ "id": PLACEHOLDER }));
        }
    }
    let mut entity = match schema.process(Operation::Insert, &input, None, context.now) {
        Ok(entity) => entity,
        Err(found) => {
            errors.extend(found);
            Object::new()
        }
    };
    if errors.is_empty()
        && let Err(found) = schema.validate(&entity, Operation::Insert, &input)
    {
        errors.extend(found);
    }
    match ttl {
        None | Some(Value::Null) => {}
        Some(ttl @ Value::Number(_)) => {
            entity.insert("ttl".to_owned(), ttl);
        }
        Some(_) => {
            errors.insert("ttl".to_owned(), json!("expected a number"));
        }
    }
    for (field, text) in references {
        entity.insert(field, Value::String(text));
    }
    let Some(node) = nodes.get_mut(at) else { return };
    node.id = entity.get("id").and_then(Value::as_str).map_or(id, str::to_owned);
    node.entity = entity;
    if !errors.is_empty() {
        let shown = with_parent(node, given_parent.as_ref());
        put(&mut error.fields, &node.position, Value::Object(errors.clone()));
        add_flattened(&node.schema, shown, errors, error);
    }
}

/// Whether the entity is nested in a list that its parent's schema declares.
fn is_listed_by_parent(nodes: &[Node], at: usize) -> bool {
    let declares = || {
        let node = nodes.get(at)?;
        let (_, parent) = node.parent.as_ref()?;
        nodes.get(*parent)?.schema.field(&node.schema.name)
    };
    declares().is_some()
}

/// The entity as submitted, with the reference that nesting implies where the parent was given a valid id.
fn with_parent(node: &Node, parent: Option<&(String, String)>) -> Object {
    let mut shown = node.submitted.clone();
    if let Some((field, id)) = parent {
        shown.insert(field.clone(), json!({ "id": id }));
    }
    shown
}

/// Adds one item for the entity, and one for each embedded entity that is at fault itself.
fn add_flattened(schema: &Schema, mut shown: Object, mut errors: Object, error: &mut DeclarativeError) {
    for field in &schema.fields {
        let Kind::Foreign(foreign) = &field.def.kind else {
            continue;
        };
        let Some(Value::Object(embedded)) = shown.get(&field.name).cloned() else {
            continue;
        };
        if let Some(found @ Value::Object(_)) = errors.remove(&field.name) {
            error.flattened.push(FlattenedError {
                entity_type: foreign.reference.clone(),
                entity: embedded.clone(),
                errors: found,
            });
        }
        match embedded.get("id") {
            Some(id) => shown.insert(field.name.clone(), json!({ "id": id })),
            None => shown.remove(&field.name),
        };
    }
    if !errors.is_empty() {
        error.flattened.push(FlattenedError {
            entity_type: schema.name.clone(),
            entity: shown,
            errors: Value::Object(errors),
        });
    }
}

/// References and uniqueness across the document.
fn check_document(nodes: &mut [Node], error: &mut DeclarativeError) {
    check_uniqueness(nodes, error);
    let mut by_id: HashSet<(String, String)> = HashSet::new();
    let mut by_key: HashMap<(String, String), String> = HashMap::new();
    for node in nodes.iter() {
        by_id.insert((node.schema.name.clone(), node.id.clone()));
        if let Some(key) = endpoint_value(node) {
            by_key.insert((node.schema.name.clone(), key.to_owned()), node.id.clone());
        }
    }
    for node in nodes.iter_mut() {
        let mut wrong = Vec::new();
        for field in &node.schema.fields {
            let Kind::Foreign(foreign) = &field.def.kind else {
                continue;
            };
            if node.parent.as_ref().is_some_and(|(implied, _)| *implied == field.name) {
                continue;
            }
            let (found, written) = match node.entity.get(&field.name) {
                Some(Value::String(text)) => {
                    let is_id = by_id.contains(&(foreign.reference.clone(), text.clone()));
                    let id = if is_id {
                        Some(text)
                    } else {
                        by_key.get(&(foreign.reference.clone(), text.clone()))
                    };
                    (id.cloned(), text.clone())
                }
                Some(Value::Object(key)) => {
                    let id = key.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                    let is_known = by_id.contains(&(foreign.reference.clone(), id.clone()));
                    (is_known.then_some(id), Value::Object(key.clone()).to_string())
                }
                _ => continue,
            };
            match found {
                Some(id) => {
                    node.entity.insert(field.name.clone(), json!({ "id": id }));
                }
                None => wrong.push(Value::from(format!(
                    "invalid reference '{}: {written}' (no such entry in '{}')",
                    field.name, foreign.reference
                ))),
            }
        }
        if !wrong.is_empty() {
            let key = endpoint_value(node).unwrap_or(&node.id).to_owned();
            put_named(&mut error.fields, &node.schema.name, &key, Value::Array(wrong.clone()));
            error.flattened.push(FlattenedError {
                entity_type: node.schema.name.clone(),
                entity: node.submitted.clone(),
                errors: Value::Array(wrong),
            });
        }
    }
}

fn endpoint_value(node: &Node) -> Option<&str> {
    node.entity.get(node.schema.storage.endpoint_key.as_deref()?)?.as_str()
}

fn check_uniqueness(nodes: &[Node], error: &mut DeclarativeError) {
    let mut ids = HashSet::new();
    let mut values = HashSet::new();
    for node in nodes {
        let name = &node.schema.name;
        let text = |what: &str, value: &str| {
            json!(format!(
                "uniqueness violation: '{name}' entity with {what} set to '{value}' already declared"
            ))
        };
        let mut report = |found: Value| {
            error.flattened.push(FlattenedError {
                entity_type: name.clone(),
                entity: node.submitted.clone(),
                errors: found,
            });
        };
        if !ids.insert((name.as_str(), node.id.as_str())) {
            let found = text("primary key", &node.id);
            report(found.clone());
            put(&mut error.fields, &node.position, found);
            continue;
        }
        let endpoint = node.schema.storage.endpoint_key.as_deref();
        for field in node.schema.fields.iter().filter(|field| field.def.unique != Unique::No) {
            let Some(value) = node.entity.get(&field.name).and_then(Value::as_str) else {
                continue;
            };
            if values.insert((name.as_str(), field.name.as_str(), value)) {
                continue;
            }
            let found = text(&field.name, value);
            report(found.clone());
            if endpoint == Some(field.name.as_str()) {
                // At its position in its own list, wherever that list is.
                let at = node.position.last().map_or(0, |(_, n)| *n);
                put(&mut error.fields, &[(name.clone(), at)], found);
            } else {
                let key = endpoint_value(node).unwrap_or(&node.id);
                put_named(&mut error.fields, name, key, found);
            }
        }
    }
}

/// Puts an error at a position: `services`, 1, `routes`, 0.
fn put(fields: &mut Object, position: &[(String, usize)], found: Value) {
    let Some(((name, n), rest)) = position.split_first() else {
        return;
    };
    let list = fields.entry(name.clone()).or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(items) = list else { return };
    while items.len() <= *n {
        items.push(Value::Null);
    }
    let Some(item) = items.get_mut(*n) else { return };
    if rest.is_empty() {
        match (item, found) {
            (Value::Object(members), Value::Object(more)) => members.extend(more),
            (item, found) => *item = found,
        }
    } else {
        if !item.is_object() {
            *item = json!({});
        }
        if let Value::Object(members) = item {
            put(members, rest, found);
        }
    }
}

/// Puts an error under a name instead of a position.
fn put_named(fields: &mut Object, entity: &str, key: &str, found: Value) {
    let list = fields.entry(entity.to_owned()).or_insert_with(|| json!({}));
    if !list.is_object() {
        *list = json!({});
    }
    if let Value::Object(members) = list {
        members.insert(key.to_owned(), found);
    }
}

/// Hashes what has to be hashed and orders the rows.
fn finish(nodes: Vec<Node>, transform: bool, context: LoadContext<'_>) -> Result<Loaded, DeclarativeError> {
    let mut loaded = Loaded::default();
    let ids: Vec<String> = nodes.iter().map(|node| node.id.clone()).collect();
    let parents: Vec<Arc<Schema>> = nodes.iter().map(|node| node.schema.clone()).collect();
    let order: HashMap<&str, usize> = context
        .registry
        .schemas()
        .iter()
        .enumerate()
        .map(|(n, schema)| (schema.name.as_str(), n))
        .collect();
    let mut error = DeclarativeError::default();
    let mut rows = Vec::with_capacity(nodes.len());
    for mut node in nodes {
        if let Some((field, parent)) = &node.parent
            && let Some(id) = ids.get(*parent)
        {
            node.entity.insert(field.clone(), json!({ "id": id }));
        }
        show(&node, &ids, &parents, &mut loaded.shown);
        let submitted = node.submitted_with(&ids);
        if transform && let Err(failure) = node.schema.transform(&mut node.entity, &submitted, Operation::Insert) {
            put(
                &mut error.fields,
                &node.position,
                json!({ "@entity": [failure.to_string()] }),
            );
            continue;
        }
        if node.schema.storage.workspaceable {
            node.entity
                .insert("ws_id".to_owned(), Value::from(context.ws.to_string()));
        }
        if node.schema.storage.ttl && !node.entity.contains_key("ttl") {
            node.entity.insert("ttl".to_owned(), Value::Null);
        }
        rows.push((node.schema, node.entity));
    }
    if !error.is_empty() {
        return Err(error);
    }
    rows.sort_by_key(|(schema, _)| order.get(schema.name.as_str()).copied().unwrap_or(usize::MAX));
    loaded.rows = rows;
    Ok(loaded)
}

/// Adds an entity to what the client is shown.
fn show(node: &Node, ids: &[String], schemas: &[Arc<Schema>], shown: &mut BTreeMap<String, BTreeMap<String, Object>>) {
    let mut entity = node.entity.clone();
    entity.remove("ws_id");
    if entity.get("ttl").is_some_and(Value::is_null) {
        entity.remove("ttl");
    }
    // A parent that has the list as a field of its own shows it as it was written, with remarks.
    if let Some((_, parent)) = &node.parent
        && let (Some(id), Some(schema)) = (ids.get(*parent), schemas.get(*parent))
        && schema.field(&node.schema.name).is_some()
        && let Some(parent) = shown.get_mut(&schema.name).and_then(|shown| shown.get_mut(id))
    {
        let mut item = entity.clone();
        item.extend(REMARKS.map(str::to_owned).into_iter().zip(node.remarks.clone()));
        match parent.get_mut(&node.schema.name) {
            Some(Value::Array(items)) => items.push(Value::Object(item)),
            _ => {
                parent.insert(node.schema.name.clone(), json!([item]));
            }
        }
    }
    shown
        .entry(node.schema.name.clone())
        .or_default()
        .insert(node.id.clone(), entity);
}

impl Node {
    /// What was submitted, with the implied reference: what transformations take their inputs from.
    fn submitted_with(&self, ids: &[String]) -> Object {
        let mut submitted = self.submitted.clone();
        if let Some((field, parent)) = &self.parent
            && let Some(id) = ids.get(*parent)
        {
            submitted.insert(field.clone(), json!({ "id": id }));
        }
        submitted
    }
}
