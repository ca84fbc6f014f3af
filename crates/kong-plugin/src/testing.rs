//! For unit tests of plugins: a node without sockets, and exchanges made of a request's text.
//!
//! ```
//! use kong_plugin::testing::TestNode;
//!
//! let node = TestNode::new(Vec::new());
//! let exchange = node.exchange("GET /a?b=1 HTTP/1.1\r\nHost: example.test\r\n\r\n");
//! assert_eq!((exchange.method(), exchange.header("host")), ("GET", Some("example.test")));
//! ```
//!
//! With plugins: register their kinds, put rows into the store, and run a request through instances of them; see
//! [`TestNode::run`].

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use kong_cache::{CacheOptions, EntityCache};
use kong_datastore::{Batch, Datastore, MemoryStore, RowOp, unix_now};
use kong_message::{Body, BodyError, ConnInfo, HeaderBlock, Method, RequestHead, ResponseHead, Target, Version};
use kong_model::{PluginSchema, Registry, RegistryBuilder, Route, RouterFlavor, Service};
use kong_schema::{Object, Operation};
use serde_json::{Value, json};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::exchange::BufferBody;
use crate::pipeline::{self, Flow};
use crate::{
    Action, AdminRequest, AdminResponse, Client, Entities, Exchange, Instance, LocalBody, LocalResponse, NodeFigures,
    NodeIdentity, NodeStatus, Phases, Plan, PlanEntry, Plugin, PluginEnv, PluginError, PluginKind, Selected, Source,
    StreamExchange, TaskSpawner, Timings, UpstreamRequest, UpstreamTimeouts,
};

/// Id of the route that test exchanges matched.
pub const ROUTE_ID: Uuid = Uuid::from_u128(0xaaaaaaaa_bbbb_4ccc_8ddd_eeeeeeeeeeee);
/// Id of its service.
pub const SERVICE_ID: Uuid = Uuid::from_u128(0xaaaaaaaa_bbbb_4ccc_8ddd_ffffffffffff);

/// Runs a future on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park_timeout(Duration::from_millis(20)),
        }
    }
}

/// Runs tasks on threads of their own; never shuts down.
struct Threads;

impl TaskSpawner for Threads {
    fn spawn(&self, _name: &'static str, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        std::thread::spawn(move || block_on(task));
    }

    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

/// A node that has served one request.
struct Healthy;

impl NodeStatus for Healthy {
    fn figures(&self) -> NodeFigures {
        NodeFigures {
            accepted: 1,
            active: 1,
            requests: 1,
            in_flight: 0,
        }
    }

    fn is_store_reachable(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(std::future::ready(true))
    }
}

/// Keeps request bodies in memory, as far as they fit into 8 KiB; longer ones are handed over as a stream again.
struct Memory;

impl BufferBody for Memory {
    fn buffer(&self, mut body: Body) -> Pin<Box<dyn Future<Output = Result<Body, BodyError>> + '_>> {
        Box::pin(async move {
            let mut all = Vec::new();
            while let Some(chunk) = body.chunk().await {
                all.extend_from_slice(&chunk?);
            }
            Ok(Body::from_bytes(all))
        })
    }
}

/// A node without sockets: memory store, cache, plugin kinds.
pub struct TestNode {
    kinds: Vec<Arc<dyn PluginKind>>,
    registry: Registry,
    store: Arc<MemoryStore>,
    env: PluginEnv,
    /// Request heads are from this address.
    pub peer: SocketAddr,
}

