//! The applications: what is in them, and the way of a request through them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::{Router, extract::Request};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::{Method, header};
use http_body_util::BodyExt;
use kong_datastore::dao::Dao;
use kong_datastore::{BoxFuture, Row, unix_now};
use kong_model::Registry;
use kong_schema::{Object, Schema};
use serde_json::Value;

use crate::balancers::UpstreamHealth;
use crate::error::ApiError;
use crate::message::{AdminRequest, AdminResponse, PathParam};
use crate::node::{DeclarativeConfig, LogLevelSwitch, NodeInfo};
use crate::routes::{Handler, Routes};
use crate::table::{Endpoint, Table};
use crate::transport::{BadTarget, Cors, Finish, HeaderOptions, Target, decode, media_type, respond};
use crate::{generic, node, special};

/// Largest request body, `nginx_admin_client_max_body_size`.
const MAX_BODY: usize = 10 * 1024 * 1024;
/// Longest pause between two pieces of a request body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// What the applications work with.
#[derive(Clone)]
pub struct AdminContext {
    /// Operations on entities.
    pub dao: Dao,
    /// Entities and plugins of the node.
    pub registry: Arc<Registry>,
    /// The node itself.
    pub node: Arc<dyn NodeInfo>,
    /// Declarative documents, on a node without a database.
    pub declarative: Option<Arc<dyn DeclarativeConfig>>,
    /// Balancers of the node.
    pub balancers: Option<Arc<dyn UpstreamHealth>>,
    /// Which of the gateway's headers answers carry.
    pub headers: HeaderOptions,
    /// Origins of the manager.
    pub cors: Cors,
    /// Filter chains exist (property `wasm`).
    pub wasm: bool,
    /// Endpoints that plugins bring.
    pub plugin_routes: Vec<PluginRoute>,
    /// Largest request body in bytes.
    pub max_body: usize,
    /// Longest pause between two pieces of a request body.
    pub body_timeout: Duration,
}

impl AdminContext {
    /// With Kong's defaults for everything else.
    pub fn new(dao: Dao, registry: Arc<Registry>, node: Arc<dyn NodeInfo>) -> Self {
        Self {
            dao,
            registry,
            node,
            declarative: None,
            balancers: None,
            headers: HeaderOptions::default(),
            cors: Cors::default(),
            wasm: false,
            plugin_routes: Vec::new(),
            max_body: MAX_BODY,
            body_timeout: BODY_TIMEOUT,
        }
    }
}

/// Function of a [`PluginRoute`].
pub type RouteHandler = Arc<dyn Fn(AdminRequest) -> BoxFuture<'static, AdminResponse> + Send + Sync>;

/// An endpoint that a plugin brings, e.g. `DELETE /proxy-cache/{cache_key}`.
#[derive(Clone)]
pub struct PluginRoute {
    /// Method.
    pub method: String,
    /// Path template, parameters in braces.
    pub path: String,
    /// What answers it.
    pub handler: RouteHandler,
}

/// State shared by all requests of an application.
pub(crate) struct Admin {
    pub(crate) dao: Dao,
    pub(crate) registry: Arc<Registry>,
    pub(crate) node: Arc<dyn NodeInfo>,
    pub(crate) declarative: Option<Arc<dyn DeclarativeConfig>>,
    pub(crate) balancers: Option<Arc<dyn UpstreamHealth>>,
    pub(crate) table: Table<Handler>,
    pub(crate) log_level: LogLevelSwitch,
    headers: HeaderOptions,
    /// Absent on the Status API, which browsers do not call.
    cors: Option<Cors>,
    max_body: usize,
    body_timeout: Duration,
}

impl Admin {
    /// A row as clients see it. Without a database a row that does not expire has no `ttl` at all.
    pub(crate) fn view(&self, schema: &Schema, row: &Row) -> Object {
        let mut view = schema.to_response(row, unix_now());
        if self.dao.is_read_only() && schema.storage.ttl && view.get("ttl").is_some_and(Value::is_null) {
            view.remove("ttl");
        }
        view
    }

    /// 200 with a row as clients see it.
    pub(crate) fn shown(&self, schema: &Schema, row: &Row) -> AdminResponse {
        AdminResponse::json(200, &self.view(schema, row))
    }
}

/// The Admin API.
#[derive(Debug)]
pub struct AdminApp;

impl AdminApp {
    /// The Admin API as an axum router, to be served or mounted.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(context: AdminContext) -> Router {
        let mut routes = Routes::new();
        generic::add(&mut routes, &context.registry);
        node::add(&mut routes);
        special::add(&mut routes, &context.registry, context.wasm);
        let cors = Some(context.cors.clone());
        router(context, routes, cors)
    }
}

/// The Status API: reading only, for probes and scrapers (node.md §5).
pub fn status_app(context: AdminContext) -> Router {
    let mut routes = Routes::new();
    node::add_status(&mut routes);
    if context.declarative.is_some() {
        special::add_status(&mut routes, &context.registry);
    }
    router(context, routes, None)
}

