//! Contexts of the phases after the upstream.

use bytes::Bytes;
use kong_message::{Body, HeaderBlock};

use crate::Exchange;

/// `response`: the whole response of the service is in memory.
pub struct Response<'a> {
    pub(super) exchange: &'a mut Exchange,
}

/// `header_filter`: the response head is known and not yet sent.
pub struct HeaderFilter<'a> {
    pub(super) exchange: &'a mut Exchange,
}

/// `body_filter`: the head has been sent.
pub struct BodyFilter<'a> {
    pub(super) exchange: &'a mut Exchange,
}

/// `log`: the response was sent or given up.
pub struct Log<'a> {
    pub(super) exchange: &'a mut Exchange,
}

macro_rules! edits_response {
    ($($name:ident),*) => {$(
        impl $name<'_> {
            /// Response headers; empty when there is no response yet (never in these phases).
            pub fn response_headers(&self) -> Option<&HeaderBlock> {
                self.exchange.response.as_ref().map(|head| &head.headers)
            }

            /// Response headers, for edits that [`Self::set_header`] and its like do not offer.
            pub fn response_headers_mut(&mut self) -> Option<&mut HeaderBlock> {
                self.exchange.response.as_mut().map(|head| &mut head.headers)
            }

            /// First value of a response header.
            pub fn response_header(&self, name: &str) -> Option<&str> {
                self.exchange.response.as_ref()?.headers.get_str(name)
            }

            /// Sets a response header, replacing all of that name.
            pub fn set_header(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
                if let Some(head) = &mut self.exchange.response {
                    head.headers.set(name, value);
                }
            }

            /// Adds a response header.
            pub fn add_header(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
                if let Some(head) = &mut self.exchange.response {
                    head.headers.append(name, value);
                }
            }

            /// Removes all response headers of that name.
            pub fn remove_header(&mut self, name: &str) -> bool {
                self.exchange.response.as_mut().is_some_and(|head| head.headers.remove(name))
            }

            /// Changes the status.
            pub fn set_status(&mut self, status: u16) {
                if let Some(head) = &mut self.exchange.response {
                    head.status = status;
                    head.reason = None;
                }
            }

            /// Body of the response on its way to the client. Replacing it changes what `body_filter` sees; the
            /// framing headers follow the new body.
            pub fn map_body(&mut self, f: impl FnOnce(Body) -> Body) {
                let body = std::mem::replace(&mut self.exchange.response_body, Body::Empty);
                self.exchange.response_body = f(body);
            }
        }
    )*};
}

edits_response!(Response, HeaderFilter);

impl Response<'_> {
    /// The buffered response body.
    pub fn body(&self) -> Bytes {
        match &self.exchange.response_body {
            Body::Memory(bytes) => bytes.clone(),
            _ => Bytes::new(),
        }
    }

    /// Replaces the response body.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.exchange.response_body = Body::Memory(body.into());
    }
}
