//! Host names: the `Host` header, and the names with a wildcard at one end that `hosts` and `snis` hold.

/// The host and the port of a `Host` header: split at the first colon if a number follows it.
///
/// A literal IPv6 address therefore stays whole, brackets, port and all.
#[inline]
pub(crate) fn split_host_port(value: &[u8]) -> (&[u8], Option<i64>) {
    match memchr::memchr(b':', value) {
        None => (value, None),
        Some(colon) => match number(&value[colon + 1..]) {
            Some(port) => (&value[..colon], Some(port)),
            None => (value, None),
        },
    }
}

fn number(text: &[u8]) -> Option<i64> {
    let (digits, radix) = match text {
        [b'0', b'x' | b'X', rest @ ..] => (rest, 16),
        _ => (text, 10),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |value, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        Some(value.saturating_mul(i64::from(radix)).saturating_add(i64::from(digit)))
    })
}

/// A name that may have a wildcard at one end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NamePattern {
    /// The whole name.
    Exact(Box<str>),
    /// `*.x`: the ending, dot included.
    Ending(Box<str>),
    /// `x.*`: the beginning, dot included.
    Beginning(Box<str>),
}

impl NamePattern {
    pub(crate) fn new(text: &str) -> Self {
        if let Some(ending) = text.strip_prefix('*') {
            NamePattern::Ending(ending.into())
        } else if let Some(beginning) = text.strip_suffix('*') {
            NamePattern::Beginning(beginning.into())
        } else {
            NamePattern::Exact(text.into())
        }
    }

    /// A server name: one trailing dot of an exact name or an ending does not count.
    pub(crate) fn sni(text: &str) -> Self {
        match NamePattern::new(text) {
            beginning @ NamePattern::Beginning(_) => beginning,
            _ => NamePattern::new(text.strip_suffix('.').unwrap_or(text)),
        }
    }

    #[inline]
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        match self {
            NamePattern::Exact(exact) => exact.as_bytes() == name,
            NamePattern::Ending(ending) => name.ends_with(ending.as_bytes()),
            NamePattern::Beginning(beginning) => name.starts_with(beginning.as_bytes()),
        }
    }
}

/// One value of `hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPattern {
    pub(crate) name: NamePattern,
    /// Without one, any port will do.
    pub(crate) port: Option<i64>,
}

impl HostPattern {
    pub(crate) fn new(text: &str) -> Self {
        let (name, port) = match text.split_once(':') {
            Some((name, rest)) => match number(rest.as_bytes()) {
                Some(port) => (name, Some(port)),
                None => (text, None),
            },
            None => (text, None),
        };
        HostPattern {
            name: NamePattern::new(name),
            port,
        }
    }

    #[inline]
    pub(crate) fn matches(&self, host: &[u8], port: Option<i64>) -> bool {
        self.name.matches(host) && self.port.is_none_or(|own| Some(own) == port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_header_is_split_at_the_first_colon_before_a_number() {
        let rows: &[(&str, &str, Option<i64>)] = &[
            ("a.test", "a.test", None),
            ("a.test:80", "a.test", Some(80)),
            ("a.test:70000", "a.test", Some(70_000)),
            ("a.test:0", "a.test", Some(0)),
            ("a.test:0x50", "a.test", Some(80)),
            ("a.test:", "a.test:", None),
            ("a.test:abc", "a.test:abc", None),
            ("[::1]:80", "[::1]:80", None),
            ("a:99999999999999999999999", "a", Some(i64::MAX)),
            ("", "", None),
        ];
        for (value, host, port) in rows {
            assert_eq!(split_host_port(value.as_bytes()), (host.as_bytes(), *port), "{value}");
        }
    }

    #[test]
    fn trailing_dot_of_a_server_name_does_not_count() {
        assert_eq!(NamePattern::sni("a.test."), NamePattern::Exact("a.test".into()));
        assert_eq!(NamePattern::sni("*.a.test."), NamePattern::Ending(".a.test".into()));
        assert_eq!(NamePattern::sni("a.*"), NamePattern::Beginning("a.".into()));
    }
}
