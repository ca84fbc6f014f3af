//! An entity of a document on its own: its id, its defaults, what is wrong with it.

use kong_schema::{Kind, Object, Operation};
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::is_uuid;
use super::node::Node;
use super::report::{add_flattened, put};
use super::{DeclarativeError, LoadContext, deterministic_id};

/// Stands for a reference while the entity is validated on its own.
const PLACEHOLDER: &str = "00000000-0000-4000-8000-000000000000";

/// Gives an entity its id and defaults, and validates it on its own.
pub(super) fn complete(nodes: &mut [Node], at: usize, error: &mut DeclarativeError, context: LoadContext<'_>) {
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
