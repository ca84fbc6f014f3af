//! The bundled plugins, one module each, grouped as in the reference. Uses nothing but the SDK.
//!
//! ```
//! let names: Vec<String> =
//!     kong_plugins::bundled().iter().map(|kind| kind.descriptor().name.clone()).collect();
//! assert!(names.contains(&"key-auth".to_owned()));
//! ```

pub mod auth;
mod http_date;
pub mod log;
pub mod observe;
pub mod security;
pub mod traffic;
pub mod transform;
mod unbuilt;

use std::sync::Arc;

use kong_plugin::{PluginKind, kind};

/// One kind of each bundled plugin, with fresh state: a node makes this list once.
///
/// Plugins whose behaviour is not built yet are among them: their schemas and entities are complete, requests that they
/// apply to are answered with 500.
pub fn bundled() -> Vec<Arc<dyn PluginKind>> {
    let mut kinds = built();
    for kind in unbuilt::kinds() {
        if !kinds.iter().any(|k| k.descriptor().name == kind.descriptor().name) {
            kinds.push(kind);
        }
    }
    kinds
}

/// The plugins that do what they say.
pub fn built() -> Vec<Arc<dyn PluginKind>> {
    vec![
        kind::<auth::Acl>(),
        kind::<auth::BasicAuth>(),
        kind::<security::BotDetection>(),
        kind::<traffic::CorrelationId>(),
        kind::<security::Cors>(),
        kind::<log::FileLog>(),
        kind::<auth::HmacAuth>(),
        kind::<security::IpRestriction>(),
        kind::<auth::Jwt>(),
        kind::<auth::KeyAuth>(),
        kind::<observe::Prometheus>(),
        kind::<traffic::ProxyCache>(),
        kind::<traffic::RateLimiting>(),
        kind::<traffic::Redirect>(),
        kind::<security::RequestSizeLimiting>(),
        kind::<security::RequestTermination>(),
        kind::<transform::RequestTransformer>(),
        kind::<transform::ResponseTransformer>(),
    ]
}
