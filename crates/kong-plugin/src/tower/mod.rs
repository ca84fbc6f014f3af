//! Any `tower::Layer` as a plugin.
//!
//! A tower layer is an onion: one future spans the request and the response. A gateway has phases. [`LayerPlugin`] maps
//! the one on the other. The innermost service of the layer is a *gate*:
//!
//! * `access`: the request becomes an `http::Request` and the layered service is driven until it calls the gate (then what
//!   it changed in the head is copied back and the request goes on) or answers by itself (then that is the answer).
//!   Readiness is honoured: a `ConcurrencyLimit` makes the request wait here.
//! * While the gateway waits for the service, the layered future is polled beside it ([`Guard`](crate::Guard)), so that
//!   a timeout can abandon the service.
//! * `header_filter`: the response is handed to the gate, the layered future is driven to its end, and the head and body
//!   it gives take the response's place.
//!
//! The layered service is built once per worker and instance and cloned per request: workers share nothing. (A limit
//! that is to hold for all workers keeps its semaphore in the layer, as `GlobalConcurrencyLimitLayer` does.)
//!
//! ```
//! use kong_plugin::tower::layer_kind;
//! use kong_schema::{HTTP_PROTOCOLS, PluginScopes, Record, plugin_schema};
//! use tower_layer::Identity;
//!
//! let schema =
//!     plugin_schema("nothing", Record::default(), PluginScopes::ALL, HTTP_PROTOCOLS, HTTP_PROTOCOLS, Vec::new());
//! let kind = layer_kind("nothing", 500, schema.into(), |_instance| Ok(Identity::new()));
//! assert_eq!(kind.descriptor().priority, 500);
//! ```
//!
//! Conversions between `http` and gateway messages are in `kong_message` (`to_http`, `from_http`); they happen here and
//! where a node is mounted as a service, nowhere else.

mod gate;
mod headers;
mod kind;
mod layer_plugin;

pub use gate::{Gate, GateError, GateFuture};
pub use kind::layer_kind;
pub use layer_plugin::LayerPlugin;

/// Error of any kind, as tower's layers use it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(test)]
mod tests;
