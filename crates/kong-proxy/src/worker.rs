//! What one worker thread shares between its connections.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use kong_http::{BufferConfig, Client, ClientConfig, ClientTls, ClientVerify, buffer_body};
use kong_message::{Body, BodyError, Request};
use kong_plugin::{BufferBody, Entities, Exchange, NodeIdentity, Source, Timings};
use kong_router::uri;
use smallvec::SmallVec;

use crate::access_log::AccessLog;
use crate::dns::{self, DnsSettings};
use crate::resolve::Resolver;
use crate::settings::ProxySettings;
use crate::snapshot::Snapshot;
use crate::stats::WorkerStats;
use crate::{flight, real_ip};

/// What every worker of a node is made of.
#[derive(Clone)]
pub struct WorkerOptions {
    /// Settings.
    pub settings: Arc<ProxySettings>,
    /// Where the current snapshot is.
    pub snapshots: Arc<ArcSwap<Snapshot>>,
    /// Entities loaded on demand.
    pub entities: Entities,
    /// Who this node is.
    pub node: Arc<NodeIdentity>,
    /// How names of services are resolved.
    pub dns: Arc<DnsSettings>,
    /// Where requests are logged; `None`: nowhere.
    pub access_log: Option<AccessLog>,
}

/// See the module.
pub struct Worker {
    pub(crate) settings: Arc<ProxySettings>,
    pub(crate) client: Client,
    pub(crate) tls: ClientTls,
    pub(crate) resolver: Resolver,
    pub(crate) stats: Arc<WorkerStats>,
    pub(crate) access_log: Option<AccessLog>,
    entities: Entities,
    node: Arc<NodeIdentity>,
    buffering: Rc<dyn BufferBody>,
    snapshots: RefCell<Snapshots>,
    random: RefCell<fastrand::Rng>,
}

/// A snapshot that this worker holds: the outer count is its own, the inner one is shared by all threads.
#[allow(clippy::redundant_allocation)]
pub(crate) type Held = Rc<Arc<Snapshot>>;

/// The current snapshot behind a worker's own reference count: a request then touches no counter that other workers
/// touch too.
struct Snapshots {
    cache: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    current: Held,
}

struct Buffering {
    config: BufferConfig,
}

impl BufferBody for Buffering {
    fn buffer(&self, body: Body) -> Pin<Box<dyn Future<Output = Result<Body, BodyError>> + '_>> {
        Box::pin(buffer_body(body, &self.config))
    }
}

impl Worker {
    /// The state of a new worker. Call on the worker's own thread.
    ///
    /// # Errors
    /// When TLS towards upstreams cannot be set up.
    pub fn new(options: WorkerOptions, stats: Arc<WorkerStats>) -> Result<Rc<Self>, rustls::Error> {
        let WorkerOptions {
            settings,
            snapshots,
            entities,
            node,
            dns,
            access_log,
        } = options;
        let client = Client::new(ClientConfig {
            pool_size: settings.keepalive_pool_size,
            max_requests: settings.keepalive_max_requests,
            idle_timeout: settings.keepalive_idle_timeout,
            ..ClientConfig::default()
        });
        let config = BufferConfig {
            memory: settings.client_body_buffer_size,
            dir: settings.body_directory.clone(),
        };
        let current = Rc::new(snapshots.load_full());
        Ok(Rc::new(Worker {
            client,
            tls: ClientTls::new(ClientVerify::Off, None)?,
            resolver: Resolver::new(dns::resolver(&dns), (*dns).clone()),
            stats,
            access_log,
            entities,
            node,
            buffering: Rc::new(Buffering { config }),
            snapshots: RefCell::new(Snapshots {
                cache: Cache::new(snapshots),
                current,
            }),
            random: RefCell::new(fastrand::Rng::new()),
            settings,
        }))
    }

    /// The current snapshot.
    pub(crate) fn snapshot(&self) -> Held {
        let mut snapshots = self.snapshots.borrow_mut();
        let Snapshots { cache, current } = &mut *snapshots;
        let latest = cache.load();
        if !Arc::ptr_eq(latest, current) {
            *current = Rc::new(latest.clone());
        }
        current.clone()
    }

    /// A new request id: 128 random bits in lower-case hex. An identifier, not a secret.
    pub(crate) fn request_id(&self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut bits = self.random.borrow_mut().u128(..);
        let mut id = [b'0'; 32];
        for digit in &mut id {
            // The index is below 16.
            *digit = DIGITS.get((bits & 15) as usize).copied().unwrap_or(b'0');
            bits >>= 4;
        }
        id
    }

    /// The exchange of a request.
    pub(crate) fn exchange(self: &Rc<Self>, request: Request, snapshot: &Snapshot) -> flight::InFlight {
        let Request {
            head,
            body,
            conn,
            received,
            requests_on_connection,
            head_bytes,
        } = request;
        let client = real_ip::client(conn.peer, &head.headers, &self.settings);
        let path = match (head.path(), head.query()) {
            // An absolute form without a path, `http://host?query`: the original takes the query for the path.
            (b"", Some(query)) => [b"?", query].concat(),
            (b"", None) => b"/".to_vec(),
            (path, _) => uri::normalize(path).into_owned(),
        };
        let query = head.query().map(bytes::Bytes::copy_from_slice);
        let exchange = Box::new(Exchange {
            scheme: conn.scheme(),
            host_port: self.settings.host_port(conn.local.port()),
            client,
            path,
            query,
            head,
            body,
            requests_on_connection,
            id: self.request_id(),
            route: None,
            service: None,
            captures: Vec::new(),
            upstream: None,
            consumer: None,
            credential: None,
            plan: snapshot.plans.global.clone(),
            collected: SmallVec::new(),
            states: Vec::new(),
            shared: Default::default(),
            log_values: Vec::new(),
            early_response_headers: Vec::new(),
            guards: Vec::new(),
            response: None,
            response_body: Body::Empty,
            source: Source::Exit,
            tries: Vec::new(),
            timings: Timings {
                wall: SystemTime::now(),
                received,
                peer_chosen: None,
                upstream_head: None,
                finished: None,
            },
            bytes_sent: 0,
            bytes_received: head_bytes as u64,
            is_client_gone: false,
            entities: self.entities.clone(),
            node: self.node.clone(),
            buffering: self.buffering.clone(),
            conn,
        });
        flight::InFlight::new(self.clone(), exchange)
    }

    /// Who this node is.
    pub fn node(&self) -> &NodeIdentity {
        &self.node
    }
}
