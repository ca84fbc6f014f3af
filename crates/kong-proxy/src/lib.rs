//! The data plane: joins the HTTP engine, the snapshot, the plugin pipeline and the upstream into a request's life.
//! Writes no configuration.
//!
//! [`Gateway`] holds the life of a request on one screen; [`Compiler`] turns row changes into [`Snapshot`]s.

mod access_log;
mod broken_plugin;
mod buffered;
mod certificates;
mod compiler;
pub mod error_page;
mod filtered_body;
mod flight;
mod forward;
mod gateway;
mod local;
mod pages;
mod plan_table;
mod real_ip;
mod resolve;
mod response_head;
mod settings;
mod shard_map;
mod snapshot;
mod stats;
mod upstream;
mod worker;

pub use access_log::AccessLog;
pub use compiler::{COMPILED_ENTITIES, Compiler, RowChange};
pub use gateway::Gateway;
pub use pages::Pages;
pub use resolve::{Lookup, ResolveError, Resolver, SystemLookup};
pub use settings::{Cidr, HeaderTokens, ProxySettings};
pub use snapshot::Snapshot;
pub use stats::{Totals, WorkerStats};
pub use worker::{Worker, WorkerOptions};
