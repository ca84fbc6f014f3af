use crate::recycle::Buffer;
use std::fmt;

/// The target of a request line: origin form (`/path?query`) or absolute form (`http://host/path?query`), as received.
#[derive(Clone)]
pub struct Target {
    text: Buffer,
    /// The authority of an absolute form.
    authority: (u32, u32),
    path_at: u32,
    /// Where the path ends: at the first `?`, or at the end.
    path_end: u32,
    /// Where path and query end.
    end: u32,
}

impl Target {
    /// Takes the target apart. `None` for one that neither starts with `/` nor is `scheme://…`, which only an origin
    /// server could serve (`*`, authority form).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (mut authority, mut path_at, mut end) = ((0, 0), 0, text.len());
        if text.first() != Some(&b'/') {
            let scheme = text
                .iter()
                .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))?;
            if !text.first()?.is_ascii_alphabetic() || text.get(scheme..scheme + 3) != Some(b"://") {
                return None;
            }
            let start = scheme + 3;
            let rest = text.get(start..)?;
            let len = authority_len(rest)?;
            authority = (start, start + len);
            path_at = start + len;
            if path_at == end {
                // Without a path and a query the path is `/`: the first one of `://`.
                (path_at, end) = (scheme + 1, scheme + 2);
            }
        }
        let path = text.get(path_at..end)?;
        let path_end = path_at + path.iter().position(|b| *b == b'?').unwrap_or(path.len());
        let (from, to) = authority;
        Some(Self {
            text: Buffer::copy_of(text),
            authority: (from as u32, to as u32),
            path_at: path_at as u32,
            path_end: path_end as u32,
            end: end as u32,
        })
    }

    /// The whole target as received.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The path as received, without the query; empty for an absolute form that has a query only.
    pub fn path(&self) -> &[u8] {
        self.part(self.path_at, self.path_end)
    }

    /// What follows the first `?`; `None` without one.
    pub fn query(&self) -> Option<&[u8]> {
        (self.path_end < self.end).then(|| self.part(self.path_end + 1, self.end))
    }

    /// The path and the query, as received: what an origin-form request line would hold.
    pub fn path_and_query(&self) -> &[u8] {
        self.part(self.path_at, self.end)
    }

    /// The authority (`host` or `host:port`) of an absolute form.
    pub fn authority(&self) -> Option<&[u8]> {
        let (from, to) = self.authority;
        (to > from).then(|| self.part(from, to))
    }

    fn part(&self, from: u32, to: u32) -> &[u8] {
        self.text.get(from as usize..to as usize).unwrap_or_default()
    }
}

/// Length of the authority at the start of `rest`: a host name (letters, digits, `.`, `-`) or an IP literal, and a
/// port. `None` if anything but a path, a query or the end follows.
fn authority_len(rest: &[u8]) -> Option<usize> {
    let host = if rest.first() == Some(&b'[') {
        let len = rest.iter().position(|b| *b == b']')?;
        let literal = rest.get(1..len)?;
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || b":-._~!$&'()*+,;=".contains(b);
        if !literal.iter().all(allowed) {
            return None;
        }
        len + 1
    } else {
        let named = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
        rest.iter().position(|b| !named(b)).unwrap_or(rest.len())
    };
    let after_host = rest.get(host..)?;
    let len = match after_host.split_first() {
        Some((b':', port)) => host + 1 + port.iter().position(|b| !b.is_ascii_digit()).unwrap_or(port.len()),
        _ => host,
    };
    matches!(rest.get(len), None | Some(b'/' | b'?')).then_some(len)
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::Target;

    #[test]
    fn targets_are_taken_apart() {
        // target, authority, path, query
        let rows: &[(&str, Option<&str>, &str, Option<&str>)] = &[
            ("/", None, "/", None),
            ("/a?b", None, "/a", Some("b")),
            ("/a?", None, "/a", Some("")),
            ("/a?b?c", None, "/a", Some("b?c")),
            ("http://h/a?b", Some("h"), "/a", Some("b")),
            ("ftp://h:1", Some("h:1"), "/", None),
            ("a+b://[::1]:1/x", Some("[::1]:1"), "/x", None),
            ("http:///x", None, "/x", None),
            ("http://h?q=1", Some("h"), "", Some("q=1")),
        ];
        for (text, authority, path, query) in rows {
            let target = Target::parse(text.as_bytes()).unwrap();
            assert_eq!(target.authority(), authority.map(str::as_bytes), "{text}");
            assert_eq!(target.path(), path.as_bytes(), "{text}");
            assert_eq!(target.query(), query.map(str::as_bytes), "{text}");
        }
        for text in [
            "",
            "*",
            "x",
            "?a",
            "a:80",
            "://x",
            "http:/x",
            "@x",
            "http://u@h/",
            "http://a_b/",
            "http://h#x",
        ] {
            assert!(Target::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
