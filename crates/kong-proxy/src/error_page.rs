//! Error documents (routing.md §11).
//!
//! Two producers negotiate differently: [`Producer::Gateway`] (answers of the gateway's own code) looks at `Accept` and
//! falls back to JSON; [`Producer::Core`] (failed parsing, failed upstreams) falls back to the request's content type,
//! then to `error_default_type`.

use std::borrow::Cow;

/// Who makes the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Producer {
    /// Producer A: the gateway's own code and plugins.
    Gateway,
    /// Producer B: the proxy core.
    Core,
}

/// Formats of an error document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Json,
    Html,
    Xml,
    Plain,
    Grpc,
}

impl Format {
    /// `Content-Type` of the document.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json; charset=utf-8",
            Format::Html => "text/html; charset=utf-8",
            Format::Xml => "application/xml; charset=utf-8",
            Format::Plain => "text/plain; charset=utf-8",
            Format::Grpc => "application/grpc",
        }
    }

    fn of_media_type(text: &str) -> Format {
        match text {
            "text/html" => Format::Html,
            "text/plain" | "text/*" => Format::Plain,
            "application/xml" => Format::Xml,
            "application/grpc" => Format::Grpc,
            // `application/json`, `application/*`, `*/*` and whatever is unknown.
            _ => Format::Json,
        }
    }
}

/// Templates with two places, `%s` for the message and `%s` for the request id; the built-in ones unless configured
/// (`error_template_*`).
#[derive(Debug, Clone)]
pub struct Templates {
    json: Cow<'static, str>,
    html: Cow<'static, str>,
    xml: Cow<'static, str>,
    plain: Cow<'static, str>,
}

impl Default for Templates {
    fn default() -> Self {
        Templates {
            json: "{\n  \"message\":\"%s\",\n  \"request_id\":\"%s\"\n}".into(),
            html: concat!(
                "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  </head>\n",
                "  <body>\n    <h1>Error</h1>\n    <p>%s.</p>\n    <p>request_id: %s</p>\n  </body>\n</html>\n"
            )
            .into(),
            xml: concat!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>%s</message>\n",
                "  <requestid>%s</requestid>\n</error>\n"
            )
            .into(),
            plain: "%s\nrequest_id: %s\n".into(),
        }
    }
}

impl Templates {
    /// Replaces a template. `format` is not [`Format::Grpc`], which has no document.
    pub fn set(&mut self, format: Format, template: String) {
        match format {
            Format::Json => self.json = template.into(),
            Format::Html => self.html = template.into(),
            Format::Xml => self.xml = template.into(),
            Format::Plain => self.plain = template.into(),
            Format::Grpc => {}
        }
    }

    /// The document. Values are inserted without escaping, as in the original; messages with quotes would break the
    /// JSON, so there they are escaped.
    pub fn render(&self, format: Format, message: &str, request_id: &str) -> String {
        let (template, message) = match format {
            Format::Json if message.contains(['"', '\\', '\n', '\r', '\t']) => {
                let quoted = serde_json::Value::from(message).to_string();
                (&self.json, Cow::Owned(quoted.trim_matches('"').to_owned()))
            }
            Format::Json => (&self.json, Cow::Borrowed(message)),
            Format::Html => (&self.html, Cow::Borrowed(message)),
            Format::Xml => (&self.xml, Cow::Borrowed(message)),
            Format::Plain => (&self.plain, Cow::Borrowed(message)),
            Format::Grpc => return String::new(),
        };
        let mut values = [message.as_ref(), request_id].into_iter();
        let mut parts = template.split("%s");
        let mut out = String::with_capacity(template.len() + message.len() + request_id.len());
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            out.push_str(values.next().unwrap_or_default());
            out.push_str(part);
        }
        out
    }
}

/// Chooses the format. `accept` is the joined `Accept` header, `content_type` the request's; `is_http2_grpc` is true for
/// HTTP/2 requests whose content type starts with `application/grpc`.
pub fn negotiate(
    producer: Producer,
    accept: Option<&str>,
    content_type: Option<&str>,
    is_http2_grpc: bool,
    default_type: &str,
) -> Format {
    if is_http2_grpc {
        return Format::Grpc;
    }
    let value = match (producer, accept) {
        (_, Some(accept)) => accept,
        (Producer::Gateway, None) => return Format::Json,
        (Producer::Core, None) => content_type.unwrap_or(default_type),
    };
    match best_media_type(value) {
        Some("application/grpc") if producer == Producer::Core => Format::Json,
        Some(media_type) => Format::of_media_type(media_type),
        None => Format::Json,
    }
}

/// Media type with the highest q, first on ties; q=0 is ignored and an unparsable q counts as 1.
fn best_media_type(accept: &str) -> Option<&str> {
    let mut best: Option<(&str, f32)> = None;
    for item in accept.split(',') {
        let mut parts = item.split(';');
        let media_type = parts.next().unwrap_or_default().trim();
        if media_type.is_empty() {
            continue;
        }
        let q = parts
            .find_map(|p| p.trim().strip_prefix("q="))
            .map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(1.0));
        if q > 0.0 && best.is_none_or(|(_, most)| q > most) {
            best = Some((media_type, q));
        }
    }
    best.map(|(media_type, _)| media_type)
}

