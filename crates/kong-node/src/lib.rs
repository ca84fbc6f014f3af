//! Wires everything into a runnable node; the entry point for embedders. Holds no logic of its own.
//!
//! ```no_run
//! use kong_config::{Config, LoadOptions};
//!
//! let config = Config::load(&LoadOptions::from_process())?;
//! let node = kong_node::Node::builder(config).start()?;
//! println!("proxying on {:?}", node.proxy_addresses());
//! node.wait();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Threads of a node: one per worker, each with its own runtime, listeners, timers and upstream connections; one for
//! control (Admin and Status API, cluster events, background tasks of plugins); and those of the datastore.

mod admin;
mod builder;
mod certificates;
mod control;
mod declarative;
mod error;
mod listeners;
mod node;
mod plugin_status;
mod prober;
mod publisher;
mod run;
mod service;
mod settings;
mod tasks;
mod upstream_health;
mod workers;

pub use builder::NodeBuilder;
pub use error::NodeError;
pub use node::Node;
pub use run::run;
pub use service::{NodeBody, NodeService, ServiceError};
