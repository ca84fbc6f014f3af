//! The registry: every schema of a node, core entities first, then those of its plugins.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use kong_schema::{AsRecord, Entity, Field, FieldDef, Kind, Polymorphic, Schema};

use crate::entities::{
    CaCertificate, Certificate, ClusteringDataPlane, Consumer, EnvVault, FilterChain, Key, KeySet, Parameter, Plugin,
    RouteRules, Service, Sni, TagRow, Target, Upstream, Vault, Workspace, route_schema,
};
use crate::route_rules::ExpressionCheck;

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
    by_name: HashMap<String, usize>,
    by_collection: HashMap<String, usize>,
    plugins: Vec<PluginSchema>,
    db_less: bool,
}

/// Collects what a [`Registry`] is made of.
#[derive(Clone)]
pub struct RegistryBuilder {
    rules: RouteRules,
    plugins: Vec<PluginSchema>,
    entities: Vec<Arc<Schema>>,
    db_less: bool,
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder")
            .field("rules", &self.rules)
            .field("plugins", &self.plugins.len())
            .field("entities", &self.entities.len())
            .finish_non_exhaustive()
    }
}

impl RegistryBuilder {
    /// The core entities for this router flavor.
    pub fn new(flavor: RouterFlavor) -> Self {
        Self {
            rules: RouteRules {
                flavor,
                expressions: None,
            },
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

    /// Compiler of expressions, for the flavor [`RouterFlavor::Expressions`]: what it says of an expression for a
    /// route of these protocols is what the client reads.
    #[must_use]
    pub fn expressions(mut self, check: Arc<ExpressionCheck>) -> Self {
        self.rules.expressions = Some(check);
        self
    }

    /// Links the schemas: variants to the entities that have them, references to what they refer to.
    ///
    /// # Errors
    ///
    /// A name is taken twice, or a foreign field refers to nothing.
    pub fn build(mut self) -> Result<Registry, ModelError> {
        self.plugins.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = self.plugins.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(ModelError::DuplicatePlugin(pair[0].name.clone()));
        }
        let mut registry = Registry {
            schemas: Vec::new(),
            by_name: HashMap::new(),
            by_collection: HashMap::new(),
            plugins: self.plugins.clone(),
            db_less: self.db_less,
        };
        for schema in self.core() {
            registry.add(schema)?;
        }
        // An entity may refer to one that was added after it.
        let mut waiting: Vec<Schema> = self.entities.iter().map(|schema| (**schema).clone()).collect();
        while !waiting.is_empty() {
            let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|s| registry.unlinked(s).is_none());
            if ready.is_empty() {
                let unlinked = rest.first().and_then(|schema| registry.unlinked(schema));
                return Err(unlinked.unwrap_or_else(|| ModelError::DuplicateEntity(String::new())));
            }
            for schema in ready {
                registry.add(schema)?;
            }
            waiting = rest;
        }
        Ok(registry)
    }

    /// Core entities, parents before children.
    fn core(&self) -> Vec<Schema> {
        let own = |schema: Arc<Schema>| (*schema).clone();
        vec![
            own(Workspace::schema()),
            own(Parameter::schema()),
            own(TagRow::schema()),
            own(Consumer::schema()),
            own(Certificate::schema()),
            own(CaCertificate::schema()),
            own(Service::schema()),
            route_schema(&self.rules),
            own(Sni::schema()),
            own(Upstream::schema()),
            own(Target::schema()),
            self.plugin_entity(),
            vault_entity(),
            own(KeySet::schema()),
            own(Key::schema()),
            own(FilterChain::schema()),
            own(ClusteringDataPlane::schema()),
        ]
    }

    fn plugin_entity(&self) -> Schema {
        let mut schema = (*Plugin::schema()).clone();
        schema.polymorphic = Some(Polymorphic {
            key: "name".into(),
            variants: self
                .plugins
                .iter()
                .map(|plugin| (plugin.name.clone(), plugin.schema.clone()))
                .collect(),
            unknown: Some(Arc::new(|name| {
                format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property")
            })),
        });
        schema
    }
}

fn vault_entity() -> Schema {
    let mut schema = (*Vault::schema()).clone();
    let env = Schema {
        name: "env".into(),
        fields: vec![Field {
            name: "config".into(),
            def: FieldDef {
                kind: Kind::Record(Box::new(EnvVault::record())),
                required: true,
                ..FieldDef::default()
            },
        }],
        ..Schema::default()
    };
    schema.polymorphic = Some(Polymorphic {
        key: "name".into(),
        variants: vec![("env".into(), Arc::new(env))],
        unknown: Some(Arc::new(|name| format!("vault '{name}' is not installed"))),
    });
    schema
}

impl Registry {
    fn add(&mut self, mut schema: Schema) -> Result<(), ModelError> {
        if self.by_name.contains_key(&schema.name) {
            return Err(ModelError::DuplicateEntity(schema.name));
        }
        if let Some(error) = self.unlinked(&schema) {
            return Err(error);
        }
        for field in &mut schema.fields {
            if let Kind::Foreign(foreign) = &mut field.def.kind {
                foreign.target = self.schema(&foreign.reference).cloned();
            }
        }
        let at = self.schemas.len();
        self.by_name.insert(schema.name.clone(), at);
        if let Some(collection) = &schema.admin.collection {
            self.by_collection.insert(collection.clone(), at);
        }
        self.schemas.push(Arc::new(schema));
        Ok(())
    }

    /// The first foreign field whose target is not known yet.
    fn unlinked(&self, schema: &Schema) -> Option<ModelError> {
        schema.fields.iter().find_map(|field| match &field.def.kind {
            Kind::Foreign(foreign) if !self.by_name.contains_key(&foreign.reference) => {
                Some(ModelError::UnknownReference {
                    entity: schema.name.clone(),
                    field: field.name.clone(),
                    reference: foreign.reference.clone(),
                })
            }
            _ => None,
        })
    }

    /// All schemas, parents before children.
    pub fn schemas(&self) -> &[Arc<Schema>] {
        &self.schemas
    }

    /// Schema of that name.
    pub fn schema(&self, name: &str) -> Option<&Arc<Schema>> {
        self.by_name.get(name).map(|at| &self.schemas[*at])
    }

    /// Plugin of that name.
    pub fn plugin(&self, name: &str) -> Option<&PluginSchema> {
        self.plugins
            .binary_search_by(|plugin| plugin.name.as_str().cmp(name))
            .ok()
            .map(|at| &self.plugins[at])
    }

    /// All plugins, by name.
    pub fn plugins(&self) -> &[PluginSchema] {
        &self.plugins
    }

    /// Sub-schema of the vault of that name.
    pub fn vault(&self, name: &str) -> Option<&Arc<Schema>> {
        let variants = &self.schema("vaults")?.polymorphic.as_ref()?.variants;
        variants
            .iter()
            .find(|(vault, _)| vault == name)
            .map(|(_, schema)| schema)
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
        self.by_collection.get(segment).map(|at| &self.schemas[*at])
    }

    /// Whether the node has no datastore.
    pub fn is_db_less(&self) -> bool {
        self.db_less
    }
}