/// Default message of a status.
pub fn default_message(status: u16) -> Cow<'static, str> {
    Cow::Borrowed(match status {
        400 => "Bad request",
        401 => "Unauthorized",
        402 => "Payment required",
        403 => "Forbidden",
        404 => "Not found",
        405 => "Method not allowed",
        406 => "Not acceptable",
        407 => "Proxy authentication required",
        408 => "Request timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length required",
        412 => "Precondition failed",
        413 => "Payload too large",
        414 => "URI too long",
        415 => "Unsupported media type",
        416 => "Range not satisfiable",
        417 => "Expectation failed",
        418 => "I'm a teapot",
        421 => "Misdirected request",
        422 => "Unprocessable entity",
        423 => "Locked",
        424 => "Failed dependency",
        425 => "Too early",
        426 => "Upgrade required",
        428 => "Precondition required",
        429 => "Too many requests",
        431 => "Request header fields too large",
        451 => "Unavailable for legal reasons",
        494 => "Request header or cookie too large",
        500 => "An unexpected error occurred",
        501 => "Not implemented",
        502 => "An invalid response was received from the upstream server",
        503 => "The upstream server is currently unavailable",
        504 => "The upstream server is timing out",
        505 => "HTTP version not supported",
        506 => "Variant also negotiates",
        507 => "Insufficient storage",
        508 => "Loop detected",
        510 => "Not extended",
        511 => "Network authentication required",
        other => return Cow::Owned(format!("The upstream server responded with {other}")),
    })
}

/// gRPC status and its name for an HTTP status.
pub fn grpc_status(status: u16) -> (u8, &'static str) {
    match status {
        400 => (3, "InvalidArgument"),
        401 => (16, "Unauthenticated"),
        403 => (7, "PermissionDenied"),
        404 => (5, "NotFound"),
        409 => (6, "AlreadyExists"),
        429 => (8, "ResourceExhausted"),
        499 => (1, "Canceled"),
        500 => (13, "Internal"),
        501 => (12, "Unimplemented"),
        503 => (14, "Unavailable"),
        504 => (4, "DeadlineExceeded"),
        200..=299 => (0, "OK"),
        402..=498 => (3, "InvalidArgument"),
        502..=599 => (13, "Internal"),
        _ => (2, "Unknown"),
    }
}

/// Whether a bodyless `exit` with this status gets the server's stock page (plugins-auth-traffic.md §1.7).
pub fn has_stock_page(status: u16) -> bool {
    matches!(
        status,
        301 | 302 | 303 | 307 | 308 | 402 | 403 | 406 | 409 | 410 | 415 | 416 | 421 | 429 | 501 | 505 | 507
    )
}

/// Whether a bodyless `exit` with this status gets the error document of the proxy core.
pub fn has_core_document(status: u16) -> bool {
    matches!(
        status,
        400 | 404 | 405 | 411 | 412 | 413 | 414 | 417 | 500 | 502 | 503 | 504
    )
}

/// The server's stock page.
pub fn stock_page(status: u16) -> String {
    let title = match status {
        301 => "301 Moved Permanently",
        302 => "302 Found",
        303 => "303 See Other",
        307 => "307 Temporary Redirect",
        308 => "308 Permanent Redirect",
        402 => "402 Payment Required",
        403 => "403 Forbidden",
        406 => "406 Not Acceptable",
        409 => "409 Conflict",
        410 => "410 Gone",
        415 => "415 Unsupported Media Type",
        416 => "416 Requested Range Not Satisfiable",
        421 => "421 Misdirected Request",
        429 => "429 Too Many Requests",
        501 => "501 Not Implemented",
        505 => "505 HTTP Version Not Supported",
        507 => "507 Insufficient Storage",
        _ => "500 Internal Server Error",
    };
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// Content type of a stock page.
pub fn stock_page_type(status: u16) -> &'static str {
    if matches!(status, 301 | 302) {
        "text/html"
    } else {
        "text/html; charset=UTF-8"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_follows_accept() {
        let rows = [
            (Producer::Gateway, None, None, Format::Json),
            (Producer::Gateway, Some("text/html"), None, Format::Html),
            (
                Producer::Gateway,
                Some("text/plain;q=0.5, application/xml"),
                None,
                Format::Xml,
            ),
            (Producer::Gateway, Some("text/*"), None, Format::Plain),
            (Producer::Gateway, Some("text/xml"), None, Format::Json),
            (Producer::Gateway, Some("TEXT/HTML"), None, Format::Json),
            (Producer::Gateway, Some("text/html;q=0"), None, Format::Json),
            (Producer::Gateway, Some("text/html;q=x, text/plain"), None, Format::Html),
            (Producer::Core, None, None, Format::Plain),
            (Producer::Core, None, Some("application/json"), Format::Json),
            (Producer::Core, None, Some("text/html"), Format::Html),
            (Producer::Core, Some("*/*"), Some("text/html"), Format::Json),
            (Producer::Core, None, Some("application/grpc"), Format::Json),
        ];
        for (producer, accept, content_type, expected) in rows {
            let got = negotiate(producer, accept, content_type, false, "text/plain");
            assert_eq!(got, expected, "{producer:?} {accept:?} {content_type:?}");
        }
    }

    #[test]
    fn documents_hold_message_and_id() {
        let t = Templates::default();
        assert_eq!(
            t.render(Format::Json, "No", "1f"),
            "{\n  \"message\":\"No\",\n  \"request_id\":\"1f\"\n}"
        );
        assert_eq!(t.render(Format::Plain, "No", "1f"), "No\nrequest_id: 1f\n");
        assert_eq!(
            t.render(Format::Json, "a\"b", "1f"),
            "{\n  \"message\":\"a\\\"b\",\n  \"request_id\":\"1f\"\n}"
        );
    }
}
