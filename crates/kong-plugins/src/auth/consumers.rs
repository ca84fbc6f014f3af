//! Consumers by id, and the anonymous one.

use std::sync::Arc;

use kong_cache::{Cached, Lookup};
use kong_model::Consumer;
use kong_plugin::context::Access;
use kong_plugin::{Entities, PluginEnv, PluginError};
use kong_schema::Schema;
use uuid::Uuid;

/// What an auth plugin needs to find consumers: resolved once per instance.
pub(crate) struct Consumers {
    entities: Entities,
    schema: Arc<Schema>,
    /// `config.anonymous`: id or username.
    anonymous: Option<String>,
}

impl Consumers {
    pub(crate) fn new(env: &PluginEnv, anonymous: Option<String>) -> Result<Self, PluginError> {
        Ok(Consumers {
            entities: env.entities.clone(),
            schema: env.entities.schema("consumers")?.clone(),
            anonymous,
        })
    }

    /// Whether an anonymous consumer is configured.
    pub(crate) fn has_anonymous(&self) -> bool {
        self.anonymous.is_some()
    }

    /// Whether the plugin has nothing to do: it may be satisfied by another one, and was.
    pub(crate) fn is_satisfied(&self, cx: &Access<'_>) -> bool {
        self.anonymous.is_some() && cx.credential.is_some()
    }

    pub(crate) fn lookup(&self, id: &str) -> Lookup {
        self.entities.cache().lookup_id(&self.schema, id)
    }

    /// The consumer with this id.
    pub(crate) async fn by_id(&self, id: &str) -> Result<Option<Arc<Consumer>>, PluginError> {
        finish(self.lookup(id)).await?.map(|cached| decode(&cached)).transpose()
    }

    /// Lets the request pass as the anonymous consumer.
    ///
    /// # Errors
    /// When none is configured, or the configured one does not exist: the request fails with 500.
    pub(crate) async fn pass_as_anonymous(&self, cx: &mut Access<'_>) -> Result<(), PluginError> {
        let name = self.anonymous.as_deref().unwrap_or_default();
        let mut consumer = match Uuid::try_parse(name) {
            Ok(_) => self.by_id(name).await?,
            Err(_) => None,
        };
        if consumer.is_none() {
            let by_name = self.entities.cache().lookup_unique(&self.schema, "username", name);
            consumer = finish(by_name).await?.map(|cached| decode(&cached)).transpose()?;
        }
        let consumer = consumer
            .ok_or_else(|| PluginError(format!("failed to load anonymous consumer ({name}): no such consumer")))?;
        cx.authenticate(Some(consumer), None);
        Ok(())
    }
}

/// The consumer of a cached row.
pub(crate) fn decode(cached: &Cached) -> Result<Arc<Consumer>, PluginError> {
    cached.decode().map_err(PluginError::new)
}

/// Waits for a lookup that was not answered at once.
pub(crate) async fn finish(lookup: Lookup) -> Result<Option<Arc<Cached>>, PluginError> {
    match lookup {
        Lookup::Hit(found) => Ok(found),
        Lookup::Miss(load) => load.await.map_err(PluginError::new),
    }
}
