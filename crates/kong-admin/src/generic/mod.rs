//! Endpoints that every exposed entity has, generated from its schema (admin-api.md §3, §6).

pub(crate) mod collection;
pub(crate) mod entity;
pub(crate) mod nested;
pub(crate) mod page;
pub(crate) mod singleton;

use std::sync::Arc;

use kong_model::Registry;
use kong_schema::{Kind, Schema};

use crate::routes::Routes;

/// Adds the endpoints of every exposed entity.
pub(crate) fn add(routes: &mut Routes, registry: &Registry) {
    for schema in registry.schemas().iter().filter(|s| !s.admin.hidden) {
        let Some(path) = collection_path(schema) else { continue };
        let entity_path = format!("{path}/{{{}}}", schema.name);
        collection::add(routes, &path, schema);
        entity::add(routes, &entity_path, schema);
        for field in &schema.fields {
            let Kind::Foreign(foreign) = &field.def.kind else {
                continue;
            };
            let Some(parent) = registry.schema(&foreign.reference).filter(|p| !p.admin.hidden) else {
                continue;
            };
            let Some(parent_path) = collection_path(parent) else {
                continue;
            };
            singleton::add(
                routes,
                &format!("{entity_path}/{}", field.name),
                schema,
                &field.name,
                parent,
            );
            let relation = Arc::new(Relation {
                parent: Arc::clone(parent),
                child: Arc::clone(schema),
                field: field.name.clone(),
            });
            let segment = schema.admin.nested.as_deref().unwrap_or(&schema.name);
            nested::add(
                routes,
                &format!("{parent_path}/{{{}}}/{segment}", parent.name),
                &relation,
            );
        }
    }
}

/// Path of the top-level collection of an entity.
pub(crate) fn collection_path(schema: &Schema) -> Option<String> {
    schema.admin.collection.as_ref().map(|segment| format!("/{segment}"))
}

/// An entity below another one: `child.field` references `parent`.
#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) parent: Arc<Schema>,
    pub(crate) child: Arc<Schema>,
    pub(crate) field: String,
}
