//! Contexts of L4 sessions (`preread`, stream `log`).

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use kong_message::ConnInfo;
use kong_model::{Consumer, Route, Service};
use serde_json::Value;

use crate::{Client, Entities, LogValue, NodeIdentity, Plan};

/// A TCP, TLS or UDP session on its way through the gateway.
pub struct StreamExchange {
    /// The session's connection.
    pub conn: Rc<ConnInfo>,
    /// Who is at the other end.
    pub client: Client,
    /// `tcp`, `tls` or `udp`.
    pub protocol: &'static str,
    /// Server name, if the client sent one.
    pub sni: Option<String>,
    /// Matched route.
    pub route: Option<Arc<Route>>,
    /// Its service.
    pub service: Option<Arc<Service>>,
    /// Instances that run for this session.
    pub plan: Arc<Plan>,
    /// Authenticated consumer.
    pub consumer: Option<Arc<Consumer>>,
    /// Values added to log entries.
    pub log_values: Vec<LogValue>,
    /// Wall clock at the start.
    pub started: SystemTime,
    /// The same, monotonic.
    pub started_at: Instant,
    /// Status logged: 200, 403, 500, 502, 503.
    pub status: u16,
    /// Bytes received from the client.
    pub bytes_received: u64,
    /// Bytes sent to the client.
    pub bytes_sent: u64,
    /// Entities loaded on demand.
    pub entities: Entities,
    /// Who this node is.
    pub node: Arc<NodeIdentity>,
}

macro_rules! stream_context {
    ($(#[$doc:meta] $name:ident),*) => {$(
        #[$doc]
        pub struct $name<'a> {
            exchange: &'a mut StreamExchange,
        }

        impl<'a> $name<'a> {
            /// A view of a session; made by the pipeline, and by tests of plugins.
            pub fn new(exchange: &'a mut StreamExchange) -> Self {
                $name { exchange }
            }

            /// Adds a value to the log entry under a dotted path.
            pub fn set_log_value(&mut self, path: impl Into<String>, value: Value) {
                self.exchange.log_values.push(LogValue::set(path, value));
            }
        }

        impl std::ops::Deref for $name<'_> {
            type Target = StreamExchange;
            fn deref(&self) -> &StreamExchange {
                self.exchange
            }
        }
    )*};
}

stream_context!(
    /// `preread`: L4 counterpart of `access`. `Action::Respond` closes the session with the response's status.
    Preread,
    /// The session ended.
    StreamLog
);
