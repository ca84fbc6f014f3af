//! The plugin SDK: the plugin trait, phase contexts, the plan that says which instances run, and adapters between
//! tower layers and plugins. Knows no bundled plugin.
//!
//! A plugin is a config struct, a definition (name, priority, phases) and an `impl` [`Plugin`] with the phases it
//! needs. The same object-safe traits ([`PluginKind`], [`Plugin`]) are what a Lua host or an external process
//! implements: nothing here needs a type that only a compiled-in plugin could have.
//!
//! Phases are Kong's (plugins-auth-traffic.md §1.2), which is *not* an onion: every instance's `access` in priority
//! order, then every `header_filter` in the *same* order, then `body_filter`, then `log`.

pub mod arguments;
pub mod body;
pub mod context;
mod definition;
mod entities;
mod exchange;
mod kind;
mod local_response;
mod phase;
pub mod pipeline;
mod plan;
mod plugin;
pub mod serializer;
mod stream;
pub mod testing;
pub mod tower;

pub use definition::{PluginDefinition, kind};
pub use entities::Entities;
pub use exchange::{
    BufferBody, Client, Credential, Exchange, Guard, LatencySummary, Shared, Source, Timings, Try, UpstreamRequest,
    UpstreamTimeouts,
};
pub use kind::{
    AdminHandler, AdminRequest, AdminResponse, AdminRoute, Descriptor, Instance, NodeFigures, NodeIdentity, NodeStatus,
    PluginEnv, PluginKind, Surface, TaskSpawner,
};
pub use local_response::{LocalBody, LocalResponse};
pub use phase::Phases;
pub use plan::{Chosen, ConsumerScoped, Plan, PlanEntry, Selected, rank};
pub use plugin::{Action, Plugin, PluginError, PluginResult, Step};
pub use serializer::{LogMode, LogValue};
pub use stream::{Preread, StreamExchange, StreamLog};
