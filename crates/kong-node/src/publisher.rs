//! From committed changes to what the workers see.
//!
//! A change announces *that* a row changed; the row itself is read anew under one lock. Two writers whose
//! announcements arrive in the wrong order therefore cannot leave the older row behind, and changes of this node, of
//! other nodes and of a full compare all take the same way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kong_cache::EntityCache;
use kong_datastore::dao::ChangeListener;
use kong_datastore::{
    Batch, BoxFuture, Change, Datastore, Event, EventCursor, Key, PageQuery, Row, StoreResult, WorkspaceId,
};
use kong_model::Registry;
use kong_proxy::{Balancers, COMPILED_ENTITIES, Compiler, RowChange, Snapshot};
use kong_schema::Schema;
use serde_json::Value;
use tokio::sync::Mutex;
use uuid::Uuid;

/// Channel on which nodes tell each other of health that was set by hand.
const HEALTH_CHANNEL: &str = "balancer:post_health";
/// Rows read in one page of a load.
const PAGE: usize = 1000;

/// See the module.
pub(crate) struct Publisher {
    compiler: Mutex<Compiler>,
    snapshots: Arc<ArcSwap<Snapshot>>,
    cache: Arc<EntityCache>,
    store: Arc<dyn Datastore>,
    registry: Arc<Registry>,
    ws: WorkspaceId,
    node_id: Uuid,
    balancers: Arc<Balancers>,
}

impl Publisher {
    pub(crate) fn new(
        compiler: Compiler,
        cache: Arc<EntityCache>,
        store: Arc<dyn Datastore>,
        registry: Arc<Registry>,
        node_id: Uuid,
        balancers: Arc<Balancers>,
    ) -> Self {
        let snapshots = Arc::new(ArcSwap::from_pointee(compiler.snapshot().clone()));
        let ws = store.default_workspace();
        Publisher {
            compiler: Mutex::new(compiler),
            snapshots,
            cache,
            store,
            registry,
            ws,
            node_id,
            balancers,
        }
    }

    /// Where the current snapshot is.
    pub(crate) fn snapshots(&self) -> &Arc<ArcSwap<Snapshot>> {
        &self.snapshots
    }

    /// Reads the whole configuration and publishes it. Answers the names of the plugins that have rows.
    pub(crate) async fn load_all(&self) -> StoreResult<BTreeSet<String>> {
        let mut compiler = self.compiler.lock().await;
        let mut rows = Vec::new();
        for schema in self.compiled_schemas() {
            let mut after = None;
            loop {
                let query = PageQuery {
                    schema: schema.clone(),
                    ws: self.ws,
                    by_foreign: None,
                    tags: None,
                    size: PAGE,
                    after,
                };
                let page = self.store.page(&query).await?;
                rows.extend(page.rows.into_iter().map(|row| (schema.name.clone(), row)));
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        let name = |(entity, row): &(String, Row)| match entity.as_str() {
            "plugins" => row.get("name").and_then(Value::as_str).map(str::to_owned),
            _ => None,
        };
        let plugins = rows.iter().filter_map(name).collect();
        self.snapshots.store(Arc::new(compiler.replace(rows)));
        self.cache.purge();
        Ok(plugins)
    }

    fn compiled_schemas(&self) -> impl Iterator<Item = &Arc<Schema>> {
        COMPILED_ENTITIES
            .iter()
            .filter_map(|entity| self.registry.schema(entity))
    }

    /// Reads these rows anew and publishes what became of them.
    async fn refresh(&self, rows: &BTreeSet<(String, Uuid)>) -> StoreResult<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut compiler = self.compiler.lock().await;
        let mut changes = Vec::with_capacity(rows.len());
        // Parents first, so that a route finds its service.
        for entity in COMPILED_ENTITIES {
            let Some(schema) = self.registry.schema(entity) else {
                continue;
            };
            for (_, id) in rows.iter().filter(|(of, _)| of == entity) {
                let row: Option<Row> = self.store.select(schema, self.ws, &Key::id(id.to_string())).await?;
                changes.push((entity.to_owned(), row.map_or(RowChange::Gone(*id), RowChange::Put)));
            }
        }
        self.snapshots.store(Arc::new(compiler.apply(changes)));
        Ok(())
    }

    /// Acts on events that other nodes wrote.
    async fn apply_events(&self, events: &[Event]) -> StoreResult<()> {
        let mut rows = BTreeSet::new();
        for event in events {
            match event.channel.as_str() {
                HEALTH_CHANNEL => self.balancers.take_announcement(&event.data),
                "invalidations" => self.cache.invalidate(&event.data),
                "invalidations_kong_core_db_cache" => {
                    self.cache.invalidate(&event.data);
                    self.rows_of_key(&event.data, &mut rows).await?;
                }
                _ => {}
            }
        }
        self.refresh(&rows).await
    }

    /// Rows that a cache key may stand for.
    async fn rows_of_key(&self, key: &str, rows: &mut BTreeSet<(String, Uuid)>) -> StoreResult<()> {
        let mut parts = key.split(':');
        let entity = parts.next().unwrap_or_default();
        if !COMPILED_ENTITIES.contains(&entity) {
            return Ok(());
        }
        let first = parts.next().unwrap_or_default();
        if entity == "targets" {
            // The key of a target names its upstream: whichever of its targets it is.
            if let Ok(upstream) = first.parse() {
                let ids = self.targets_of(upstream).await?;
                rows.extend(ids.into_iter().map(|id| (entity.to_owned(), id)));
            }
            return Ok(());
        }
        if entity != "plugins" {
            if let Ok(id) = first.parse() {
                rows.insert((entity.to_owned(), id));
            }
            return Ok(());
        }
        // A plugin's key names its scope: the row that has it now, and the one that had it before.
        let mut scope = parts.map(|part| part.parse::<Uuid>().ok());
        let (route, service, consumer) = (scope.next().flatten(), scope.next().flatten(), scope.next().flatten());
        if let Some(id) = self
            .compiler
            .lock()
            .await
            .plugin_by_scope(first, route, service, consumer)
        {
            rows.insert((entity.to_owned(), id));
        }
        let Some(schema) = self.registry.schema(entity) else {
            return Ok(());
        };
        let text = |id: Option<Uuid>| id.map_or(Value::Null, |id| Value::String(id.to_string()));
        let key = Key::Cache(vec![
            Value::String(first.to_owned()),
            text(route),
            text(service),
            text(consumer),
        ]);
        if let Some(row) = self.store.select(schema, self.ws, &key).await?
            && let Some(id) = row.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok())
        {
            rows.insert((entity.to_owned(), id));
        }
        Ok(())
    }

