//! The entities (Service, Route, Consumer, …), their registry, and the declarative document. Does no I/O.

mod entities;

pub use entities::*;
