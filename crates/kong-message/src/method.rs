use bytes::Bytes;
use std::fmt;

/// A request method: an upper-case token such as `GET`. Compares with `str`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Method(Bytes);

impl Method {
    /// `GET`
    pub const GET: Self = Self(Bytes::from_static(b"GET"));
    /// `HEAD`
    pub const HEAD: Self = Self(Bytes::from_static(b"HEAD"));
    /// `POST`
    pub const POST: Self = Self(Bytes::from_static(b"POST"));
    /// `PUT`
    pub const PUT: Self = Self(Bytes::from_static(b"PUT"));
    /// `PATCH`
    pub const PATCH: Self = Self(Bytes::from_static(b"PATCH"));
    /// `DELETE`
    pub const DELETE: Self = Self(Bytes::from_static(b"DELETE"));
    /// `OPTIONS`
    pub const OPTIONS: Self = Self(Bytes::from_static(b"OPTIONS"));
    /// `TRACE`
    pub const TRACE: Self = Self(Bytes::from_static(b"TRACE"));
    /// `CONNECT`
    pub const CONNECT: Self = Self(Bytes::from_static(b"CONNECT"));

    /// The method with this name; `None` unless it is made of `A–Z`, `a-z`, `0-9`, `-` and `_`. (The server's parser
    /// is stricter; a plugin may set any token.)
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        let known = match name {
            b"GET" => Self::GET,
            b"HEAD" => Self::HEAD,
            b"POST" => Self::POST,
            b"PUT" => Self::PUT,
            b"PATCH" => Self::PATCH,
            b"DELETE" => Self::DELETE,
            b"OPTIONS" => Self::OPTIONS,
            b"TRACE" => Self::TRACE,
            b"CONNECT" => Self::CONNECT,
            _ => {
                let token = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
                if name.is_empty() || !name.iter().all(token) {
                    return None;
                }
                Self(Bytes::copy_from_slice(name))
            }
        };
        Some(known)
    }

    /// The name, e.g. `GET`.
    pub fn as_str(&self) -> &str {
        // A method is ASCII by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The name as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a failed try may be repeated although the upstream may have seen the request: everything but `POST`,
    /// `LOCK` and `PATCH`.
    pub fn is_idempotent(&self) -> bool {
        !matches!(self.as_bytes(), b"POST" | b"LOCK" | b"PATCH")
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<str> for Method {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Method {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}
