//! Which origins may.

use bytes::Bytes;
use kong_plugin::PluginError;
use pcre2::bytes::{Regex, RegexBuilder};
use serde_json::Value;

/// What the configuration says of an origin.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Everybody may: `*`.
    All,
    /// The same, by one entry of several: the answer depends on the origin's presence.
    AllOfList,
    /// This value.
    Allowed(Bytes),
    /// It may not, or there is none.
    Refused,
}

pub(super) struct Origins {
    mode: Mode,
}

enum Mode {
    All,
    /// One plain entry: the answer to every origin.
    Fixed(Bytes),
    List {
        has_star: bool,
        entries: Vec<Entry>,
    },
}

enum Entry {
    Plain(Vec<u8>),
    /// Matched against the host alone.
    Host(Regex),
    /// Matched against the whole origin.
    Whole(Regex),
}

fn is_plain(entry: &str) -> bool {
    entry
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'/' | b'-'))
        && !entry.is_empty()
}

/// Validator of an entry: `*` or a regular expression.
pub(super) fn check(value: &Value) -> Result<(), Value> {
    match value.as_str() {
        Some(entry) if entry != "*" && anchored(entry).is_err() => {
            Err(format!("'{entry}' is not a valid regex").into())
        }
        _ => Ok(()),
    }
}

fn anchored(entry: &str) -> Result<Regex, pcre2::Error> {
    // Compiled as it stands first: the group around it must not repair it.
    RegexBuilder::new().build(entry)?;
    let inner = entry.strip_prefix('^').unwrap_or(entry);
    let inner = inner
        .strip_suffix('$')
        .filter(|rest| !rest.ends_with('\\'))
        .unwrap_or(inner);
    RegexBuilder::new()
        .jit_if_available(true)
        .build(&format!("^(?:{inner})$"))
}

impl Origins {
    pub(super) fn new(entries: Vec<String>) -> Result<Self, PluginError> {
        let mode = match entries.as_slice() {
            [] => Mode::All,
            [one] if one == "*" => Mode::All,
            [one] if is_plain(one) => Mode::Fixed(Bytes::from(one.clone())),
            many => Mode::List {
                has_star: many.iter().any(|entry| entry == "*"),
                entries: many
                    .iter()
                    .filter(|e| *e != "*")
                    .map(|e| Entry::new(e))
                    .collect::<Result<_, _>>()?,
            },
        };
        Ok(Origins { mode })
    }

    pub(super) fn judge(&self, origin: Option<&[u8]>) -> Verdict {
        match (&self.mode, origin) {
            (Mode::All, _) => Verdict::All,
            (Mode::Fixed(value), _) => Verdict::Allowed(value.clone()),
            (Mode::List { .. }, None) => Verdict::Refused,
            (Mode::List { has_star: true, .. }, Some(_)) => Verdict::AllOfList,
            (Mode::List { entries, .. }, Some(origin)) => {
                let (normalised, host) = normalise(origin);
                match entries.iter().any(|entry| entry.matches(&normalised, &host)) {
                    true => Verdict::Allowed(Bytes::from(normalised)),
                    false => Verdict::Refused,
                }
            }
        }
    }
}

impl Entry {
    fn new(entry: &str) -> Result<Self, PluginError> {
        if is_plain(entry) {
            return Ok(Entry::Plain(normalise(entry.as_bytes()).0));
        }
        let regex = anchored(entry).map_err(|_| PluginError(format!("'{entry}' is not a valid regex")))?;
        Ok(if entry.contains(':') {
            Entry::Whole(regex)
        } else {
            Entry::Host(regex)
        })
    }

    fn matches(&self, origin: &[u8], host: &[u8]) -> bool {
        match self {
            Entry::Plain(entry) => entry == origin,
            Entry::Host(regex) => regex.is_match(host).unwrap_or(false),
            Entry::Whole(regex) => regex.is_match(origin).unwrap_or(false),
        }
    }
}

/// `scheme://host[:port]` without a default port, and the host. What has no host is kept whole.
fn normalise(origin: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let whole = || (origin.to_vec(), origin.to_vec());
    let Ok(text) = std::str::from_utf8(origin) else {
        return whole();
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        return whole();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rfind(':').filter(|at| !authority[*at..].contains(']')) {
        Some(at) => (&authority[..at], Some(&authority[at + 1..])),
        None => (authority, None),
    };
    if host.is_empty() || scheme.is_empty() {
        return whole();
    }
    let default = match scheme {
        "http" => "80",
        "https" => "443",
        _ => "",
    };
    let normalised = match port {
        Some(port) if port != default && !port.is_empty() => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    };
    (normalised.into_bytes(), host.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn entries_match_origins() {
        let either = |entry: &str| Origins::new(vec![entry.to_owned(), "unlikely.test".to_owned()]).unwrap();
        let with_port = r"^http://(.*[.])?foo\.test(:(80|90))?$";
        // entry, origin, answer
        let rows = [
            (r"foo\.test", "http://foo.test", Some("http://foo.test")),
            (r"foo\.test", "https://foo.test:8000", Some("https://foo.test:8000")),
            (r"foo\.test", "http://something.foo.test", None),
            (r"foo\.test", "http://evilfoo.test", None),
            (r"foo\.test", "http://foo.test.evil.test", None),
            (
                r"(.*[./])?foo\.test",
                "http://something.foo.test",
                Some("http://something.foo.test"),
            ),
            (r"(.*[./])?foo\.test", "http://evilfoo.test", None),
            (
                r"(.*[./])?foo\.test:8000",
                "http://foo.test:8000",
                Some("http://foo.test:8000"),
            ),
            (r"(.*[./])?foo\.test:8000", "http://foo.test", None),
            (r"(.*[./])?foo\.test:8000", "http://foo.test:80", None),
            (
                r"https://(.*[.])?foo\.test:8000",
                "https://foo.test:8000",
                Some("https://foo.test:8000"),
            ),
            (r"https://(.*[.])?foo\.test:8000", "http://foo.test:8000", None),
            (with_port, "http://foo.test:80", Some("http://foo.test")),
            (with_port, "http://foo.test:90", Some("http://foo.test:90")),
            (with_port, "http://foo.test:8000", None),
            ("http://y.test/p", "http://y.test", Some("http://y.test")),
            ("foo.test", "http://foo.test", None),
            ("foo.test", "foo.test", Some("foo.test")),
        ];
        for (entry, origin, answer) in rows {
            let expected = answer.map_or(Verdict::Refused, |a| Verdict::Allowed(Bytes::from(a)));
            assert_eq!(
                either(entry).judge(Some(origin.as_bytes())),
                expected,
                "{entry} {origin}"
            );
        }
    }

    #[test]
    fn single_entries_and_stars_need_no_origin() {
        for entries in [vec![], vec!["*".to_owned()]] {
            assert_eq!(Origins::new(entries).unwrap().judge(None), Verdict::All);
        }
        let fixed = Origins::new(vec!["http://a.test".to_owned()]).unwrap();
        assert_eq!(
            fixed.judge(Some(b"http://b.test")),
            Verdict::Allowed("http://a.test".into())
        );
        let star = Origins::new(vec!["http://a.test".to_owned(), "*".to_owned()]).unwrap();
        assert_eq!(
            (star.judge(Some(b"x")), star.judge(None)),
            (Verdict::AllOfList, Verdict::Refused)
        );
    }
}
