//! The entities (Service, Route, Consumer, …), their registry, and the rules that only they have. Does no I/O.
//!
//! An entity is one struct with a derive: its fields, defaults, checks and exposure all stand there. The registry links
//! the schemas of the core entities with those of the plugins that a node enables:
//!
//! ```
//! use kong_model::{RegistryBuilder, RouterFlavor};
//! use kong_schema::Operation;
//! use serde_json::json;
//!
//! let registry = RegistryBuilder::new(RouterFlavor::default()).build()?;
//! let services = registry.schema("services").ok_or("no services")?;
//! let body = json!({"name": "orders", "url": "http://orders.internal:8080/v1"});
//! let body = body.as_object().ok_or("no object")?;
//! let service = services.process(Operation::Insert, body, None, 1_700_000_000.0).map_err(|e| format!("{e:?}"))?;
//! services.validate(&service, Operation::Insert, body).map_err(|e| format!("{e:?}"))?;
//! assert_eq!(service["host"], "orders.internal");
//! assert_eq!(service["retries"], 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod declarative;
mod entities;
mod jwk;
mod pem;
mod registry;
mod route_path;
mod route_rules;

pub use entities::*;
pub use registry::{ModelError, PluginSchema, Registry, RegistryBuilder, RouterFlavor};
pub use route_rules::ExpressionCheck;
