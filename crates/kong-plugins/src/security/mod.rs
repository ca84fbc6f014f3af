//! What may come in.

pub mod request_termination;

pub use request_termination::RequestTermination;
