//! Turns answers of the gateway and its plugins into responses (plugins-auth-traffic.md §1.7, routing.md §11).

use std::borrow::Cow;

use bytes::Bytes;
use kong_message::{Body, HeaderBlock, ResponseHead, Version};
use kong_plugin::{Exchange, LocalBody, LocalResponse};
use serde_json::Value;

use crate::error_page::{self, Format, Producer};
use crate::settings::ProxySettings;

/// The part of a request that decides about the format of an answer.
pub(crate) struct Asker<'a> {
    headers: &'a HeaderBlock,
    version: Version,
    request_id: &'a str,
}

impl<'a> Asker<'a> {
    /// Of this request, with the edits of plugins.
    pub(crate) fn of(exchange: &'a Exchange) -> Self {
        Asker {
            headers: &exchange.head.headers,
            version: exchange.head.version,
            request_id: exchange.request_id(),
        }
    }

    fn content_type(&self) -> Option<&str> {
        self.headers.get_str("content-type")
    }

    fn is_http2_grpc(&self) -> bool {
        self.version == Version::Http2 && self.is_grpc()
    }

    fn is_grpc(&self) -> bool {
        self.content_type().is_some_and(|t| t.starts_with("application/grpc"))
    }

    fn accept(&self) -> Option<Cow<'_, str>> {
        let mut lines = self.headers.get_all("accept");
        let first = String::from_utf8_lossy(lines.next()?);
        let rest: Vec<Cow<'_, str>> = lines.map(String::from_utf8_lossy).collect();
        Some(if rest.is_empty() {
            first
        } else {
            format!("{first},{}", rest.join(",")).into()
        })
    }

    fn format(&self, producer: Producer, settings: &ProxySettings) -> Format {
        error_page::negotiate(
            producer,
            self.accept().as_deref(),
            self.content_type(),
            self.is_http2_grpc(),
            &settings.error_default_type,
        )
    }
}

/// The negotiated error document.
pub(crate) fn document(
    producer: Producer,
    status: u16,
    message: Option<&str>,
    asker: &Asker<'_>,
    settings: &ProxySettings,
) -> (ResponseHead, Body) {
    let message = message.map_or_else(|| error_page::default_message(status), Cow::Borrowed);
    // 494 is internal: the client is told 400.
    let mut head = ResponseHead::new(if status == 494 { 400 } else { status });
    let format = asker.format(producer, settings);
    if format == Format::Grpc && !asker.is_http2_grpc() {
        // `Accept: application/grpc` on a request that is none: the original has no document for it.
        head.headers.append("Content-Type", "");
        return (head, Body::Empty);
    }
    head.headers.append("Content-Type", format.content_type());
    if format == Format::Grpc {
        let (code, name) = error_page::grpc_status(status);
        head.headers.append("grpc-status", code.to_string());
        head.headers.append(
            "grpc-message",
            if producer == Producer::Gateway { name } else { &message },
        );
        return (head, Body::Empty);
    }
    // The core's JSON answer to a gRPC client over HTTP/1 has no request id.
    let is_plain_grpc =
        producer == Producer::Core && format == Format::Json && asker.accept().is_none() && asker.is_grpc();
    let text = match is_plain_grpc {
        true => format!("{{\"message\":{}}}", Value::from(message.as_ref())),
        false => settings.templates.render(format, &message, asker.request_id),
    };
    (head, Body::Memory(text.into()))
}

/// The response to what a plugin or the gateway answers.
pub(crate) fn render(response: LocalResponse, asker: &Asker<'_>, settings: &ProxySettings) -> (ResponseHead, Body) {
    let LocalResponse { status, body, headers } = response;
    let is_grpc = asker.is_http2_grpc();
    let (mut head, body) = match body {
        LocalBody::Error(message) => document(Producer::Gateway, status, message.as_deref(), asker, settings),
        LocalBody::Json(value) if is_grpc => grpc(status, value.get("message").and_then(Value::as_str)),
        LocalBody::Text(text) if is_grpc => grpc(status, std::str::from_utf8(&text).ok()),
        LocalBody::Json(value) => {
            let mut head = ResponseHead::new(status);
            head.headers.append("Content-Type", "application/json; charset=utf-8");
            (head, Body::Memory(Bytes::from(value.to_string())))
        }
        LocalBody::Text(text) => (ResponseHead::new(status), Body::Memory(text)),
        LocalBody::Empty if is_grpc => grpc(status, None),
        LocalBody::Empty if error_page::has_core_document(status) => {
            document(Producer::Core, status, None, asker, settings)
        }
        LocalBody::Empty if error_page::has_stock_page(status) => stock_page(status),
        LocalBody::Empty => (ResponseHead::new(status), Body::Empty),
    };
    for (name, value) in headers {
        head.headers.set(name, value);
    }
    (head, body)
}

/// The server's own HTML page.
pub(crate) fn stock_page(status: u16) -> (ResponseHead, Body) {
    let mut head = ResponseHead::new(status);
    head.headers.append("Content-Type", error_page::stock_page_type(status));
    (head, Body::Memory(error_page::stock_page(status).into()))
}

fn grpc(status: u16, message: Option<&str>) -> (ResponseHead, Body) {
    let mut head = ResponseHead::new(status);
    head.headers
        .append("grpc-status", error_page::grpc_status(status).0.to_string());
    if let Some(message) = message {
        head.headers.append("grpc-message", message);
    }
    (head, Body::Empty)
}
