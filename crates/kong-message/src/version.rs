/// The HTTP version of a message as it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// `HTTP/1.2` … `HTTP/1.9` in a request line: accepted and treated as HTTP/1.1, but it has no name in `Via`.
    Http1x,
    /// HTTP/2
    Http2,
}

impl Version {
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`, as in an access log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 | Self::Http1x => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }

    /// The version as `Via` names it: `1`, `1.1`, `2`, or nothing for an unknown minor version.
    pub fn via(self) -> &'static str {
        match self {
            Self::Http10 => "1",
            Self::Http11 => "1.1",
            Self::Http1x => "",
            Self::Http2 => "2",
        }
    }

    /// Whether connections persist unless a side says otherwise.
    pub fn is_persistent_by_default(self) -> bool {
        self >= Self::Http11
    }
}
