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
}

impl Target {
    /// Takes the target apart. `None` for one that neither starts with `/` nor is `scheme://…`, which only the Admin
    /// side of a gateway could serve (`*`, authority form).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (mut authority, mut path_at) = ((0, 0), 0);
        if text.first() != Some(&b'/') {
            let scheme = text.iter().position(|b| !b.is_ascii_alphabetic())?;
            if scheme == 0 || text.get(scheme..scheme + 3) != Some(b"://") {
                return None;
            }
            let start = scheme + 3;
            let rest = text.get(start..)?;
            let len = rest
                .iter()
                .position(|b| matches!(b, b'/' | b'?' | b'#'))
                .unwrap_or(rest.len());
            authority = (start as u32, (start + len) as u32);
            path_at = start + len;
        }
        let path = text.get(path_at..)?;
        let path_end = path_at + path.iter().position(|b| *b == b'?').unwrap_or(path.len());
        Some(Self {
            text: Buffer::copy_of(text),
            authority,
            path_at: path_at as u32,
            path_end: path_end as u32,
        })
    }

    /// The whole target as received.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The path as received, without the query; empty for an absolute form without one.
    pub fn path(&self) -> &[u8] {
        self.part(self.path_at, self.path_end)
    }

    /// What follows the first `?`; `None` without one.
    pub fn query(&self) -> Option<&[u8]> {
        self.text
            .get(self.path_end as usize + 1..)
            .filter(|_| (self.path_end as usize) < self.text.len())
    }

    /// The path and the query, as received: what an origin-form request line would hold.
    pub fn path_and_query(&self) -> &[u8] {
        self.part(self.path_at, self.text.len() as u32)
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
            ("ftp://h:1", Some("h:1"), "", None),
            ("http://h?q=1", Some("h"), "", Some("q=1")),
        ];
        for (text, authority, path, query) in rows {
            let target = Target::parse(text.as_bytes()).unwrap();
            assert_eq!(target.authority(), authority.map(str::as_bytes), "{text}");
            assert_eq!(target.path(), path.as_bytes(), "{text}");
            assert_eq!(target.query(), query.map(str::as_bytes), "{text}");
        }
        for text in ["", "*", "x", "?a", "a:80", "://x", "http:/x", "@x"] {
            assert!(Target::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
