//! Generic URLs as the `url` shorthand and the `url` type take them apart.

/// Parts of a URL; each as written, none of them checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Url<'a> {
    /// Before the first `:`.
    pub scheme: Option<&'a str>,
    /// After `//`, without user information, port, and brackets.
    pub host: Option<&'a str>,
    /// After the host.
    pub port: Option<&'a str>,
    /// Without parameters (`;`), query and fragment; `None` when empty.
    pub path: Option<&'a str>,
}

/// Takes a URL apart. Nothing is refused: a text that is no URL is all path.
pub fn parse(text: &str) -> Url<'_> {
    let mut url = Url::default();
    let mut rest = text;
    if let Some((scheme, after)) = rest.split_once(':') {
        let mut bytes = scheme.bytes();
        let is_scheme = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
            && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if is_scheme {
            url.scheme = Some(scheme);
            rest = after;
        }
    }
    let mut authority = None;
    if let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        authority = Some(&after[..end]);
        rest = &after[end..];
    }
    for separator in ['#', '?', ';'] {
        rest = rest.split_once(separator).map_or(rest, |(before, _)| before);
    }
    url.path = (!rest.is_empty()).then_some(rest);
    let Some(authority) = authority else {
        return url;
    };
    let mut host = authority.split_once('@').map_or(authority, |(_, host)| host);
    if let Some((before, port)) = host.rsplit_once(':')
        && !port.contains(']')
    {
        url.port = Some(port);
        host = before;
    }
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    url.host = (!host.is_empty()).then_some(host);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let rows = [
            (
                "http://a.test:80/p?q#f",
                (Some("http"), Some("a.test"), Some("80"), Some("/p")),
            ),
            ("https://u:p@a.test", (Some("https"), Some("a.test"), None, None)),
            ("http://[::1]:81/", (Some("http"), Some("::1"), Some("81"), Some("/"))),
            ("http://[::1]", (Some("http"), Some("::1"), None, None)),
            ("invalid url", (None, None, None, Some("invalid url"))),
            ("x", (None, None, None, Some("x"))),
            ("//a.test/p", (None, Some("a.test"), None, Some("/p"))),
            ("http://", (Some("http"), None, None, None)),
            ("http://a/p;v=1", (Some("http"), Some("a"), None, Some("/p"))),
        ];
        for (text, (scheme, host, port, path)) in rows {
            assert_eq!(
                parse(text),
                Url {
                    scheme,
                    host,
                    port,
                    path
                },
                "{text}"
            );
        }
    }
}
