use crate::{HeaderBlock, Method, Target, Version};

/// The head of a request.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The version the client spoke.
    pub version: Version,
    /// The header lines.
    pub headers: HeaderBlock,
    target: Target,
}

impl RequestHead {
    /// A head of these parts.
    pub fn new(method: Method, target: Target, version: Version, headers: HeaderBlock) -> Self {
        Self {
            method,
            version,
            headers,
            target,
        }
    }

    /// The target as received, e.g. `/a?b` or `http://host/a?b`.
    pub fn target(&self) -> &[u8] {
        self.target.as_bytes()
    }

    /// The target taken apart.
    pub fn target_parts(&self) -> &Target {
        &self.target
    }

    /// The path as received, without the query: escapes and dot segments are still in it.
    pub fn path(&self) -> &[u8] {
        self.target.path()
    }

    /// The path as received, if it is UTF-8 (one that is not matches no route).
    pub fn path_str(&self) -> Option<&str> {
        std::str::from_utf8(self.path()).ok()
    }

    /// What follows the first `?` of the target; `None` without one.
    pub fn query(&self) -> Option<&[u8]> {
        self.target.query()
    }

    /// The query, if there is one and it is UTF-8.
    pub fn query_str(&self) -> Option<&str> {
        std::str::from_utf8(self.query()?).ok()
    }

    /// The authority of an absolute-form target.
    pub fn authority(&self) -> Option<&[u8]> {
        self.target.authority()
    }

    /// The host the request is for: the authority of an absolute-form target, else `Host`. `None` for an HTTP/1.0
    /// request without either. A port, if given, is still in it.
    pub fn host(&self) -> Option<&[u8]> {
        self.authority().or_else(|| self.headers.get("host"))
    }

    /// Writes `METHOD target HTTP/1.1\r\n`.
    pub fn write_request_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target());
        out.extend_from_slice(b" HTTP/1.1\r\n");
    }
}
