//! Bundled plugins whose behaviour is not built yet. Their schemas and entities are complete, so configurations that
//! use them are checked, stored and shown as always; but a request that would run one gets a 500 and a line in the
//! log, because letting it pass would silently drop what the plugin was configured for.
//!
//! What a schema can say in a document stands in `schemas/<name>.json`, the functions that a document cannot carry in
//! [`rules`]. A plugin leaves this module when it is built: its kind takes precedence over the one here, whose row and
//! document can then be deleted.

mod lua_syntax;
mod rules;
mod table;

use std::sync::Arc;

use kong_plugin::context::Access;
use kong_plugin::{Descriptor, Instance, Phases, Plugin, PluginEnv, PluginError, PluginKind, Preread, Step};
use kong_schema::{DocumentError, Schema, from_document};
use thiserror::Error;

/// Schema of a plugin that cannot be made: a mistake in this module.
#[derive(Debug, Error)]
enum SchemaError {
    #[error("{0} is no JSON: {1}")]
    Json(&'static str, serde_json::Error),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("the rules of {0} name a field that its document does not have")]
    Rules(&'static str),
}

/// The kinds of this module.
pub(crate) fn kinds() -> Vec<Arc<dyn PluginKind>> {
    let mut kinds: Vec<Arc<dyn PluginKind>> = Vec::new();
    for row in table::ROWS {
        match schema(row) {
            Ok(schema) => kinds.push(Arc::new(Unbuilt {
                descriptor: Descriptor {
                    name: row.name.to_owned(),
                    version: "3.9.3".to_owned(),
                    priority: row.priority,
                    phases: Phases::ACCESS.with(Phases::PREREAD),
                    schema: Arc::new(schema),
                    entities: (row.entities)(),
                },
            })),
            Err(error) => tracing::error!("plugin '{}' is left out: {error}", row.name),
        }
    }
    kinds
}

fn schema(row: &table::Row) -> Result<Schema, SchemaError> {
    let document = serde_json::from_str(row.document).map_err(|error| SchemaError::Json(row.name, error))?;
    let mut schema = from_document(row.name, &document)?;
    (row.complete)(&mut schema).ok_or(SchemaError::Rules(row.name))?;
    Ok(schema)
}

struct Unbuilt {
    descriptor: Descriptor,
}

impl PluginKind for Unbuilt {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn schema_without_datastore(&self) -> Option<Arc<Schema>> {
        let mut schema = (*self.descriptor.schema).clone();
        rules::without_datastore(&mut schema)?;
        Some(Arc::new(schema))
    }

    fn instantiate(&self, instance: Instance, _env: &PluginEnv) -> Result<Arc<dyn Plugin>, PluginError> {
        let name = &self.descriptor.name;
        tracing::warn!(
            "plugin '{name}' ({}) is configured, but its behaviour is not built yet: the requests that it applies to \
             are answered with status 500",
            instance.id
        );
        Ok(Arc::new(Refusal))
    }
}

/// An instance: it fails every request. The pipeline logs the plugin and the instance with the text.
struct Refusal;

const TEXT: &str = "the behaviour of this plugin is not built yet";

impl Plugin for Refusal {
    fn access<'a>(&'a self, _cx: &'a mut Access<'_>) -> Step<'a> {
        Step::fail(TEXT)
    }

    fn preread<'a>(&'a self, _cx: &'a mut Preread<'_>) -> Step<'a> {
        Step::fail(TEXT)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_row_has_a_schema() {
        for row in table::ROWS {
            schema(row).unwrap();
        }
    }
}