fn router(context: AdminContext, mut routes: Routes, cors: Option<Cors>) -> Router {
    for route in context.plugin_routes {
        let handler = route.handler;
        routes.on(&route.method, &route.path, move |_, req| handler(req).map(Ok));
    }
    let admin = Admin {
        dao: context.dao,
        registry: context.registry,
        node: context.node,
        declarative: context.declarative,
        balancers: context.balancers,
        table: routes.into_table(),
        log_level: LogLevelSwitch::default(),
        headers: context.headers,
        cors,
        max_body: context.max_body,
        body_timeout: context.body_timeout,
    };
    Router::new().fallback(handle).with_state(Arc::new(admin))
}

/// One request, from the head to the answer.
async fn handle(State(admin): State<Arc<Admin>>, request: Request) -> Response {
    let started = Instant::now();
    let head = request.method() == Method::HEAD;
    let origin = request
        .headers()
        .get(header::ORIGIN)
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let answer = answer(&admin, request).await;
    respond(
        answer,
        &Finish {
            options: &admin.headers,
            cors: admin.cors.as_ref(),
            origin: origin.as_deref(),
            version: admin.node.version(),
            started,
            head,
        },
    )
}

async fn answer(admin: &Arc<Admin>, request: Request) -> AdminResponse {
    let (parts, body) = request.into_parts();
    let target = match Target::new(parts.uri.path(), parts.uri.query()) {
        Ok(target) => target,
        Err(_) => return AdminResponse::page(400, "Bad Request"),
    };
    let declared = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|n| n > admin.max_body as u64) {
        return AdminResponse::page(413, "Request Entity Too Large");
    }
    // The gate comes before routing: a type that is not read is 415 even where there is nothing.
    let has_body = declared.is_some_and(|n| n > 0) || parts.headers.contains_key(header::TRANSFER_ENCODING);
    let Some(media) = media_type(&parts.method, target.path, &parts.headers, has_body) else {
        return AdminResponse::page(415, "Unsupported Media Type");
    };
    let Some((endpoint, values)) = admin.table.find(target.path) else {
        return ApiError::NotFound.into();
    };
    let method = if parts.method == Method::HEAD {
        Method::GET
    } else {
        parts.method.clone()
    };
    let Some(handler) = endpoint.methods.get(method.as_str()) else {
        if method == Method::OPTIONS {
            return options(endpoint, parts.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS));
        }
        return ApiError::MethodNotAllowed.into();
    };
    let query = match target.query() {
        Ok(query) => query,
        Err(BadTarget::TooManyArguments) => return AdminResponse::message(400, "Too many arguments"),
        Err(BadTarget::Path) => return AdminResponse::page(400, "Bad Request"),
    };
    let body = match media {
        crate::transport::Media::None => Bytes::new(),
        _ => match read_body(body, admin).await {
            Ok(body) => body,
            Err(refusal) => return refusal,
        },
    };
    let input = match decode(media, &parts.headers, body).await {
        Ok(input) => input,
        Err(err) => return AdminResponse::message(400, err.message()),
    };
    let params = endpoint
        .parameters
        .iter()
        .zip(values)
        .map(|(name, raw)| PathParam::new(name, raw))
        .collect();
    let path = target.path.to_owned();
    let request = AdminRequest {
        method,
        path,
        params,
        query,
        headers: parts.headers,
        input,
    };
    handler(Arc::clone(admin), request)
        .await
        .unwrap_or_else(AdminResponse::from)
}

/// The body, limited in size and in the pauses it makes.
async fn read_body(mut body: Body, admin: &Admin) -> Result<Bytes, AdminResponse> {
    let mut read = BytesMut::new();
    loop {
        match tokio::time::timeout(admin.body_timeout, body.frame()).await {
            Err(_) => return Err(AdminResponse::page(408, "Request Time-out")),
            Ok(None) => return Ok(read.freeze()),
            Ok(Some(Err(_))) => return Err(AdminResponse::page(400, "Bad Request")),
            Ok(Some(Ok(frame))) => {
                let Some(data) = frame.data_ref() else { continue };
                if read.len() + data.len() > admin.max_body {
                    return Err(AdminResponse::page(413, "Request Entity Too Large"));
                }
                read.extend_from_slice(data);
            }
        }
    }
}

/// The methods of a path (admin-api.md §1.3).
fn options(endpoint: &Endpoint<Handler>, requested: Option<&http::HeaderValue>) -> AdminResponse {
    let mut methods: Vec<&str> = endpoint.methods.keys().map(String::as_str).collect();
    methods.push("OPTIONS");
    if endpoint.methods.contains_key("GET") {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    let methods = methods.join(", ");
    let requested = requested.and_then(|v| v.to_str().ok()).unwrap_or("Content-Type");
    AdminResponse::empty(204)
        .header("Allow", methods.as_str())
        .header("Access-Control-Allow-Methods", methods.as_str())
        .header("Access-Control-Allow-Headers", requested)
}
