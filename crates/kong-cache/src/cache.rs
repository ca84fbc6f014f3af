//! The cache: lookups, loads, invalidation.
//!
//! Two levels. [`local`](crate::local) answers most lookups from copies of the present thread; behind it two shared
//! caches hold values (bounded by bytes) and known absences (bounded by number), apart from each other, so that a
//! flood of unknown keys evicts no known one. Values are keyed by Kong's cache-key strings with a suffix that says
//! how they were looked up (`consumers:<x>:::::<ws>` may be a consumer's id or somebody's user name), and an invalidation
//! of a string reaches every suffix in use.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt;
use kong_datastore::{
    BoxFuture, Change, Datastore, Key, PageQuery, WorkspaceId, cache_keys, list_cache_key, lookup_cache_key,
};
use kong_schema::Schema;
use moka::sync::Cache;
use serde_json::Value;

use crate::entry::{Entry, Loaded};
use crate::loads::Loads;
use crate::local::{By, LocalCopies};
use crate::stripes::{Stamp, Stripes};
use crate::{CacheError, Cached};

/// Rows per page when a list is loaded.
const LIST_PAGE: usize = 1000;

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

type Shared = Cache<String, Arc<Entry>, ahash::RandomState>;
type Load = BoxFuture<'static, Result<Loaded, CacheError>>;

/// What a load asks the store for.
#[derive(Clone)]
enum Question {
    One(Key),
    Below(String, String),
}

/// A node's cache of entities.
///
/// ```
/// # async fn example(store: std::sync::Arc<dyn kong_datastore::Datastore>, consumers: std::sync::Arc<kong_schema::Schema>) {
/// use kong_cache::{CacheOptions, EntityCache, Lookup};
///
/// let workspace = store.default_workspace();
/// let cache = EntityCache::new(CacheOptions::new(store, workspace));
/// let alice = match cache.lookup_unique(&consumers, "username", "alice") {
///     Lookup::Hit(known) => Ok(known),
///     Lookup::Miss(load) => load.await,
/// };
/// # }
/// ```
pub struct EntityCache {
    options: CacheOptions,
    values: Shared,
    absences: Shared,
    stripes: Stripes,
    local: LocalCopies,
    loads: Loads,
    /// Entity → suffixes under which its values were looked up.
    suffixes: RwLock<HashMap<String, Vec<String>>>,
}

impl EntityCache {
    /// An empty cache.
    pub fn new(options: CacheOptions) -> Arc<Self> {
        let weigh = |_: &String, entry: &Arc<Entry>| entry.weight;
        let values = Cache::builder().max_capacity(options.max_bytes).weigher(weigh);
        let absences = Cache::builder().max_capacity(options.max_negative);
        Arc::new(Self {
            values: values.build_with_hasher(ahash::RandomState::new()),
            absences: absences.build_with_hasher(ahash::RandomState::new()),
            stripes: Stripes::new(),
            local: LocalCopies::new(),
            loads: Loads::default(),
            suffixes: RwLock::default(),
            options,
        })
    }

    /// One row by any key.
    pub fn lookup(self: &Arc<Self>, schema: &Arc<Schema>, key: &Key) -> Lookup {
        match key {
            Key::Unique {
                field,
                value: Value::String(value),
            } => self.lookup_unique(schema, field, value),
            Key::Primary(values) => match values.as_slice() {
                [Value::String(id)] => self.lookup_id(schema, id),
                _ => self.lookup_shared(schema, Question::One(key.clone()), None).into(),
            },
            _ => self.lookup_shared(schema, Question::One(key.clone()), None).into(),
        }
    }

    /// One row by its unique text field; the path of credentials, free of allocation on a hit.
    pub fn lookup_unique(self: &Arc<Self>, schema: &Arc<Schema>, field: &str, value: &str) -> Lookup {
        let by = By::Unique(field, value);
        match self.local.get(&self.stripes, schema, by, |entry| entry.value.row()) {
            Some(row) => Lookup::Hit(row),
            None => self
                .lookup_shared(schema, Question::One(Key::unique(field, value)), Some(by))
                .into(),
        }
    }

    /// One row by its id, free of allocation on a hit.
    pub fn lookup_id(self: &Arc<Self>, schema: &Arc<Schema>, id: &str) -> Lookup {
        let by = By::Id(id);
        match self.local.get(&self.stripes, schema, by, |entry| entry.value.row()) {
            Some(row) => Lookup::Hit(row),
            None => self.lookup_shared(schema, Question::One(Key::id(id)), Some(by)).into(),
        }
    }

