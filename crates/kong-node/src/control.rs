//! The control thread: opens the store, loads the configuration, serves the Admin and Status API, follows the changes
//! of other nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use kong_cache::{CacheOptions, EntityCache};
use kong_config::{Config, DatabaseKind};
use kong_datastore::{Datastore, EventCursor, MemoryStore};
use kong_datastore_sqlite::SqliteStore;
use kong_model::{PluginSchema, Registry, RegistryBuilder};
use kong_plugin::{Entities, NodeIdentity, PluginEnv, PluginKind};
use kong_proxy::{Compiler, Dns, Snapshot, WorkerStats};
use tokio::sync::watch;
use uuid::Uuid;

use crate::admin::{self, AdminPlan};
use crate::declarative::{Documents, Refusal};
use crate::listeners::ControlPort;
use crate::plugin_status::PluginStatus;
use crate::prober;
use crate::publisher::Publisher;
use crate::tasks::Tasks;
use crate::{NodeError, settings};

/// What the control thread is made of.
pub(crate) struct ControlPlan {
    pub(crate) config: Arc<Config>,
    pub(crate) kinds: Vec<Arc<dyn PluginKind>>,
    pub(crate) own: Vec<String>,
    pub(crate) store: Option<Arc<dyn Datastore>>,
    pub(crate) admin: Vec<ControlPort>,
    pub(crate) admin_tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) status: Vec<ControlPort>,
    pub(crate) status_tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) stats: Arc<[Arc<WorkerStats>]>,
    pub(crate) draining: Arc<AtomicBool>,
}

/// What the workers need of it.
pub(crate) struct DataPlane {
    pub(crate) snapshots: Arc<ArcSwap<Snapshot>>,
    pub(crate) entities: Entities,
    pub(crate) node: Arc<NodeIdentity>,
}

