//! The ergonomic way to define a compiled-in plugin.

use std::marker::PhantomData;
use std::sync::Arc;

use kong_schema::{AsRecord, EntityCheck, HTTP_PROTOCOLS, PluginScopes, Schema, plugin_schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{AdminRoute, Descriptor, Instance, Phases, Plugin, PluginEnv, PluginError, PluginKind};

/// Defines a compiled-in plugin: implement this and [`Plugin`] on one struct, and register [`kind`]`::<YourPlugin>()`.
pub trait PluginDefinition: Plugin + Sized {
    /// Name, e.g. `key-auth`.
    const NAME: &'static str;
    /// Order of execution.
    const PRIORITY: i32;
    /// Implemented phases.
    const PHASES: Phases;
    /// Version shown by `GET /`.
    const VERSION: &'static str = "3.9.3";

    /// Whether [`PluginDefinition::configure`] is of interest.
    const OBSERVES_INSTANCES: bool = false;

    /// Scopes that an instance may be bound to.
    const SCOPES: PluginScopes = PluginScopes::ALL;
    /// Protocols that an instance may list.
    const PROTOCOLS: &'static [&'static str] = HTTP_PROTOCOLS;
    /// Protocols that an instance lists by default.
    const DEFAULT_PROTOCOLS: &'static [&'static str] = HTTP_PROTOCOLS;

    /// Validated configuration; its record is the `config` of the schema.
    type Config: DeserializeOwned + AsRecord;
    /// State shared by all instances, which survives configuration changes.
    type State: Default + Send + Sync + 'static;

    /// Rules across fields, which name them from the plugin's root (`config.allow`).
    fn checks() -> Vec<EntityCheck> {
        Vec::new()
    }

    /// Sub-schema of `plugins`, made of the items above.
    fn schema() -> Arc<Schema> {
        Arc::new(plugin_schema(
            Self::NAME,
            Self::Config::record(),
            Self::SCOPES,
            Self::PROTOCOLS,
            Self::DEFAULT_PROTOCOLS,
            Self::checks(),
        ))
    }

    /// The schema on a node without a datastore, where it is another one.
    fn schema_without_datastore() -> Option<Arc<Schema>> {
        None
    }

    /// Entities that the plugin brings.
    fn entities() -> Vec<Arc<Schema>> {
        Vec::new()
    }

    /// Makes an instance.
    fn new(
        config: Self::Config,
        instance: Instance,
        state: &Arc<Self::State>,
        env: &PluginEnv,
    ) -> Result<Self, PluginError>;

    /// Once at node start.
    fn init(_state: &Arc<Self::State>, _env: &PluginEnv) {}

    /// After every change to the set of enabled instances.
    fn configure(_state: &Arc<Self::State>, _instances: &[Instance], _env: &PluginEnv) {}

    /// Log files were rotated (`SIGUSR1`): open them anew.
    fn reopen(_state: &Arc<Self::State>) {}

    /// Routes added to the Admin or Status API.
    fn routes(_state: &Arc<Self::State>, _env: &PluginEnv) -> Vec<AdminRoute> {
        Vec::new()
    }
}

struct Compiled<P: PluginDefinition> {
    descriptor: Descriptor,
    state: Arc<P::State>,
    plugin: PhantomData<fn() -> P>,
}

/// The kind of a compiled-in plugin, ready to be registered with a node.
pub fn kind<P: PluginDefinition>() -> Arc<dyn PluginKind> {
    Arc::new(Compiled::<P> {
        descriptor: Descriptor {
            name: P::NAME.to_owned(),
            version: P::VERSION.to_owned(),
            priority: P::PRIORITY,
            phases: P::PHASES,
            schema: P::schema(),
            entities: P::entities(),
        },
        state: Arc::default(),
        plugin: PhantomData,
    })
}

impl<P: PluginDefinition> PluginKind for Compiled<P> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn schema_without_datastore(&self) -> Option<Arc<Schema>> {
        P::schema_without_datastore()
    }

    fn instantiate(&self, instance: Instance, env: &PluginEnv) -> Result<Arc<dyn Plugin>, PluginError> {
        let config = serde_json::from_value(Value::Object(instance.config.clone()))
            .map_err(|error| PluginError(format!("{}: configuration of {}: {error}", P::NAME, instance.id)))?;
        Ok(Arc::new(P::new(config, instance, &self.state, env)?))
    }

    fn init(&self, env: &PluginEnv) {
        P::init(&self.state, env);
    }

    fn observes_instances(&self) -> bool {
        P::OBSERVES_INSTANCES
    }

    fn configure(&self, instances: &[Instance], env: &PluginEnv) {
        P::configure(&self.state, instances, env);
    }

    fn reopen(&self) {
        P::reopen(&self.state);
    }

    fn routes(&self, env: &PluginEnv) -> Vec<AdminRoute> {
        P::routes(&self.state, env)
    }
}