    /// Targets of an upstream, those that are compiled and those that are stored.
    async fn targets_of(&self, upstream: Uuid) -> StoreResult<BTreeSet<Uuid>> {
        let mut ids: BTreeSet<Uuid> = self.balancers.targets_of(upstream).into_iter().collect();
        let Some(schema) = self.registry.schema("targets") else {
            return Ok(ids);
        };
        let mut after = None;
        loop {
            let query = PageQuery {
                schema: schema.clone(),
                ws: self.ws,
                by_foreign: Some(("upstream".to_owned(), upstream.to_string())),
                tags: None,
                size: PAGE,
                after,
            };
            let page = self.store.page(&query).await?;
            let id = |row: &Row| row.get("id")?.as_str()?.parse::<Uuid>().ok();
            ids.extend(page.rows.iter().filter_map(id));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(ids),
            }
        }
    }

    /// Tells the other nodes of a health that was set by hand.
    pub(crate) async fn announce_health(&self, data: String) -> StoreResult<()> {
        let batch = Batch {
            node_id: self.node_id,
            writes: Vec::new(),
            events: vec![Event::new(self.node_id, HEALTH_CHANNEL, data)],
        };
        self.store.write(batch).await.map(drop)
    }

    /// Follows the changes of other nodes for ever. `every` is `db_update_frequency`; where the store can push, it need
    /// not be waited for.
    pub(crate) async fn follow(self: Arc<Self>, mut cursor: EventCursor, every: Duration) {
        let mut watch = self.store.watch();
        let mut failures = 0_u32;
        loop {
            let pushed = async {
                // A store that is gone, or cannot push, leaves it to the clock.
                let is_pushed = match &mut watch {
                    Some(watch) => watch.changed().await.is_ok(),
                    None => false,
                };
                if !is_pushed {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = pushed => {}
                () = tokio::time::sleep(every) => {}
            }
            match self.catch_up(&mut cursor).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    // Said once, and again at growing distances; proxying goes on with what is known.
                    if failures.is_power_of_two() {
                        tracing::error!("cluster events cannot be read ({failures} times now): {error}");
                    }
                }
            }
        }
    }

    async fn catch_up(&self, cursor: &mut EventCursor) -> StoreResult<()> {
        let page = self.store.events_since(self.node_id, cursor.clone()).await?;
        self.apply_events(&page.events).await?;
        // Only now: events that could not be applied are read again.
        *cursor = page.cursor;
        Ok(())
    }
}

impl ChangeListener for Publisher {
    fn changed<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut rows = BTreeSet::new();
            for change in changes {
                self.cache.invalidate_change(change);
                let id = |row: &Option<Row>| row.as_ref()?.get("id")?.as_str()?.parse::<Uuid>().ok();
                if COMPILED_ENTITIES.contains(&change.schema.name.as_str())
                    && let Some(id) = id(&change.new).or_else(|| id(&change.old))
                {
                    rows.insert((change.schema.name.clone(), id));
                }
            }
            if let Err(error) = self.refresh(&rows).await {
                tracing::error!("a change was stored but could not be read back: {error}");
            }
        })
    }
}
