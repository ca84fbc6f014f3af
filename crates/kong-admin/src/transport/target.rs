//! The request target: raw path, decoded parameters.

use percent_encoding::percent_decode;

use crate::message::QueryParam;

/// Most query or form parameters of a request.
pub(crate) const MAX_ARGUMENTS: usize = 1000;

/// A request target that passed the path rules of admin-api.md §1.4.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// Raw path.
    pub(crate) path: &'a str,
    /// Raw query.
    query: &'a str,
}

/// Why a request target is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadTarget {
    /// Broken percent-encoding or a NUL in the path: a stock 400 page.
    Path,
    /// More than 1000 query parameters.
    TooManyArguments,
}

impl<'a> Target<'a> {
    /// Checks the path; the query is decoded by [`Target::query`].
    pub(crate) fn new(path: &'a str, query: Option<&'a str>) -> Result<Self, BadTarget> {
        if well_encoded(path.as_bytes()) {
            Ok(Self {
                path,
                query: query.unwrap_or_default(),
            })
        } else {
            Err(BadTarget::Path)
        }
    }

    /// Query parameters in order.
    pub(crate) fn query(&self) -> Result<Vec<QueryParam>, BadTarget> {
        parse_pairs(self.query.as_bytes()).ok_or(BadTarget::TooManyArguments)
    }
}

fn well_encoded(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some(at) = rest.iter().position(|b| *b == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(hex) if hex != b"00" && hex.iter().all(u8::is_ascii_hexdigit) => rest = &rest[at + 3..],
            _ => return false,
        }
    }
    !path.contains(&0)
}

/// Pairs of a query string or a form body; `None` when there are more than [`MAX_ARGUMENTS`].
pub(crate) fn parse_pairs(text: &[u8]) -> Option<Vec<QueryParam>> {
    let mut pairs = Vec::new();
    for pair in text.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        let (name, value) = match pair.iter().position(|b| *b == b'=') {
            Some(at) => (&pair[..at], Some(decode(&pair[at + 1..]))),
            None => (pair, None),
        };
        let name = String::from_utf8_lossy(&decode(name)).into_owned();
        if name.is_empty() {
            continue;
        }
        if pairs.len() == MAX_ARGUMENTS {
            return None;
        }
        pairs.push(QueryParam { name, value });
    }
    Some(pairs)
}

/// Percent-decodes once, `+` is a space. Malformed escapes stay as they are.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn broken_escapes_and_nul_in_the_path_are_refused() {
        for (path, ok) in [
            ("/services/a%20b", true),
            ("/services/%zz", false),
            ("/services/%", false),
            ("/services/%2", false),
            ("/services/a%00b", false),
            ("/services/%2F%2f", true),
        ] {
            assert_eq!(Target::new(path, None).is_ok(), ok, "{path}");
        }
    }

    #[test]
    fn pairs_are_decoded_once_and_counted() {
        let pairs = parse_pairs(b"a=1&b&c=x%2By+z&=n&&d=%FF&e=%zz").unwrap();
        let got: Vec<_> = pairs.iter().map(|p| (p.name.as_str(), p.value.as_deref())).collect();
        assert_eq!(
            got,
            [
                ("a", Some(&b"1"[..])),
                ("b", None),
                ("c", Some(b"x+y z")),
                ("d", Some(b"\xff")),
                ("e", Some(b"%zz")),
            ]
        );
        assert!(parse_pairs("a=1&".repeat(1000).as_bytes()).is_some());
        assert!(parse_pairs("a=1&".repeat(1001).as_bytes()).is_none());
    }
}