impl TestNode {
    /// A node with these plugins.
    ///
    /// # Panics
    /// When the schemas do not fit together.
    pub fn new(kinds: Vec<Arc<dyn PluginKind>>) -> Self {
        let mut builder = RegistryBuilder::new(RouterFlavor::default());
        for kind in &kinds {
            let descriptor = kind.descriptor();
            for entity in &descriptor.entities {
                builder = builder.entity(entity.clone());
            }
            builder = builder.plugin(PluginSchema {
                name: descriptor.name.clone(),
                version: descriptor.version.clone(),
                priority: descriptor.priority.into(),
                schema: descriptor.schema.clone(),
            });
        }
        let registry = builder.build().unwrap_or_else(|error| panic!("{error}"));
        let store = Arc::new(MemoryStore::new());
        block_on(store.prepare(registry.schemas())).unwrap_or_else(|error| panic!("{error}"));
        let cache = EntityCache::new(CacheOptions::new(store.clone(), store.default_workspace()));
        let node = NodeIdentity {
            id: Uuid::from_u128(0x11111111_2222_4333_8444_555555555555),
            hostname: "node.test".into(),
            prefix: PathBuf::from("."),
            server_token: "kong/3.9.3",
        };
        let env = PluginEnv {
            node: Arc::new(node),
            entities: Entities::new(cache, registry.schemas().iter().cloned()),
            tasks: Arc::new(Threads),
            status: Arc::new(Healthy),
        };
        for kind in &kinds {
            kind.init(&env);
        }
        TestNode {
            kinds,
            registry,
            store,
            env,
            peer: SocketAddr::from(([127, 0, 0, 1], 40000)),
        }
    }

    /// What the node offers to plugins.
    pub fn env(&self) -> &PluginEnv {
        &self.env
    }

    /// Calls a route that a plugin added; `path` without its query.
    ///
    /// # Panics
    /// When no plugin added it.
    pub fn admin(&self, method: &str, path: &str) -> AdminResponse {
        let segments: Vec<&str> = path.split('/').collect();
        for route in self.kinds.iter().flat_map(|kind| kind.routes(&self.env)) {
            let template: Vec<&str> = route.path.split('/').collect();
            let is_parameter = |part: &str| part.starts_with('{');
            let fits = template.len() == segments.len()
                && template
                    .iter()
                    .zip(&segments)
                    .all(|(part, segment)| is_parameter(part) || part == segment);
            if route.method == method && fits {
                let parameters = template.iter().zip(&segments).filter(|(part, _)| is_parameter(part));
                return block_on((route.handler)(AdminRequest {
                    method: method.to_owned(),
                    parameters: parameters.map(|(_, segment)| (*segment).to_owned()).collect(),
                    arguments: Object::new(),
                }));
            }
        }
        panic!("no plugin added {method} {path}")
    }

    /// Tells the kinds of their instances, as a node does after every change.
    pub fn configure(&self, plugin: &str, instances: &[Instance]) {
        // A node asks first.
        if self.kind(plugin).observes_instances() {
            self.kind(plugin).configure(instances, &self.env);
        }
    }

    /// Every schema of the node.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Stores an entity, with defaults applied, and returns it.
    ///
    /// # Panics
    /// When it is not valid.
    pub fn insert(&self, entity: &str, body: Value) -> Object {
        let schema = self
            .registry
            .schema(entity)
            .unwrap_or_else(|| panic!("no entity '{entity}'"))
            .clone();
        let input = object(body);
        let mut row = schema
            .process(Operation::Insert, &input, None, unix_now())
            .unwrap_or_else(|errors| panic!("{entity}: {}", Value::Object(errors)));
        if let Err(errors) = schema.validate(&row, Operation::Insert, &input) {
            panic!("{entity}: {}", Value::Object(errors));
        }
        if let Err(error) = schema.transform(&mut row, &input, Operation::Insert) {
            panic!("{entity}: {error}");
        }
        let ws = self.store.default_workspace();
        let batch = Batch::one(self.env.node.id, &schema, ws, RowOp::Insert(row.clone()));
        let changes = block_on(self.store.write(batch)).unwrap_or_else(|error| panic!("{entity}: {error}"));
        for change in &changes {
            self.env.entities.cache().invalidate_change(change);
        }
        row
    }

    /// Validates a plugin's configuration, with defaults applied; `Err` holds the errors below `fields`.
    ///
    /// # Errors
    /// When it is not valid.
    ///
    /// # Panics
    /// When there is no such plugin.
    pub fn configuration(&self, plugin: &str, config: Value) -> Result<Object, Value> {
        let schema = &self.kind(plugin).descriptor().schema;
        let input = object(json!({ "config": config }));
        let entity = schema
            .process(Operation::Insert, &input, None, unix_now())
            .map_err(Value::Object)?;
        schema
            .validate(&entity, Operation::Insert, &input)
            .map_err(Value::Object)?;
        Ok(entity
            .get("config")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default())
    }

