//! Responses made by the gateway (plugins-auth-traffic.md §1.7).

use bytes::Bytes;
use serde_json::Value;

/// Body of a [`LocalResponse`].
#[derive(Debug, Clone)]
pub enum LocalBody {
    /// `exit` without a body: an empty body, or the server's page for some statuses (§1.7).
    Empty,
    /// `exit` with an object: compact JSON with its content type.
    Json(Value),
    /// `exit` with text: sent as is, no content type unless given in the headers.
    Text(Bytes),
    /// `error`: the negotiated error document with this message, or the status's default text.
    Error(Option<String>),
}

/// A response that does not come from a service.
#[derive(Debug, Clone)]
pub struct LocalResponse {
    /// Status, 100–599.
    pub status: u16,
    /// Body.
    pub body: LocalBody,
    /// Headers to set, each replacing one of the same name.
    pub headers: Vec<(Bytes, Bytes)>,
}

impl LocalResponse {
    /// `exit(status)` without a body.
    pub fn exit(status: u16) -> Self {
        LocalResponse {
            status,
            body: LocalBody::Empty,
            headers: Vec::new(),
        }
    }

    /// `exit(status, {…})`.
    pub fn json(status: u16, body: Value) -> Self {
        LocalResponse {
            status,
            body: LocalBody::Json(body),
            headers: Vec::new(),
        }
    }

    /// `exit(status, {"message": …})`.
    pub fn message(status: u16, message: &str) -> Self {
        Self::json(status, serde_json::json!({ "message": message }))
    }

    /// `exit(status, "text")`.
    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        LocalResponse {
            status,
            body: LocalBody::Text(body.into()),
            headers: Vec::new(),
        }
    }

    /// `error(status, message)`: format chosen by the request's `Accept`.
    pub fn error(status: u16, message: impl Into<String>) -> Self {
        LocalResponse {
            status,
            body: LocalBody::Error(Some(message.into())),
            headers: Vec::new(),
        }
    }

    /// `error(status)` with the status's default text.
    pub fn default_error(status: u16) -> Self {
        LocalResponse {
            status,
            body: LocalBody::Error(None),
            headers: Vec::new(),
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}
