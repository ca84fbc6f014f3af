//! What may come in.

pub mod bot_detection;
pub mod cors;
pub mod ip_restriction;
pub mod request_size_limiting;
pub mod request_termination;

pub use bot_detection::BotDetection;
pub use cors::Cors;
pub use ip_restriction::IpRestriction;
pub use request_size_limiting::RequestSizeLimiting;
pub use request_termination::RequestTermination;
