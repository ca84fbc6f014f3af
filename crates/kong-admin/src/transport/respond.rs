//! Turns an endpoint's answer into an HTTP response with the headers that every answer carries.

use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, header};

use super::Cors;
use crate::message::AdminResponse;

/// Which of the gateway's own headers answers carry (property `headers`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderOptions {
    /// `Server: kong/3.9.3`.
    pub server: bool,
    /// `X-Kong-Admin-Latency`.
    pub latency: bool,
}

impl Default for HeaderOptions {
    fn default() -> Self {
        Self {
            server: true,
            latency: true,
        }
    }
}

impl HeaderOptions {
    /// From the elements of the property `headers`.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut options = Self {
            server: false,
            latency: false,
        };
        for name in names {
            match name.to_ascii_lowercase().as_str() {
                "server_tokens" | "server" => options.server = true,
                "latency_tokens" | "x-kong-admin-latency" => options.latency = true,
                _ => {}
            }
        }
        options
    }
}

/// What finishing a response needs to know of its request.
pub(crate) struct Finish<'a> {
    pub(crate) options: &'a HeaderOptions,
    pub(crate) cors: Option<&'a Cors>,
    pub(crate) origin: Option<&'a str>,
    pub(crate) version: &'a str,
    pub(crate) started: Instant,
    pub(crate) head: bool,
}

/// The HTTP response. Values that no header can hold are left out rather than failing the request.
pub(crate) fn respond(answer: AdminResponse, finish: &Finish<'_>) -> Response {
    let bodiless = matches!(answer.status, 204 | 304);
    let length = answer.body.len();
    let body = if finish.head || bodiless {
        Body::empty()
    } else {
        Body::from(answer.body)
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        http::StatusCode::from_u16(answer.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let content_type = answer.content_type.filter(|_| !bodiless);
    if let Some(content_type) = content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    if !bodiless {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let mut add = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.append(name, value);
        }
    };
    if finish.options.server {
        add(header::SERVER, &format!("kong/{}", finish.version));
    }
    if finish.options.latency {
        let latency = finish.started.elapsed().as_millis().to_string();
        add(HeaderName::from_static("x-kong-admin-latency"), &latency);
    }
    if let Some(cors) = finish.cors {
        add(header::ACCESS_CONTROL_ALLOW_ORIGIN, cors.allow_origin(finish.origin));
        add(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    for (name, value) in &answer.headers {
        if let Ok(name) = HeaderName::try_from(name.as_str()) {
            add(name, value);
        }
    }
    response
}