    fn kind(&self, plugin: &str) -> &Arc<dyn PluginKind> {
        let found = self.kinds.iter().find(|kind| kind.descriptor().name == plugin);
        found.unwrap_or_else(|| panic!("plugin '{plugin}' is not registered"))
    }

    /// An instance row with this configuration, not bound to anything.
    ///
    /// # Panics
    /// When the configuration is not valid.
    pub fn row(&self, plugin: &str, config: Value) -> Instance {
        let config = self
            .configuration(plugin, config)
            .unwrap_or_else(|errors| panic!("{plugin}: {errors}"));
        Instance {
            id: Uuid::new_v4(),
            name: plugin.to_owned(),
            instance_name: None,
            config,
            route_id: None,
            service_id: None,
            consumer_id: None,
            ws_id: self.store.default_workspace(),
        }
    }

    /// Makes the running plugin of a row.
    ///
    /// # Errors
    /// When the plugin refuses it.
    pub fn instantiate(&self, instance: Instance) -> Result<Arc<dyn Plugin>, PluginError> {
        self.kind(&instance.name).instantiate(instance, &self.env)
    }

    /// A plan of these instances, in order of execution.
    ///
    /// # Panics
    /// When one cannot be made.
    pub fn plan(&self, instances: Vec<Instance>) -> Arc<Plan> {
        let mut ordered: Vec<(i32, Instance)> = instances
            .into_iter()
            .map(|i| (self.kind(&i.name).descriptor().priority, i))
            .collect();
        ordered.sort_by(|a, b| (b.0, &b.1.name).cmp(&(a.0, &a.1.name)));
        let entries = ordered.into_iter().map(|(_, instance)| {
            let phases = self.kind(&instance.name).descriptor().phases;
            let plugin = self
                .instantiate(instance.clone())
                .unwrap_or_else(|error| panic!("{error}"));
            let selected = Selected {
                instance,
                plugin,
                phases,
            };
            PlanEntry {
                phases,
                instance: Some(Arc::new(selected)),
                by_consumer: None,
            }
        });
        Arc::new(Plan::new(entries.collect()))
    }

    /// A plan of one unbound instance for each `(plugin, configuration)`.
    pub fn plan_of(&self, plugins: &[(&str, Value)]) -> Arc<Plan> {
        self.plan(
            plugins
                .iter()
                .map(|(name, config)| self.row(name, config.clone()))
                .collect(),
        )
    }

