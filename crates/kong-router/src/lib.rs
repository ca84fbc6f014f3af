//! Compiles routes into a matcher that finds the route of a request and changes in proportion to what changed. Does no
//! I/O and knows nothing of connections.
//!
//! A [`Router`] is immutable and cheap to clone: [`Router::apply`] returns a new one that shares everything but the
//! touched parts with the old one, so that a node can publish a change to one of 100,000 routes in microseconds.
//!
//! ```
//! use std::sync::Arc;
//! use kong_router::{Flavor, NoHeaders, RequestQuery, RouteChange, Router};
//!
//! let route: kong_model::Route = serde_json::from_value(serde_json::json!({
//!     "id": "4f7bb7c6-7d1a-4d4f-9e2e-1a8f9a3c2b10", "created_at": 0, "updated_at": 0, "protocols": ["http", "https"],
//!     "https_redirect_status_code": 426, "strip_path": true, "preserve_host": false, "request_buffering": true,
//!     "response_buffering": true, "hosts": ["*.example.com"], "paths": ["/api"],
//! }))
//! .unwrap();
//! // The second member is the caller's own: whatever it wants back with a match.
//! let (router, errors) = Router::empty(Flavor::TraditionalCompatible).apply([RouteChange::upsert(Arc::new(route), "api")]);
//! assert!(errors.is_empty());
//!
//! let request = RequestQuery { host: Some(b"www.example.com:8000"), ..RequestQuery::http("GET", b"/api/users", &NoHeaders) };
//! let found = router.find(&request).unwrap();
//! assert_eq!(*found.payload(), "api");
//! assert_eq!(found.matched_path().as_deref(), Some(&b"/api"[..]));
//! ```

mod captures;
mod classic;
mod compile;
mod expression;
mod flavor;
mod header;
mod host;
mod index;
mod matcher;
mod network;
mod pattern;
mod priority;
mod request;
mod router;
mod split;
mod traditional;
pub mod uri;

pub use captures::{CaptureKey, Captures};
pub use expression::validate_expression;
pub use flavor::Flavor;
pub use matcher::Match;
pub use request::{HeaderLookup, NoHeaders, RequestQuery, Scheme, header_name_matches};
pub use router::{RouteChange, RouteError, RouteErrors, Router};
