//! A document to rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kong_schema::{Object, Operation, Schema};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::complete::complete;
use super::node::{Node, REMARKS, collect, is_readable, items, take_remarks};
use super::references::check_document;
use super::report::put;
use super::{DeclarativeError, EMPTY_HASH, paths};
use crate::Registry;

/// Versions of the format.
const VERSIONS: [&str; 3] = ["1.1", "2.1", "3.0"];
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