    /// An exchange of a request's text (head and body), matched by the test route.
    ///
    /// # Panics
    /// When the text is not a request.
    pub fn exchange(&self, text: &str) -> Exchange {
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no empty line after the head"));
        let mut lines = head.split("\r\n");
        let mut start = lines.next().unwrap_or_default().split(' ');
        let (method, target) = (start.next().unwrap_or_default(), start.next().unwrap_or_default());
        let version = match start.next() {
            Some("HTTP/1.0") => Version::Http10,
            Some("HTTP/2") => Version::Http2,
            _ => Version::Http11,
        };
        let mut headers = HeaderBlock::new();
        for line in lines {
            let (name, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("not a header line: {line}"));
            headers.append(name, value.trim());
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap_or_else(|| panic!("not a method: {method}"));
        let target = Target::parse(target.as_bytes()).unwrap_or_else(|| panic!("not a target: {target}"));
        self.exchange_of(
            RequestHead::new(method, target, version, headers),
            Body::from_bytes(body.as_bytes().to_vec()),
        )
    }

    /// An exchange of a head and a body.
    pub fn exchange_of(&self, head: RequestHead, body: Body) -> Exchange {
        let path = head.path().to_vec();
        Exchange {
            body,
            conn: self.connection(),
            requests_on_connection: 1,
            id: *b"0123456789abcdef0123456789abcdef",
            scheme: "http",
            host_port: 8000,
            client: self.client(),
            query: head.query().map(Bytes::copy_from_slice),
            route: Some(Arc::new(route())),
            service: Some(Arc::new(service())),
            captures: Vec::new(),
            upstream: Some(UpstreamRequest {
                scheme: "http",
                host: "upstream.test".into(),
                port: 80,
                path: String::from_utf8_lossy(&path).into_owned(),
                host_header: None,
                retries: 5,
                timeouts: UpstreamTimeouts {
                    connect: Duration::from_secs(60),
                    write: Duration::from_secs(60),
                    read: Duration::from_secs(60),
                },
            }),
            path,
            head,
            consumer: None,
            credential: None,
            plan: Arc::default(),
            collected: SmallVec::new(),
            states: Vec::new(),
            shared: Object::new(),
            log_values: Vec::new(),
            early_response_headers: Vec::new(),
            guards: Vec::new(),
            response: None,
            response_body: Body::Empty,
            source: Source::Exit,
            tries: Vec::new(),
            timings: Timings {
                wall: SystemTime::now(),
                received: Instant::now(),
                peer_chosen: None,
                upstream_head: None,
                finished: None,
            },
            bytes_sent: 0,
            bytes_received: 0,
            is_client_gone: false,
            entities: self.env.entities.clone(),
            node: self.env.node.clone(),
            buffering: Rc::new(Memory),
        }
    }

    /// An L4 session.
    pub fn session(&self, plan: Arc<Plan>) -> StreamExchange {
        StreamExchange {
            conn: self.connection(),
            client: self.client(),
            protocol: "tcp",
            sni: None,
            route: Some(Arc::new(route())),
            service: Some(Arc::new(service())),
            plan,
            consumer: None,
            log_values: Vec::new(),
            started: SystemTime::now(),
            started_at: Instant::now(),
            status: 200,
            bytes_received: 0,
            bytes_sent: 0,
            entities: self.env.entities.clone(),
            node: self.env.node.clone(),
        }
    }

    fn connection(&self) -> Rc<ConnInfo> {
        let local = SocketAddr::from(([127, 0, 0, 1], 8000));
        Rc::new(ConnInfo {
            peer: self.peer,
            local,
            tls: None,
            worker: 0,
            serial: 7,
        })
    }

    fn client(&self) -> Client {
        Client {
            peer: self.peer,
            ip: self.peer.ip(),
            port: self.peer.port(),
            is_trusted: false,
        }
    }

    /// Runs `rewrite` and `access` of a plan over a request.
    pub fn run(&self, plan: &Arc<Plan>, request: &str) -> Run {
        self.run_exchange(plan, self.exchange(request))
    }

    /// As [`TestNode::run`], of an exchange.
    pub fn run_exchange(&self, plan: &Arc<Plan>, mut exchange: Exchange) -> Run {
        exchange.plan = plan.clone();
        let flow = block_on(async {
            match pipeline::rewrite(&mut exchange).await {
                Flow::Continue => pipeline::access(&mut exchange).await,
                other => {
                    pipeline::collect_global(&mut exchange);
                    other
                }
            }
        });
        Run {
            exchange,
            flow: Some(flow),
        }
    }
}

/// A request after its `access` phase.
pub struct Run {
    /// The request as the service would get it.
    pub exchange: Exchange,
    flow: Option<Flow>,
}

impl Run {
    /// Whether the request goes on to the service.
    pub fn is_proxied(&self) -> bool {
        matches!(self.flow, Some(Flow::Continue))
    }

    /// Whether a plugin failed.
    pub fn has_failed(&self) -> bool {
        matches!(self.flow, Some(Flow::Failed))
    }

    /// The response that a plugin gave.
    pub fn local(&self) -> Option<&LocalResponse> {
        match &self.flow {
            Some(Flow::Answered(Action::Respond(local))) => Some(local),
            _ => None,
        }
    }

    /// Status of the answer so far: 200 for a proxied request, 500 for a failure.
    pub fn status(&self) -> u16 {
        match &self.flow {
            Some(Flow::Answered(Action::Respond(local))) => local.status,
            Some(Flow::Answered(Action::Answer(head, _))) => head.status,
            Some(Flow::Failed) => 500,
            _ => 200,
        }
    }

    /// Message of the answer, of either kind.
    pub fn message(&self) -> Option<String> {
        match &self.local()?.body {
            LocalBody::Error(message) => message.clone(),
            LocalBody::Json(value) => Some(value.get("message")?.as_str()?.to_owned()),
            _ => None,
        }
    }

