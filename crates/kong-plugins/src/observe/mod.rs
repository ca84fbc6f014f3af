//! What can be seen from outside.

pub mod prometheus;

pub use prometheus::Prometheus;
