//! The Admin API and the Status API: HTTP in, one call on the data access object, JSON out. Knows no particular
//! database.
//!
//! Endpoints of entities are generated from the registry: every schema that is exposed gets its collection, its
//! entities, the same below each parent, and the entity that each of its foreign fields points to. What single entities
//! do differently (admin-api.md §7) replaces single methods of single paths, each in its own module under `special`.
//!
//! axum carries the requests, but its router has a single route: Kong matches raw, undecoded paths, prefers literals
//! with backtracking, and tells 404 from 405 by the methods of a path, so the paths are in a table of our own.
//!
//! ```
//! use std::sync::Arc;
//! use kong_admin::{AdminApp, AdminContext, NodeInfo};
//! use kong_datastore::MemoryStore;
//! use kong_datastore::dao::{Dao, NoListener};
//! use kong_model::{RegistryBuilder, RouterFlavor};
//!
//! struct Node(uuid::Uuid);
//! impl NodeInfo for Node {
//!     fn node_id(&self) -> uuid::Uuid { self.0 }
//!     fn hostname(&self) -> String { "localhost".into() }
//!     fn configuration(&self) -> kong_schema::Object { Default::default() }
//! }
//!
//! let registry = Arc::new(RegistryBuilder::new(RouterFlavor::default()).build().unwrap());
//! let node = Arc::new(Node(uuid::Uuid::new_v4()));
//! let dao = Dao::new(Arc::new(MemoryStore::new()), registry.schemas().into(), node.0, Arc::new(NoListener))
//!     .with_rules(kong_admin::entity_rules());
//! let router: axum::Router = AdminApp::new(AdminContext::new(dao, registry, node));
//! ```

// An error object is as large as the answer it becomes, and as rare.
#![allow(clippy::result_large_err)]

mod app;
mod balancers;
mod error;
mod generic;
mod message;
mod node;
mod routes;
mod rules;
mod special;
mod table;
mod transport;

pub use app::{AdminApp, AdminContext, PluginRoute, RouteHandler, status_app};
pub use balancers::{
    AddressReport, HealthChange, HealthRefusal, HealthReport, HostReport, UpstreamHealth, WeightReport,
};
pub use message::{AdminRequest, AdminResponse, HTML, Input, JSON, PathParam, QueryParam, TEXT};
pub use node::{Counters, DeclarativeConfig, LogLevels, Memory, NodeInfo, Pids, Timers, Zone};
pub use rules::entity_rules;
pub use transport::{Cors, HeaderOptions, ServeOptions, serve};
