//! The entities (Service, Route, Consumer, …), their registry, and the rules that only they have. Does no I/O.

mod entities;
mod registry;

pub use entities::*;
pub use registry::{ModelError, PluginSchema, Registry, RegistryBuilder, RouterFlavor};
