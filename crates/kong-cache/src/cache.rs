//! The cache: lookups, loads, invalidation.

use std::sync::Arc;
use std::time::Duration;

use kong_datastore::{BoxFuture, Change, Datastore, Key, WorkspaceId};
use kong_schema::Schema;

use crate::{CacheError, Cached};

/// Rows below one parent, by ascending primary key.
pub type CachedList = Arc<[Arc<Cached>]>;

/// How a cache behaves.
#[derive(Clone)]
pub struct CacheOptions {
    /// Where misses are loaded from.
    pub store: Arc<dyn Datastore>,
    /// Workspace of all lookups.
    pub ws: WorkspaceId,
    /// Life time of a value (`db_cache_ttl`); zero: none but invalidation and, for TTL rows, the row's own.
    pub ttl: Duration,
    /// Life time of a known absence (`db_cache_neg_ttl`); zero: none but invalidation.
    pub neg_ttl: Duration,
    /// How long an outlived value is served again when the store fails, before the next attempt; zero: not at all.
    pub resurrect_ttl: Duration,
    /// Most bytes of rows to keep, by estimate.
    pub max_bytes: u64,
    /// Most known absences to keep.
    pub max_negative: u64,
}

impl CacheOptions {
    /// Kong's defaults: no expiry, 30 s of resurrection, 128 MB.
    pub fn new(store: Arc<dyn Datastore>, ws: WorkspaceId) -> Self {
        Self {
            store,
            ws,
            ttl: Duration::ZERO,
            neg_ttl: Duration::ZERO,
            resurrect_ttl: Duration::from_secs(30),
            max_bytes: 128 << 20,
            max_negative: 100_000,
        }
    }
}

/// Answer of a lookup: at once, or through a load.
pub enum Lookup {
    /// Known: the row, or that there is none.
    Hit(Option<Arc<Cached>>),
    /// Not known; the future loads it, together with all others who wait for the same key.
    Miss(BoxFuture<'static, Result<Option<Arc<Cached>>, CacheError>>),
}

/// Like [`Lookup`], of a list.
pub enum ListLookup {
    /// Known.
    Hit(CachedList),
    /// Not known; the future loads it.
    Miss(BoxFuture<'static, Result<CachedList, CacheError>>),
}

/// A node's cache of entities.
pub struct EntityCache {
    options: CacheOptions,
}

impl EntityCache {
    /// An empty cache.
    pub fn new(options: CacheOptions) -> Arc<Self> {
        Arc::new(Self { options })
    }

    /// One row by any key.
    pub fn lookup(self: &Arc<Self>, schema: &Arc<Schema>, key: &Key) -> Lookup {
        let (store, schema, ws, key) = (self.options.store.clone(), schema.clone(), self.options.ws, key.clone());
        Lookup::Miss(Box::pin(async move {
            let row = store
                .select(&schema, ws, &key)
                .await
                .map_err(|e| CacheError::Store(e.to_string()))?;
            Ok(row.map(|r| Arc::new(Cached::new(r))))
        }))
    }

    /// One row by its unique text field; the path of credentials, free of allocation on a hit.
    pub fn lookup_unique(self: &Arc<Self>, schema: &Arc<Schema>, field: &str, value: &str) -> Lookup {
        self.lookup(schema, &Key::unique(field, value))
    }

    /// One row by its id, free of allocation on a hit.
    pub fn lookup_id(self: &Arc<Self>, schema: &Arc<Schema>, id: &str) -> Lookup {
        self.lookup(schema, &Key::id(id))
    }

    /// [`EntityCache::lookup`], awaited.
    pub async fn get(self: &Arc<Self>, schema: &Arc<Schema>, key: &Key) -> Result<Option<Arc<Cached>>, CacheError> {
        match self.lookup(schema, key) {
            Lookup::Hit(value) => Ok(value),
            Lookup::Miss(load) => load.await,
        }
    }

    /// All rows whose foreign field references this parent (the acls of a consumer).
    pub fn lookup_list(self: &Arc<Self>, _schema: &Arc<Schema>, _foreign_field: &str, _parent_id: &str) -> ListLookup {
        ListLookup::Miss(Box::pin(async { Err(CacheError::Store("in the making".into())) }))
    }

    /// [`EntityCache::lookup_list`], awaited.
    pub async fn list(
        self: &Arc<Self>,
        schema: &Arc<Schema>,
        foreign_field: &str,
        parent_id: &str,
    ) -> Result<CachedList, CacheError> {
        match self.lookup_list(schema, foreign_field, parent_id) {
            ListLookup::Hit(value) => Ok(value),
            ListLookup::Miss(load) => load.await,
        }
    }

    /// Forgets whatever this change makes stale: by id, by unique fields, lists; of the old and of the new row.
    pub fn invalidate_change(&self, _change: &Change) {}

    /// Forgets whatever is cached under a key string, e.g. from another node's event.
    pub fn invalidate(&self, _cache_key: &str) {}

    /// Forgets everything.
    pub fn purge(&self) {}
}
