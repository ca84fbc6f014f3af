//! The data plane: joins the HTTP engine, the snapshot, the plugin pipeline and the upstream into a request's life.
//! Writes no configuration.
//!
//! [`Gateway`] holds the life of a request on one screen; [`Compiler`] turns row changes into [`Snapshot`]s.

mod access_log;
mod balancers;
mod broken_plugin;
mod buffered;
mod certificates;
mod checks;
mod compiler;
mod dns;
pub mod error_page;
mod filtered_body;
mod flight;
mod forward;
mod gateway;
mod hash_input;
mod local;
mod names;
mod pages;
mod peers;
mod plan_table;
mod real_ip;
mod resolve;
mod response_head;
mod settings;
mod shard_map;
mod snapshot;
mod stats;
mod upstream;
mod upstream_names;
mod worker;

pub use access_log::AccessLog;
pub use balancers::{ActiveUpstream, Balancers, SetHealthError, UpstreamEntry};
pub use certificates::certified_key;
pub use checks::{Checks, Judgement, Probe, ProbeProtocol};
pub use compiler::{COMPILED_ENTITIES, Compiler, RowChange};
pub use dns::{Dns, DnsSettings};
pub use gateway::Gateway;
pub use pages::Pages;
pub use resolve::{Found, Resolver};
pub use settings::{Cidr, HeaderTokens, ProxySettings};
pub use snapshot::Snapshot;
pub use stats::{Totals, WorkerStats};
pub use worker::{Worker, WorkerOptions};
