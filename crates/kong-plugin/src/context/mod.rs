//! Phase contexts: what a plugin may do in which phase. Each derefs to [`Exchange`] for reading.

mod access;
mod response;

pub use access::{Access, Rewrite};
pub use response::{BodyFilter, HeaderFilter, Log, Response};

use crate::Exchange;

macro_rules! reads_exchange {
    ($($name:ident),*) => {$(
        impl std::ops::Deref for $name<'_> {
            type Target = Exchange;
            fn deref(&self) -> &Exchange {
                self.exchange
            }
        }

        impl<'a> $name<'a> {
            /// A view of an exchange; made by the pipeline, and by tests of plugins.
            pub fn new(exchange: &'a mut Exchange) -> Self {
                $name { exchange }
            }

            /// Per-request state of the plugin, mutable.
            pub fn state_mut<T: 'static>(&mut self) -> Option<&mut T> {
                self.exchange.state_mut()
            }

            /// Stores per-request state of the plugin, replacing one of the same type.
            pub fn set_state<T: 'static>(&mut self, value: T) {
                self.exchange.set_state(value);
            }

            /// Values shared between plugins of the request.
            pub fn shared_mut(&mut self) -> &mut crate::Shared {
                &mut self.exchange.shared
            }

            /// Adds a value to the log entry under a dotted path.
            pub fn set_log_value(&mut self, path: impl Into<String>, value: serde_json::Value) {
                self.exchange.log_values.push(crate::LogValue::set(path, value));
            }
        }
    )*};
}

reads_exchange!(Rewrite, Access, Response, HeaderFilter, BodyFilter, Log);

/// TLS handshake: the server name is known, nothing else.
pub struct Certificate<'a> {
    /// Server name of the handshake.
    pub sni: &'a str,
    /// Certificate chain and key in PEM to serve instead of the configured ones.
    pub replacement: Option<(String, String)>,
}
