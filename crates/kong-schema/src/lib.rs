//! The language in which entities and plugin configurations are declared: types, defaults, constraints, checks,
//! form coercion, error report, `/schemas` document. Knows no particular entity and does no I/O.

mod schema;

pub use schema::*;