/// Handle to the control thread.
pub(crate) struct Control {
    stop: watch::Sender<bool>,
    ready: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Control {
    /// From now on the node may be ready.
    pub(crate) fn workers_are_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Ends the thread: Admin requests in flight and background tasks get a moment to finish.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

/// How long background tasks of plugins (log queues) may take to flush on a stop.
const FLUSH: Duration = Duration::from_secs(5);
/// How long Admin requests in flight may take on a stop.
const ADMIN_FINISH: Duration = Duration::from_secs(2);
/// How often expired rows are deleted.
const PURGE_EVERY: Duration = Duration::from_secs(300);

/// Starts the thread and waits until the configuration is loaded.
pub(crate) fn start(plan: ControlPlan) -> Result<(Control, DataPlane), NodeError> {
    let (stop, stopped) = watch::channel(false);
    let ready = Arc::new(AtomicBool::new(false));
    let (report, outcome) = std_mpsc::channel();
    let is_ready = ready.clone();
    let thread = thread::Builder::new()
        .name("kong-control".to_owned())
        .spawn(move || run(plan, is_ready, stopped, &report))
        .map_err(|source| NodeError::Start {
            what: "the control thread",
            source,
        })?;
    let data_plane = outcome.recv().unwrap_or_else(|_| {
        Err(NodeError::Start {
            what: "the control thread",
            source: std::io::Error::other("it ended without a word"),
        })
    })?;
    Ok((
        Control {
            stop,
            ready,
            thread: Mutex::new(Some(thread)),
        },
        data_plane,
    ))
}

fn run(
    plan: ControlPlan,
    ready: Arc<AtomicBool>,
    stopped: watch::Receiver<bool>,
    report: &std_mpsc::Sender<Result<DataPlane, NodeError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => {
            let _ = report.send(Err(NodeError::Start {
                what: "the control runtime",
                source,
            }));
            return;
        }
    };
    let tasks = Arc::new(Tasks::new(runtime.handle().clone()));
    runtime.block_on(async {
        match prepare(plan, ready, tasks.clone(), stopped.clone()).await {
            Ok((data_plane, serving)) => {
                let _ = report.send(Ok(data_plane));
                let mut stopped = stopped;
                // An error means that the node's handle is gone, which is a stop too.
                let _ = stopped.wait_for(|is_over| *is_over).await;
                let all = async {
                    for server in serving {
                        let _ = server.await;
                    }
                };
                let _ = tokio::time::timeout(ADMIN_FINISH, all).await;
                tasks.finish(FLUSH).await;
            }
            Err(error) => {
                let _ = report.send(Err(error));
            }
        }
    });
    // Helper threads that hang (a name server that does not answer) must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
}

async fn prepare(
    plan: ControlPlan,
    ready: Arc<AtomicBool>,
    tasks: Arc<Tasks>,
    stopped: watch::Receiver<bool>,
) -> Result<(DataPlane, Vec<tokio::task::JoinHandle<()>>), NodeError> {
    let ControlPlan {
        config,
        kinds,
        own,
        store,
        admin,
        admin_tls,
        status,
        status_tls,
        stats,
        draining,
    } = plan;
    let kinds = enabled(&config, kinds, &own)?;
    let is_db_less = store.is_none() && config.database.kind == DatabaseKind::Off;
    let registry = Arc::new(registry(&config, &kinds, is_db_less)?);

    // Documents are loaded into a store in memory, which the node then reads like any other.
    let memory = is_db_less.then(|| Arc::new(MemoryStore::new()));
    let store = match (store, &memory) {
        (Some(store), _) => store,
        (None, Some(memory)) => memory.clone(),
        (None, None) => open_store(&config)?,
    };
    store.prepare(registry.schemas()).await?;
    let info = store.info();
    tracing::info!(
        "datastore: {} at {} ({})",
        info.kind,
        info.location,
        config.database.reason
    );

    let node_id = config.node_id.unwrap_or_else(Uuid::new_v4);
    let node = Arc::new(NodeIdentity {
        id: node_id,
        hostname: hostname(),
        prefix: config.prefix.path.clone(),
        server_token: "kong/3.9.3",
    });
    let cache = EntityCache::new(CacheOptions {
        ttl: config.cache.ttl,
        neg_ttl: config.cache.negative_ttl,
        resurrect_ttl: config.cache.resurrect_ttl,
        max_bytes: config.cache.memory,
        ..CacheOptions::new(store.clone(), store.default_workspace())
    });
    let entities = Entities::new(cache.clone(), registry.schemas().iter().cloned());
    let env = PluginEnv {
        node: node.clone(),
        entities: entities.clone(),
        tasks: tasks.clone(),
        status: Arc::new(PluginStatus {
            stats: stats.clone(),
            store: store.clone(),
        }),
    };
    for kind in &kinds {
        kind.init(&env);
    }

    // The position in the events comes before the load: what changes in between is seen twice rather than never.
    let cursor = store.events_since(node_id, EventCursor::default()).await?.cursor;
    let (_, flavor) = settings::flavor(config.proxy.router_flavor);
    let compiler = Compiler::new(flavor, kinds.clone(), env.clone());
    let balancers = compiler.balancers().clone();
    let dns = Arc::new(Dns::new(settings::dns(&config.dns)));
    balancers.use_resolver(dns.clone());
    tokio::spawn(balancers.clone().resolve_names(dns, config.dns.stale_ttl));
    tokio::spawn(prober::run(balancers.clone(), prober::trusted_roots(&config)));
    let publisher = Arc::new(Publisher::new(
        compiler,
        cache.clone(),
        store.clone(),
        registry.clone(),
        node_id,
        balancers.clone(),
    ));
    let in_use = publisher.load_all().await?;
    if let Some(name) = in_use.into_iter().find(|name| registry.plugin(name).is_none()) {
        return Err(NodeError::PluginInUse(name));
    }

    let documents = match memory {
        Some(memory) => Some(documents(&config, memory, &registry, &publisher).await?),
        None => None,
    };

    let data_plane = DataPlane {
        snapshots: publisher.snapshots().clone(),
        entities,
        node: node.clone(),
    };
    if !is_db_less {
        tokio::spawn(publisher.clone().follow(cursor, config.cache.update_frequency));
        tokio::spawn(purge_regularly(store.clone()));
    }
    let serving = admin::serve(AdminPlan {
        config,
        kinds,
        env,
        registry,
        store,
        publisher,
        balancers,
        cache,
        stats,
        draining,
        ready,
        documents,
        admin,
        admin_tls,
        status,
        status_tls,
        stopped,
    })?;
    Ok((data_plane, serving))
}

/// The declarative configuration, with the document that the settings name.
async fn documents(
    config: &Config,
    memory: Arc<MemoryStore>,
    registry: &Arc<Registry>,
    publisher: &Arc<Publisher>,
) -> Result<Arc<Documents>, NodeError> {
    let documents = Arc::new(Documents::new(memory, registry.clone(), publisher.clone()));
    let (text, source) = match (
        config.text("declarative_config_string"),
        config.text("declarative_config"),
    ) {
        (Some(text), _) => (text.to_owned(), "declarative_config_string".to_owned()),
        (None, Some(path)) => {
            let read = std::fs::read_to_string(path);
            let text = read.map_err(|error| NodeError::Declarative {
                source_name: path.to_owned(),
                details: error.to_string(),
            })?;
            (text, path.to_owned())
        }
        (None, None) => return Ok(documents),
    };
    match documents.load_text(&text).await {
        Ok(()) => Ok(documents),
        Err(Refusal::Document(error)) => {
            let details = error.body(false)["message"].as_str().unwrap_or_default().to_owned();
            Err(NodeError::Declarative {
                source_name: source,
                details,
            })
        }
        Err(Refusal::Store(error)) => Err(error.into()),
    }
}

/// The plugins that `plugins` chooses and those of the embedder.
fn enabled(
    config: &Config,
    kinds: Vec<Arc<dyn PluginKind>>,
    own: &[String],
) -> Result<Vec<Arc<dyn PluginKind>>, NodeError> {
    let names: Vec<String> = kinds.iter().map(|kind| kind.descriptor().name.clone()).collect();
    let mut chosen: BTreeSet<&str> = config.plugins.chosen(names.iter().map(String::as_str));
    chosen.extend(own.iter().map(String::as_str));
    if let Some(unknown) = chosen.iter().find(|name| !names.iter().any(|known| known == *name)) {
        return Err(NodeError::UnknownPlugin((*unknown).to_owned(), names.join(", ")));
    }
    Ok(kinds
        .into_iter()
        .filter(|kind| chosen.contains(kind.descriptor().name.as_str()))
        .collect())
}

/// Whether a route of these protocols belongs to the http subsystem; the first one decides.
fn is_http(protocols: &[&str]) -> bool {
    protocols
        .first()
        .is_none_or(|protocol| matches!(*protocol, "http" | "https" | "grpc" | "grpcs"))
}

fn registry(config: &Config, kinds: &[Arc<dyn PluginKind>], is_db_less: bool) -> Result<Registry, NodeError> {
    let (flavor, _) = settings::flavor(config.proxy.router_flavor);
    let mut builder = RegistryBuilder::new(flavor)
        .db_less(is_db_less)
        .expressions(Arc::new(|source, protocols| {
            kong_router::validate_expression(source, is_http(protocols))
        }));
    for kind in kinds {
        let descriptor = kind.descriptor();
        let other = is_db_less.then(|| kind.schema_without_datastore()).flatten();
        builder = builder.plugin(PluginSchema {
            name: descriptor.name.clone(),
            version: descriptor.version.clone(),
            priority: descriptor.priority.into(),
            schema: other.unwrap_or_else(|| descriptor.schema.clone()),
        });
        for entity in &descriptor.entities {
            builder = builder.entity(entity.clone());
        }
    }
    Ok(builder.build()?)
}

fn open_store(config: &Config) -> Result<Arc<dyn Datastore>, NodeError> {
    Ok(match config.database.kind {
        DatabaseKind::Sqlite => Arc::new(SqliteStore::open(&config.database.sqlite_path)?),
        other => {
            return Err(NodeError::Unsupported(format!(
                "no backend for database '{}'",
                other.name()
            )));
        }
    })
}

async fn purge_regularly(store: Arc<dyn Datastore>) {
    loop {
        tokio::time::sleep(PURGE_EVERY).await;
        match store.purge_expired().await {
            Ok(0) => {}
            Ok(n) => tracing::debug!("{n} expired rows deleted"),
            Err(error) => tracing::error!("expired rows could not be deleted: {error}"),
        }
    }
}

fn hostname() -> String {
    let read = |path| std::fs::read_to_string(path).ok().map(|name| name.trim().to_owned());
    read("/proc/sys/kernel/hostname")
        .or_else(|| std::env::var("HOSTNAME").ok())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
