//! Consumers, credentials and other entities that are loaded on demand, for plugins.

use std::collections::HashMap;
use std::sync::Arc;

use kong_cache::{EntityCache, ListLookup, Lookup};
use kong_schema::Schema;
use serde::de::DeserializeOwned;

use crate::PluginError;

/// Handle to the node's entity cache. Cheap to clone.
#[derive(Clone)]
pub struct Entities {
    inner: Arc<Inner>,
}

struct Inner {
    cache: Arc<EntityCache>,
    schemas: HashMap<String, Arc<Schema>>,
}

impl Entities {
    /// Over a cache and the schemas of everything that may be asked for.
    pub fn new(cache: Arc<EntityCache>, schemas: impl IntoIterator<Item = Arc<Schema>>) -> Self {
        let schemas = schemas
            .into_iter()
            .map(|schema| (schema.name.clone(), schema))
            .collect();
        Entities {
            inner: Arc::new(Inner { cache, schemas }),
        }
    }

    /// The cache itself.
    pub fn cache(&self) -> &Arc<EntityCache> {
        &self.inner.cache
    }

    /// Schema of that name.
    pub fn schema(&self, entity: &str) -> Result<&Arc<Schema>, PluginError> {
        self.inner
            .schemas
            .get(entity)
            .ok_or_else(|| PluginError(format!("no entity named '{entity}'")))
    }

    /// By primary key `id`.
    pub fn by_id(&self, entity: &str, id: &str) -> Result<Lookup, PluginError> {
        Ok(self.inner.cache.lookup_id(self.schema(entity)?, id))
    }

    /// All rows whose foreign field references this parent, e.g. `("acls", "consumer", …)`.
    pub fn children(&self, entity: &str, foreign_field: &str, parent_id: &str) -> Result<ListLookup, PluginError> {
        Ok(self
            .inner
            .cache
            .lookup_list(self.schema(entity)?, foreign_field, parent_id))
    }

    /// By a unique field, e.g. `("keyauth_credentials", "key", …)`.
    pub fn by_unique(&self, entity: &str, field: &str, value: &str) -> Result<Lookup, PluginError> {
        Ok(self.inner.cache.lookup_unique(self.schema(entity)?, field, value))
    }

    /// As [`Entities::by_id`], waited for and decoded; the decoded form is kept with the cached row.
    ///
    /// # Errors
    /// When the entity is unknown, the store fails, or the row is not what the type expects.
    pub async fn get<T>(&self, entity: &str, id: &str) -> Result<Option<Arc<T>>, PluginError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        decode(self.by_id(entity, id)?).await
    }

    /// As [`Entities::by_unique`], waited for and decoded; the decoded form is kept with the cached row.
    ///
    /// # Errors
    /// When the entity is unknown, the store fails, or the row is not what the type expects.
    pub async fn find<T>(&self, entity: &str, field: &str, value: &str) -> Result<Option<Arc<T>>, PluginError>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        decode(self.by_unique(entity, field, value)?).await
    }
}

async fn decode<T>(lookup: Lookup) -> Result<Option<Arc<T>>, PluginError>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let found = match lookup {
        Lookup::Hit(found) => found,
        Lookup::Miss(load) => load.await.map_err(PluginError::new)?,
    };
    found.map(|row| row.decode().map_err(PluginError::new)).transpose()
}
