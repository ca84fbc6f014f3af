//! The entities of a document as they stand in it, nested ones included.

use std::sync::Arc;

use kong_schema::{Object, Schema};
use serde_json::{Value, json};

use super::report::put;
use super::{DeclarativeError, FlattenedError};
use crate::Registry;

/// One entity of the document.
pub(super) struct Node {
    pub(super) schema: Arc<Schema>,
    /// Where it stands: `services`, 0, `routes`, 2.
    pub(super) position: Vec<(String, usize)>,
    /// As submitted, without nested lists, comments and what is ignored.
    pub(super) submitted: Object,
    /// Foreign field implied by nesting, and the parent's place in the list of nodes.
    pub(super) parent: Option<(String, usize)>,
    pub(super) id: String,
    /// With defaults, once complete; before that, errors found while collecting.
    pub(super) entity: Object,
    /// `_comment` and `_ignore`.
    pub(super) remarks: [Value; 2],
}

impl Node {
    /// What was submitted, with the implied reference: what transformations take their inputs from.
    pub(super) fn submitted_with(&self, ids: &[String]) -> Object {
        let mut submitted = self.submitted.clone();
        if let Some((field, parent)) = &self.parent
            && let Some(id) = ids.get(*parent)
        {
            submitted.insert(field.clone(), json!({ "id": id }));
        }
        submitted
    }
}

/// Members in which a person may say something.
pub(super) const REMARKS: [&str; 2] = ["_comment", "_ignore"];

/// Takes `_comment` and `_ignore`; answers them, and what is wrong with them.
pub(super) fn take_remarks(members: &mut Object) -> ([Value; 2], Vec<(&'static str, &'static str)>) {
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
pub(super) fn is_readable(schema: &Schema) -> bool {
    schema.name != "tags"
}

pub(super) fn items(list: Value) -> Result<Vec<Value>, Value> {
    match list {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items),
        Value::Object(members) if members.is_empty() => Ok(Vec::new()),
        _ => Err(json!("expected an array")),
    }
}

/// Adds an entity and what is nested in it.
pub(super) fn collect(
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
