//! `Cache-Control` (RFC 9111) and media types, as far as the cache looks at them.

use kong_message::HeaderBlock;

use crate::http_date;

/// Directives of all `Cache-Control` lines of a message.
#[derive(Debug, Default)]
pub(super) struct Directives(Vec<(String, Option<u64>)>);

impl Directives {
    pub(super) fn of(headers: &HeaderBlock) -> Self {
        let mut directives = Vec::new();
        for line in headers.get_all("cache-control") {
            for directive in String::from_utf8_lossy(line).split(',') {
                let (name, value) = match directive.split_once('=') {
                    Some((name, value)) => (name, value.trim().trim_matches('"').parse().ok()),
                    None => (directive, None),
                };
                directives.push((name.trim().to_ascii_lowercase(), value));
            }
        }
        Directives(directives)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    pub(super) fn seconds(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(n, _)| n == name)?.1
    }

    /// Seconds for which a response with these directives is fresh.
    pub(super) fn lifetime(&self, headers: &HeaderBlock, now: u64) -> u64 {
        self.seconds("s-maxage")
            .or_else(|| self.seconds("max-age"))
            .unwrap_or_else(|| {
                let expires = headers.get_str("expires").and_then(http_date::parse);
                expires.map_or(0, |at| u64::try_from(at).unwrap_or(0).saturating_sub(now))
            })
    }
}

/// A media type or range with its parameters, in lower case but for the parameters' values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MediaType {
    kind: String,
    subtype: String,
    parameters: Vec<(String, String)>,
}

impl MediaType {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let (kind, subtype) = parts.next()?.trim().split_once('/')?;
        let token =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b',');
        if !token(kind) || !token(subtype) {
            return None;
        }
        let parameters = parts.map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            Some((
                name.trim().to_ascii_lowercase(),
                value.trim().trim_matches('"').to_owned(),
            ))
        });
        Some(MediaType {
            kind: kind.to_ascii_lowercase(),
            subtype: subtype.to_ascii_lowercase(),
            parameters: parameters.collect::<Option<_>>()?,
        })
    }

    /// Whether a response of this type falls under the range.
    pub(super) fn matches(&self, range: &MediaType) -> bool {
        (range.kind == "*" || range.kind == self.kind)
            && (range.subtype == "*" || range.subtype == self.subtype)
            && range.parameters.len() == self.parameters.len()
            && range
                .parameters
                .iter()
                .all(|parameter| self.parameters.contains(parameter))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn types_fall_under_ranges() {
        for (kind, range, expected) in [
            ("application/json", "Application/JSON", true),
            ("application/json; charset=utf-8", "application/json", false),
            ("application/json", "application/json; charset=utf-8", false),
            (
                "application/json; Charset=\"utf-8\"",
                "application/json; charset=utf-8",
                true,
            ),
            ("text/csv", "text/*", true),
            ("image/png", "*/*", true),
            ("image/png; q=1", "*/*", false),
        ] {
            let matches = MediaType::parse(kind)
                .unwrap()
                .matches(&MediaType::parse(range).unwrap());
            assert_eq!(matches, expected, "{kind} {range}");
        }
        for text in ["", "json", "a/b, c/d", "a/b; c"] {
            assert_eq!(MediaType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn lifetimes_come_from_directives_or_expires() {
        for (lines, expected) in [
            (&[("Cache-Control", "max-age=60, s-maxage=0")][..], 0),
            (&[("Cache-Control", "max-age=60"), ("Expires", "0")], 60),
            (&[("Expires", "Thu, 01 Jan 1970 00:01:40 GMT")], 90),
            (&[("Cache-Control", "public")], 0),
        ] {
            let mut headers = HeaderBlock::new();
            lines.iter().for_each(|(name, value)| headers.append(name, value));
            assert_eq!(Directives::of(&headers).lifetime(&headers, 10), expected);
        }
    }
}
