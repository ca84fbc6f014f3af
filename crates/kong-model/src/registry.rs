//! The registry: every schema of a node, core entities first, then those of its plugins.

use std::sync::Arc;

use kong_schema::{Kind, Schema};

/// How routes are written and matched; it decides which fields they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RouterFlavor {
    /// Regular expressions with back-tracking; no wildcard SNIs.
    Traditional,
    /// Fields translated to expressions (default).
    #[default]
    TraditionalCompatible,
    /// `expression` and `priority` beside the fields.
    Expressions,
}

/// A plugin as the registry knows it.
#[derive(Debug, Clone)]
pub struct PluginSchema {
    /// Name, e.g. `key-auth`.
    pub name: String,
    /// Version, as `GET /` shows it.
    pub version: String,
    /// Order of execution.
    pub priority: i64,
    /// Sub-schema, see [`kong_schema::plugin_schema`].
    pub schema: Arc<Schema>,
}

/// A registry that cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Two schemas of one name.
    #[error("entity '{0}' is declared twice")]
    DuplicateEntity(String),
    /// Two plugins of one name.
    #[error("plugin '{0}' is declared twice")]
    DuplicatePlugin(String),
    /// A foreign field refers to a schema that is not there, or in a circle.
    #[error("field '{field}' of entity '{entity}' refers to '{reference}', which is not declared before it")]
    UnknownReference {
        /// Entity with the field.
        entity: String,
        /// The field.
        field: String,
        /// What it refers to.
        reference: String,
    },
}

/// Every schema of a node.
#[derive(Debug, Clone)]
pub struct Registry {
    schemas: Vec<Arc<Schema>>,
    plugins: Vec<PluginSchema>,
}

/// Collects what a [`Registry`] is made of.
#[derive(Debug, Clone)]
pub struct RegistryBuilder {
    flavor: RouterFlavor,
    plugins: Vec<PluginSchema>,
    entities: Vec<Arc<Schema>>,
    db_less: bool,
}

impl RegistryBuilder {
    /// The core entities for this router flavor.
    pub fn new(flavor: RouterFlavor) -> Self {
        Self {
            flavor,
            plugins: Vec::new(),
            entities: Vec::new(),
            db_less: false,
        }
    }

    /// Adds a plugin.
    #[must_use]
    pub fn plugin(mut self, plugin: PluginSchema) -> Self {
        self.plugins.push(plugin);
        self
    }

    /// Adds an entity of a plugin.
    #[must_use]
    pub fn entity(mut self, schema: Arc<Schema>) -> Self {
        self.entities.push(schema);
        self
    }

    /// The node has no datastore.
    #[must_use]
    pub fn db_less(mut self, db_less: bool) -> Self {
        self.db_less = db_less;
        self
    }

    /// Links the schemas.
    ///
    /// # Errors
    ///
    /// A name is taken twice, or a foreign field refers to nothing.
    pub fn build(self) -> Result<Registry, ModelError> {
        let _ = self.flavor;
        Ok(Registry {
            schemas: self.entities,
            plugins: self.plugins,
        })
    }
}

impl Registry {
    /// All schemas, parents before children.
    pub fn schemas(&self) -> &[Arc<Schema>] {
        &self.schemas
    }

    /// Schema of that name.
    pub fn schema(&self, name: &str) -> Option<&Arc<Schema>> {
        self.schemas.iter().find(|s| s.name == name)
    }

    /// Plugin of that name.
    pub fn plugin(&self, name: &str) -> Option<&PluginSchema> {
        self.plugins.iter().find(|p| p.name == name)
    }

    /// All plugins, by name.
    pub fn plugins(&self) -> &[PluginSchema] {
        &self.plugins
    }

    /// Entities with a foreign field to `parent`, and that field.
    pub fn children(&self, parent: &str) -> Vec<(Arc<Schema>, String)> {
        let mut children = Vec::new();
        for schema in &self.schemas {
            for field in &schema.fields {
                if matches!(&field.def.kind, Kind::Foreign(foreign) if foreign.reference == parent) {
                    children.push((schema.clone(), field.name.clone()));
                }
            }
        }
        children
    }

    /// Schema whose top-level collection has this path segment.
    pub fn by_collection(&self, segment: &str) -> Option<&Arc<Schema>> {
        self.schemas
            .iter()
            .find(|s| s.admin.collection.as_deref() == Some(segment))
    }
}
