//! Contexts of the phases before the upstream.

use std::sync::Arc;

use bytes::Bytes;
use kong_message::{Body, BodyError, Method};
use kong_model::Consumer;
use uuid::Uuid;

use crate::exchange::Guard;
use crate::{Credential, Exchange};

/// `rewrite`: nothing is routed yet.
pub struct Rewrite<'a> {
    pub(super) exchange: &'a mut Exchange,
}

/// `access`: route and service are known.
pub struct Access<'a> {
    pub(super) exchange: &'a mut Exchange,
}

macro_rules! edits_request {
    ($($name:ident),*) => {$(
        impl $name<'_> {
            /// Sets a request header, replacing all of that name.
            pub fn set_header(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
                self.exchange.head.headers.set(name, value);
            }

            /// Adds a request header.
            pub fn add_header(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
                self.exchange.head.headers.append(name, value);
            }

            /// Removes all request headers of that name.
            pub fn remove_header(&mut self, name: &str) -> bool {
                self.exchange.head.headers.remove(name)
            }

            /// Replaces the query (without `?`); `None` removes it.
            pub fn set_query(&mut self, query: Option<Bytes>) {
                self.exchange.query = query;
            }

            /// Sets a header of the response to come, whoever makes it.
            pub fn set_response_header(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
                self.exchange.early_response_headers.push((name.into(), value.into()));
            }

            /// Reads the body, into memory or a temporary file, and gives its bytes if they fit into memory
            /// (`client_body_buffer_size`); `None`: it was spooled to a file. An empty body gives empty bytes.
            pub async fn read_body(&mut self) -> Result<Option<Bytes>, BodyError> {
                let body = std::mem::replace(&mut self.exchange.body, Body::Empty);
                self.exchange.body = match body {
                    Body::Stream(_) => self.exchange.buffering.clone().buffer(body).await?,
                    complete => complete,
                };
                Ok(match &self.exchange.body {
                    Body::Empty => Some(Bytes::new()),
                    Body::Memory(bytes) => Some(bytes.clone()),
                    _ => None,
                })
            }

            /// Replaces the body.
            pub fn set_body(&mut self, body: impl Into<Bytes>) {
                self.exchange.body = Body::Memory(body.into());
            }
        }
    )*};
}

edits_request!(Rewrite, Access);

impl Access<'_> {
    /// Sets who was authenticated and the headers that tell the service (plugins-auth-traffic.md §1.8). Values that the
    /// client sent never survive. No credential means the anonymous consumer.
    pub fn authenticate(&mut self, consumer: Option<Arc<Consumer>>, credential: Option<Credential>) {
        let headers = &mut self.exchange.head.headers;
        let mut set = |name: &'static str, value: Option<&str>| match value {
            Some(value) => headers.set(name, value),
            None => {
                headers.remove(name);
            }
        };
        let c = consumer.as_deref();
        let mut id = Uuid::encode_buffer();
        set("X-Consumer-ID", c.map(|c| &*c.id.hyphenated().encode_lower(&mut id)));
        set("X-Consumer-Custom-ID", c.and_then(|c| c.custom_id.as_deref()));
        set("X-Consumer-Username", c.and_then(|c| c.username.as_deref()));
        set(
            "X-Credential-Identifier",
            credential.as_ref().and_then(|c| c.identifier.as_deref()),
        );
        set("X-Anonymous-Consumer", credential.is_none().then_some("true"));
        self.exchange.consumer = consumer;
        self.exchange.credential = credential;
    }

    /// The request as it will be sent upstream; `None` when the route has no service.
    pub fn upstream_mut(&mut self) -> Option<&mut crate::UpstreamRequest> {
        self.exchange.upstream.as_mut()
    }

    /// Changes the method sent upstream; `false` when it is not one.
    pub fn set_method(&mut self, method: &str) -> bool {
        match Method::from_bytes(method.as_bytes()) {
            Some(method) => self.exchange.head.method = method,
            None => return false,
        }
        true
    }

    /// The answer that the plugin is about to give stands for the service's: headers and log entries say so.
    pub fn count_as_proxied(&mut self) {
        let now = std::time::Instant::now();
        self.exchange.source = crate::Source::Service;
        self.exchange.timings.peer_chosen = Some(now);
        self.exchange.timings.upstream_head = Some(now);
    }

    /// Everything, for the adapters of this crate.
    pub(crate) fn exchange_mut(&mut self) -> &mut Exchange {
        self.exchange
    }

    /// Registers a future that may abandon the upstream; see [`Guard`].
    pub fn guard(&mut self, guard: Guard) {
        self.exchange.guards.push(guard);
    }
}
