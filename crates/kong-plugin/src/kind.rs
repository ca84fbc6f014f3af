//! What a node knows of a plugin before any instance exists: the factory.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use kong_schema::{Object, Schema};
use uuid::Uuid;

use crate::{Entities, Phases, Plugin, PluginError};

/// Static facts about a plugin.
#[derive(Debug, Clone)]
pub struct Descriptor {
    /// Name, e.g. `key-auth`.
    pub name: String,
    /// Version shown by `GET /`.
    pub version: String,
    /// Order of execution: larger runs first; equal ones by descending name.
    pub priority: i32,
    /// Implemented phases.
    pub phases: Phases,
    /// Sub-schema of `plugins`: refused scopes, protocols, `config`.
    pub schema: Arc<Schema>,
    /// Entities that the plugin brings (credentials, tokens).
    pub entities: Vec<Arc<Schema>>,
}

impl Descriptor {
    /// Whether an instance may be bound to the foreign entity (`route`, `service`, `consumer`).
    pub fn accepts_scope(&self, scope: &str) -> bool {
        self.schema.field(scope).is_none_or(|def| {
            !def.validators
                .iter()
                .any(|v| matches!(v, kong_schema::Validator::Eq(v) if v.is_null()))
        })
    }
}

/// A row of `plugins` to make an instance of.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Id of the row.
    pub id: Uuid,
    /// Plugin name.
    pub name: String,
    /// Name given by the user.
    pub instance_name: Option<String>,
    /// Validated configuration with defaults.
    pub config: Object,
    /// Route of the instance's own scope (not of the request).
    pub route_id: Option<Uuid>,
    /// Service of the instance's own scope.
    pub service_id: Option<Uuid>,
    /// Consumer of the instance's own scope.
    pub consumer_id: Option<Uuid>,
    /// Workspace.
    pub ws_id: Uuid,
}

/// Who this node is.
#[derive(Debug, Clone)]
pub struct NodeIdentity {
    /// Node id.
    pub id: Uuid,
    /// Host name.
    pub hostname: String,
    /// Working directory.
    pub prefix: PathBuf,
    /// Version shown in `Server` and `Via`: `kong/3.9.3`.
    pub server_token: &'static str,
}

/// Runs background work outside the workers; tasks are awaited (bounded) on drain.
pub trait TaskSpawner: Send + Sync {
    /// Starts a task on the node's background runtime. It should end soon after `shutdown` resolves.
    fn spawn(&self, name: &'static str, task: Pin<Box<dyn Future<Output = ()> + Send>>);

    /// Resolves when the node drains.
    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Figures of the node since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeFigures {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open now.
    pub active: u64,
    /// Requests received.
    pub requests: u64,
    /// Requests being worked on now.
    pub in_flight: u64,
}

/// How the node is, for metrics.
pub trait NodeStatus: Send + Sync {
    /// Figures of the node.
    fn figures(&self) -> NodeFigures;

    /// Whether the datastore answers.
    fn is_store_reachable(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;
}

/// What the node offers to plugin kinds and instances.
#[derive(Clone)]
pub struct PluginEnv {
    /// Who this node is.
    pub node: Arc<NodeIdentity>,
    /// Consumers, credentials and other entities that are loaded on demand.
    pub entities: Entities,
    /// Background work.
    pub tasks: Arc<dyn TaskSpawner>,
    /// How the node is.
    pub status: Arc<dyn NodeStatus>,
}

/// A plugin as the node knows it: its facts and how to make an instance of it. One value per node, so state that is to
/// survive configuration changes (counters, queues) lives in the kind and is handed to instances.
pub trait PluginKind: Send + Sync + 'static {
    /// Static facts.
    fn descriptor(&self) -> &Descriptor;

    /// The schema on a node without a datastore, where it is another one.
    fn schema_without_datastore(&self) -> Option<Arc<Schema>> {
        None
    }

    /// Makes an instance of a validated row. Called off the request path; an unchanged row keeps its instance.
    fn instantiate(&self, instance: Instance, env: &PluginEnv) -> Result<Arc<dyn Plugin>, PluginError>;

    /// Once at node start, configured or not.
    fn init(&self, _env: &PluginEnv) {}

    /// Whether [`PluginKind::configure`] is of interest; gathering the instances costs in proportion to their number.
    fn observes_instances(&self) -> bool {
        false
    }

    /// After every change to the plugin's set of enabled instances and once at start, if
    /// [`PluginKind::observes_instances`].
    fn configure(&self, _instances: &[Instance], _env: &PluginEnv) {}

    /// Log files were rotated (`SIGUSR1`): open them anew.
    fn reopen(&self) {}

    /// Routes added to the Admin or Status API.
    fn routes(&self, _env: &PluginEnv) -> Vec<AdminRoute> {
        Vec::new()
    }
}

/// Where an [`AdminRoute`] is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Admin API.
    Admin,
    /// Status API.
    Status,
    /// Both.
    Both,
}

/// A request to a plugin's Admin route.
#[derive(Debug, Clone)]
pub struct AdminRequest {
    /// Method.
    pub method: String,
    /// Values of the `{parameters}` of the path, undecoded, in order.
    pub parameters: Vec<String>,
    /// Decoded query and body members.
    pub arguments: Object,
}

/// Answer of a plugin's Admin route.
#[derive(Debug, Clone)]
pub struct AdminResponse {
    /// Status.
    pub status: u16,
    /// `Content-Type`, if there is a body.
    pub content_type: Option<String>,
    /// Body.
    pub body: Bytes,
}

/// Handler of an [`AdminRoute`].
pub type AdminHandler = Arc<dyn Fn(AdminRequest) -> Pin<Box<dyn Future<Output = AdminResponse> + Send>> + Send + Sync>;

/// An endpoint that a plugin adds to the Admin or Status API.
#[derive(Clone)]
pub struct AdminRoute {
    /// Which API.
    pub surface: Surface,
    /// Method.
    pub method: &'static str,
    /// Path template, e.g. `/proxy-cache/{cache_key}`.
    pub path: String,
    /// Handler.
    pub handler: AdminHandler,
}
