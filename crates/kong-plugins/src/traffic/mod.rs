//! How much may come, and where it goes.

pub mod correlation_id;
pub mod proxy_cache;
pub mod rate_limiting;
pub mod redirect;

pub use correlation_id::CorrelationId;
pub use proxy_cache::ProxyCache;
pub use rate_limiting::RateLimiting;
pub use redirect::Redirect;