    /// First value of a header of the answer.
    pub fn local_header(&self, name: &str) -> Option<String> {
        let (_, value) = self
            .local()?
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// Runs the later phases over this response of the service, or over the plugin's answer, and gives what the client
    /// gets.
    pub fn finish(self, head: ResponseHead, body: impl Into<Body>) -> Finished {
        let Run { mut exchange, flow } = self;
        let (head, body) = match flow {
            Some(Flow::Answered(Action::Respond(local))) => render(&local),
            Some(Flow::Answered(Action::Answer(head, body))) => (*head, body),
            Some(Flow::Failed) => {
                exchange.source = Source::Error;
                render(&LocalResponse::default_error(500))
            }
            _ => {
                exchange.source = Source::Service;
                let now = Instant::now();
                exchange.timings.peer_chosen = Some(now);
                exchange.timings.upstream_head = Some(now);
                (head, body.into())
            }
        };
        exchange.response = Some(head);
        exchange.response_body = body;
        let mut sent = Vec::new();
        if exchange.source == Source::Service && pipeline::has_phase(&exchange, Phases::RESPONSE) {
            block_on(respond(&mut exchange));
        }
        block_on(async {
            pipeline::header_filter(&mut exchange).await;
            let mut body = std::mem::replace(&mut exchange.response_body, Body::Empty);
            while let Some(Ok(mut chunk)) = body.chunk().await {
                pipeline::body_filter(&mut exchange, &mut chunk, false);
                sent.extend_from_slice(&chunk);
            }
        });
        let mut last = Bytes::new();
        pipeline::body_filter(&mut exchange, &mut last, true);
        sent.extend_from_slice(&last);
        exchange.bytes_sent = sent.len() as u64;
        exchange.timings.finished = Some(Instant::now());
        pipeline::log(&mut exchange);
        Finished { exchange, body: sent }
    }
}

/// A request that was answered.
pub struct Finished {
    /// The exchange, with the response's head.
    pub exchange: Exchange,
    /// Body that the client got.
    pub body: Vec<u8>,
}

impl Finished {
    /// Status.
    pub fn status(&self) -> u16 {
        self.exchange.status().unwrap_or_default()
    }

    /// First value of a response header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.exchange.response.as_ref()?.headers.get_str(name)
    }

    /// All values of a response header.
    pub fn header_all(&self, name: &str) -> Vec<String> {
        let Some(head) = &self.exchange.response else {
            return Vec::new();
        };
        head.headers
            .get_all(name)
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    }
}

/// Buffers the response and runs the `response` phase.
async fn respond(exchange: &mut Exchange) {
    let mut body = std::mem::take(&mut exchange.response_body);
    let bytes = body.collect(1 << 20).await.unwrap_or_default();
    exchange.response_body = Body::Memory(bytes);
    if let Flow::Answered(Action::Respond(local)) = pipeline::response(exchange).await {
        let (head, body) = render(&local);
        exchange.response = Some(head);
        exchange.response_body = body;
    }
}

/// A local response without the gateway's templates.
fn render(local: &LocalResponse) -> (ResponseHead, Body) {
    let mut head = ResponseHead::new(local.status);
    let body = match &local.body {
        LocalBody::Empty => Body::Empty,
        LocalBody::Json(value) => Body::from_bytes(value.to_string()),
        LocalBody::Text(bytes) => Body::from_bytes(bytes.clone()),
        LocalBody::Error(message) => Body::from_bytes(json!({ "message": message }).to_string()),
    };
    for (name, value) in &local.headers {
        head.headers.set(name, value);
    }
    (head, body)
}

fn route() -> Route {
    entity(json!({
        "id": ROUTE_ID, "name": "route", "created_at": 1, "updated_at": 1, "protocols": ["http", "https"],
        "https_redirect_status_code": 426, "strip_path": true, "preserve_host": false, "request_buffering": true,
        "response_buffering": true, "paths": ["/"], "service": { "id": SERVICE_ID },
    }))
}

fn service() -> Service {
    entity(json!({
        "id": SERVICE_ID, "name": "service", "created_at": 1, "updated_at": 1, "protocol": "http",
        "host": "upstream.test", "port": 80, "enabled": true,
    }))
}

fn entity<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}"))
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}
