//! Requests and responses as endpoints see them. Plugins that bring endpoints of their own use the same types, so
//! that none of them needs to know which HTTP library carries the Admin API.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method};
use kong_schema::{Object, Schema, form};
use serde::Serialize;
use serde_json::Value;

use crate::transport::decode_text as decode;

/// A request whose path has been matched and whose body has been decoded.
#[derive(Debug, Clone)]
pub struct AdminRequest {
    /// Method; `HEAD` arrives as `GET`.
    pub method: Method,
    /// Path as received, not decoded.
    pub path: String,
    /// Values of the path template's parameters, in order.
    pub params: Vec<PathParam>,
    /// Query parameters in order.
    pub query: Vec<QueryParam>,
    /// Request headers.
    pub headers: HeaderMap,
    /// Decoded body; `Input::None` on methods without one.
    pub input: Input,
}

/// A segment of the path that stands for a parameter of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathParam {
    /// Name in the template.
    pub name: String,
    /// As received.
    pub raw: String,
    /// Percent-decoded once; `+` stands for a space.
    pub value: String,
}

/// One query parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryParam {
    /// Decoded name.
    pub name: String,
    /// Decoded value, not necessarily UTF-8; `None` when there was no `=`.
    pub value: Option<Vec<u8>>,
}

/// What the client sent as input.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// No body.
    None,
    /// A JSON object.
    Json(Object),
    /// Form fields in order, of a form or a multipart body.
    Form(Vec<(String, String)>),
    /// YAML text, only on `/config`.
    Text(Bytes),
}

impl PathParam {
    pub(crate) fn new(name: &str, raw: &str) -> Self {
        let value = String::from_utf8_lossy(&decode(raw.as_bytes())).into_owned();
        Self {
            name: name.to_owned(),
            raw: raw.to_owned(),
            value,
        }
    }
}

impl AdminRequest {
    /// Value of the `index`-th path parameter, decoded.
    pub fn param(&self, index: usize) -> &str {
        self.params.get(index).map_or("", |p| p.value.as_str())
    }

    /// Value of the `index`-th path parameter as received.
    pub fn raw_param(&self, index: usize) -> &str {
        self.params.get(index).map_or("", |p| p.raw.as_str())
    }

    /// All values of a query parameter.
    pub fn query_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Option<&'a [u8]>> + 'a {
        self.query
            .iter()
            .filter(move |p| p.name == name)
            .map(|p| p.value.as_deref())
    }

    /// First value of a query parameter as text; a parameter without `=` is the empty text.
    pub fn query_text(&self, name: &str) -> Option<String> {
        self.query_values(name)
            .next()
            .map(|v| String::from_utf8_lossy(v.unwrap_or_default()).into_owned())
    }

    /// The body as an entity of this schema: JSON as it is, form fields with types inferred (admin-api.md §2.4).
    pub fn entity(&self, schema: &Schema) -> Object {
        match &self.input {
            Input::None | Input::Text(_) => Object::new(),
            Input::Json(object) => object.clone(),
            Input::Form(fields) => schema.coerce(form::structure(fields.iter().cloned(), true)),
        }
    }

    /// Query and body merged into one map, for endpoints that take parameters instead of an entity
    /// (admin-api.md §2.5): the texts `true` and `false` are booleans, empty text is null, nothing else is inferred.
    pub fn parameters(&self) -> Object {
        let query = self.query.iter().map(|p| {
            (
                p.name.clone(),
                String::from_utf8_lossy(p.value.as_deref().unwrap_or_default()).into_owned(),
            )
        });
        let mut merged = plain_types(form::structure(query, false));
        match &self.input {
            Input::None | Input::Text(_) => {}
            Input::Json(object) => merged.extend(object.clone()),
            Input::Form(fields) => merged.extend(plain_types(form::structure(fields.iter().cloned(), true))),
        }
        merged
    }
}

fn plain_types(object: Object) -> Object {
    object
        .into_iter()
        .map(|(name, value)| (name, plain_type(value)))
        .collect()
}

fn plain_type(value: Value) -> Value {
    match value {
        Value::String(text) => match text.as_str() {
            "" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::String(text),
        },
        Value::Array(items) => Value::Array(items.into_iter().map(plain_type).collect()),
        Value::Object(members) => Value::Object(plain_types(members)),
        other => other,
    }
}

/// A response before the transport adds its headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminResponse {
    /// Status code.
    pub status: u16,
    /// `Content-Type`; absent when there is no body.
    pub content_type: Option<Cow<'static, str>>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

/// Type of every JSON body.
pub const JSON: &str = "application/json; charset=utf-8";
/// Type of the stock pages that stand where the original answers with its web server's own.
pub const HTML: &str = "text/html; charset=UTF-8";
/// Type of plain text bodies.
pub const TEXT: &str = "text/plain; charset=UTF-8";

impl AdminResponse {
    /// A JSON body, compact.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self {
                status,
                content_type: Some(Cow::Borrowed(JSON)),
                headers: Vec::new(),
                body: body.into(),
            },
            Err(err) => {
                tracing::error!(%err, "a response could not be serialised");
                Self::message(500, "An unexpected error occurred")
            }
        }
    }

    /// `{"message": …}`.
    pub fn message(status: u16, message: &str) -> Self {
        let body = format!("{{\"message\":{}}}", Value::String(message.to_owned()));
        Self {
            status,
            content_type: Some(Cow::Borrowed(JSON)),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// A body of another type.
    pub fn with_body(status: u16, content_type: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: Some(content_type.into()),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// No body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A stock page for what the original leaves to its web server.
    pub fn page(status: u16, title: &str) -> Self {
        let body = format!(
            "<html>\n<head><title>{status} {title}</title></head>\n<body>\n<h1>{status} {title}</h1>\n</body>\n</html>\n"
        );
        Self::with_body(status, HTML, body)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}