    /// [`EntityCache::lookup`], awaited.
    pub async fn get(self: &Arc<Self>, schema: &Arc<Schema>, key: &Key) -> Result<Option<Arc<Cached>>, CacheError> {
        match self.lookup(schema, key) {
            Lookup::Hit(value) => Ok(value),
            Lookup::Miss(load) => load.await,
        }
    }

    /// All rows whose foreign field references this parent (the acls of a consumer).
    pub fn lookup_list(self: &Arc<Self>, schema: &Arc<Schema>, foreign_field: &str, parent_id: &str) -> ListLookup {
        let by = By::Below(foreign_field, parent_id);
        if let Some(rows) = self.local.get(&self.stripes, schema, by, |entry| entry.value.list()) {
            return ListLookup::Hit(rows);
        }
        match self.lookup_shared(
            schema,
            Question::Below(foreign_field.into(), parent_id.into()),
            Some(by),
        ) {
            Found::Hit(value) => ListLookup::Hit(value.list()),
            Found::Miss(load) => ListLookup::Miss(load.map(|r| r.map(|value| value.list())).boxed()),
        }
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

    /// What is cached under a key string right now, without loading: a row, a known absence (`Some(None)`), or nothing.
    pub fn peek(&self, cache_key: &str) -> Option<Option<Arc<Cached>>> {
        self.slots(cache_key).iter().find_map(|slot| {
            let entry = self.values.get(slot).or_else(|| self.absences.get(slot))?;
            let row = match &entry.value {
                Loaded::List(_) => return None,
                value => value.row(),
            };
            (entry.epoch == self.stripes.epoch() && entry.is_fresh()).then_some(row)
        })
    }

    /// Forgets whatever this change makes stale: by id, by unique fields, lists; of the old and of the new row.
    pub fn invalidate_change(&self, change: &Change) {
        let mut keys: Vec<String> = Vec::new();
        for row in [&change.old, &change.new].into_iter().flatten() {
            for key in cache_keys(&change.schema, row) {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        keys.iter().for_each(|key| self.invalidate(key));
    }

    /// Forgets whatever is cached under a key string, e.g. from another node's event. At once, on every thread; loads
    /// of it that are under way are answered but not kept.
    pub fn invalidate(&self, cache_key: &str) {
        // The slots are looked up under the stripe's lock: a suffix is registered before its first load begins.
        self.stripes.invalidate(cache_key, || {
            for slot in self.slots(cache_key) {
                self.values.invalidate(&slot);
                self.absences.invalidate(&slot);
            }
        });
    }

    /// Forgets everything.
    pub fn purge(&self) {
        self.stripes.purge(|| {
            self.values.invalidate_all();
            self.absences.invalidate_all();
        });
    }

    /// Keys of the shared caches that a key string may stand for.
    fn slots(&self, cache_key: &str) -> Vec<String> {
        let entity = cache_key.split(':').next().unwrap_or_default();
        let suffixes = self.suffixes.read().unwrap_or_else(PoisonError::into_inner);
        let suffixes = suffixes.get(entity).into_iter().flatten();
        suffixes.map(|suffix| format!("{cache_key}{suffix}")).collect()
    }

    fn register(&self, entity: &str, suffix: &str) {
        let knows = |all: &HashMap<String, Vec<String>>| all.get(entity).is_some_and(|s| s.iter().any(|s| s == suffix));
        if !knows(&self.suffixes.read().unwrap_or_else(PoisonError::into_inner)) {
            let mut all = self.suffixes.write().unwrap_or_else(PoisonError::into_inner);
            if !knows(&all) {
                all.entry(entity.to_owned()).or_default().push(suffix.to_owned());
            }
        }
    }

    /// The second level, and the store behind it.
    fn lookup_shared(self: &Arc<Self>, schema: &Arc<Schema>, question: Question, by: Option<By<'_>>) -> Found {
        let ws = self.options.ws;
        let (key, suffix) = match &question {
            Question::Below(field, parent) => (list_cache_key(schema, ws, parent), format!("#below:{field}")),
            Question::One(one) => {
                let key = lookup_cache_key(schema, ws, one);
                let suffix = match one {
                    Key::Cache(_) => "#".to_owned(),
                    Key::Primary(_) if schema.storage.cache_key.is_empty() => "#".to_owned(),
                    Key::Primary(_) => "#primary".to_owned(),
                    Key::Unique { field, .. } if schema.storage.cache_key == [field.clone()] => "#".to_owned(),
                    Key::Unique { field, .. } => format!("#unique:{field}"),
                };
                (key, suffix)
            }
        };
        // Other nodes announce core entities by their own key alone; nothing else of theirs can be kept.
        if schema.storage.core_cache && suffix != "#" {
            return Found::Miss(self.clone().ask(schema.clone(), question));
        }
        self.register(&schema.name, &suffix);
        let slot = format!("{key}{suffix}");
        let stamp = self.stripes.stamp(&key);
        if let Some(entry) = self
            .values
            .get(&slot)
            .filter(|e| e.epoch == stamp.epoch() && e.is_fresh())
        {
            if let Some(by) = by {
                self.local.put(schema, by, stamp, &entry);
            }
            return Found::Hit(entry.value.clone());
        }
        if let Some(entry) = self
            .absences
            .get(&slot)
            .filter(|e| e.epoch == stamp.epoch() && e.is_fresh())
        {
            return Found::Hit(entry.value.clone());
        }
        let (cache, schema) = (self.clone(), schema.clone());
        let load = self.loads.join(&slot.clone(), stamp, || {
            async move {
                match cache.clone().ask(schema, question).await {
                    Ok(value) => {
                        cache.keep(slot, stamp, &value);
                        Ok(value)
                    }
                    Err(error) => cache.resurrect(&slot, stamp).ok_or(error),
                }
            }
            .boxed()
        });
        Found::Miss(load.boxed())
    }

    /// Asks the store.
    fn ask(self: Arc<Self>, schema: Arc<Schema>, question: Question) -> Load {
        async move {
            let (store, ws) = (&self.options.store, self.options.ws);
            let failed = |e: kong_datastore::StoreError| CacheError::Store(e.to_string());
            match question {
                Question::One(key) => {
                    let row = store.select(&schema, ws, &key).await.map_err(failed)?;
                    Ok(row.map_or(Loaded::Absent, |row| Loaded::Row(Arc::new(Cached::new(row)))))
                }
                Question::Below(field, parent) => {
                    let mut query = PageQuery {
                        by_foreign: Some((field, parent)),
                        ..PageQuery::all(&schema, ws, LIST_PAGE)
                    };
                    let mut rows = Vec::new();
                    loop {
                        let page = store.page(&query).await.map_err(failed)?;
                        rows.extend(page.rows.into_iter().map(|row| Arc::new(Cached::new(row))));
                        query.after = page.next;
                        if query.after.is_none() {
                            return Ok(Loaded::List(rows.into()));
                        }
                    }
                }
            }
        }
        .boxed()
    }

    /// Keeps what was loaded, unless its key was invalidated after the load began.
    fn keep(&self, slot: String, stamp: Stamp, value: &Loaded) {
        let negative = value.is_negative();
        let ttl = if negative {
            self.options.neg_ttl
        } else {
            self.options.ttl
        };
        let entry = Arc::new(Entry::new(value.clone(), &slot, stamp.epoch(), ttl));
        self.stripes.if_current(stamp, || {
            let (kept, other) = if negative {
                (&self.absences, &self.values)
            } else {
                (&self.values, &self.absences)
            };
            other.invalidate(&slot);
            kept.insert(slot, entry);
        });
    }

    /// A value that has outlived its time, when the store fails. Never an absence, never an expired row, and nothing
    /// that has been invalidated: that is gone.
    fn resurrect(&self, slot: &str, stamp: Stamp) -> Option<Loaded> {
        if self.options.resurrect_ttl.is_zero() {
            return None;
        }
        let entry = self
            .values
            .get(slot)
            .filter(|e| e.epoch == stamp.epoch() && e.row_lives())?;
        if !self.stripes.is_current(stamp) {
            return None;
        }
        tracing::warn!(
            key = slot.split(':').next().unwrap_or_default(),
            "the store failed; serving a stale value"
        );
        entry.resurrect(self.options.resurrect_ttl);
        Some(entry.value.clone())
    }
}

/// Answer of the second level.
enum Found {
    Hit(Loaded),
    Miss(Load),
}

impl From<Found> for Lookup {
    fn from(found: Found) -> Self {
        match found {
            Found::Hit(value) => Lookup::Hit(value.row()),
            Found::Miss(load) => Lookup::Miss(load.map(|r| r.map(|value| value.row())).boxed()),
        }
    }
}
