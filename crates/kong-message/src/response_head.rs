use crate::{HeaderBlock, Version};
use bytes::Bytes;

/// The head of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// The status code, 100–999.
    pub status: u16,
    /// The version the upstream spoke; ours are HTTP/1.1.
    pub version: Version,
    /// The words after the code where they are not the usual ones.
    pub reason: Option<Bytes>,
    /// The header lines.
    pub headers: HeaderBlock,
}

impl ResponseHead {
    /// A head without header lines.
    pub fn new(status: u16) -> Self {
        Self::with_headers(status, HeaderBlock::new())
    }

    /// A head of these parts.
    pub fn with_headers(status: u16, headers: HeaderBlock) -> Self {
        Self {
            status,
            version: Version::Http11,
            reason: None,
            headers,
        }
    }

    /// Writes `HTTP/1.1 code words\r\n`.
    pub fn write_status_line(&self, out: &mut Vec<u8>) {
        if self.status == 200 && self.reason.is_none() {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
            return;
        }
        let code = self.status.clamp(100, 999);
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend([code / 100, code / 10 % 10, code % 10].map(|digit| b'0' + digit as u8));
        match &self.reason {
            Some(reason) => {
                out.push(b' ');
                out.extend(
                    reason
                        .iter()
                        .map(|b| if matches!(b, b'\r' | b'\n' | 0) { b' ' } else { *b }),
                );
            }
            None => match reason_phrase(self.status) {
                "" => {}
                words => {
                    out.push(b' ');
                    out.extend_from_slice(words.as_bytes());
                }
            },
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Whether a message with this status never has a body, whatever its headers say (RFC 9112 §6.3; the answer to
    /// `HEAD` is the other case).
    pub fn is_bodyless(&self) -> bool {
        matches!(self.status, 100..=199 | 204 | 304)
    }
}

/// The usual words for a status code; empty for one without any.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Entity",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        510 => "Not Extended",
        511 => "Network Authentication Required",
        _ => "",
    }
}
