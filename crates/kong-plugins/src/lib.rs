//! The bundled plugins, one module each, grouped as in the reference. Uses nothing but the SDK.
//!
//! ```
//! let names: Vec<String> =
//!     kong_plugins::bundled().iter().map(|kind| kind.descriptor().name.clone()).collect();
//! assert!(names.contains(&"key-auth".to_owned()));
//! ```

pub mod auth;
pub mod log;
pub mod security;
pub mod traffic;
pub mod transform;

use std::sync::Arc;

use kong_plugin::{PluginKind, kind};

/// One kind of each bundled plugin, with fresh state: a node makes this list once.
pub fn bundled() -> Vec<Arc<dyn PluginKind>> {
    vec![
        kind::<auth::Acl>(),
        kind::<security::BotDetection>(),
        kind::<traffic::CorrelationId>(),
        kind::<security::Cors>(),
        kind::<log::FileLog>(),
        kind::<security::IpRestriction>(),
        kind::<auth::KeyAuth>(),
        kind::<traffic::RateLimiting>(),
        kind::<traffic::Redirect>(),
        kind::<security::RequestSizeLimiting>(),
        kind::<security::RequestTermination>(),
        kind::<transform::RequestTransformer>(),
        kind::<transform::ResponseTransformer>(),
    ]
}
