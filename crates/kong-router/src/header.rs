//! The `headers` of a route.
//!
//! On the request path: allocates only where a value is longer than the buffer on the stack, or not ASCII.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::captures::Captures;
use crate::matcher::Facts;
use crate::pattern::{Pattern, PatternCache};
use crate::request::canonical_name_byte;

/// The values that one header may have.
#[derive(Debug)]
pub(crate) struct HeaderRule {
    /// In lower case, with `_` for `-`.
    pub(crate) name: Box<str>,
    pub(crate) values: Box<[HeaderValue]>,
}

/// What a header value in lower case is compared with.
#[derive(Debug)]
pub(crate) enum HeaderValue {
    Exact(Box<[u8]>),
    Regex(Arc<Pattern>),
}

impl HeaderRule {
    pub(crate) fn new(
        name: &str,
        values: &[String],
        is_traditional: bool,
        patterns: &PatternCache,
    ) -> Result<Self, String> {
        let may_be_regex = !is_traditional || values.len() == 1;
        let name: String = name.bytes().map(|byte| char::from(canonical_name_byte(byte))).collect();
        let values = values.iter().map(|value| {
            let value = value.to_ascii_lowercase();
            Ok(match value.strip_prefix("~*").filter(|_| may_be_regex) {
                // Lower case in the pattern too: `\D` means `\d`, as ever.
                Some(regex) => HeaderValue::Regex(patterns.compile(regex)?),
                None => HeaderValue::Exact(value.into_bytes().into()),
            })
        });
        Ok(HeaderRule {
            name: name.into(),
            values: values.collect::<Result<_, String>>()?,
        })
    }

    pub(crate) fn has_regex(&self) -> bool {
        self.values.iter().any(|value| matches!(value, HeaderValue::Regex(_)))
    }

    pub(crate) fn agrees(&self, facts: &Facts<'_>) -> bool {
        facts.query.headers.any(&self.name, &mut |value| {
            let mut buffer = Buffer::new();
            let Some(value) = lower_case(value, &mut buffer) else {
                return false;
            };
            self.values.iter().any(|own| match own {
                HeaderValue::Exact(exact) => **exact == *value,
                HeaderValue::Regex(pattern) => pattern.regex.is_match(value),
            })
        })
    }

    /// Adds the captures of the value that agrees.
    pub(crate) fn record(&self, facts: &Facts<'_>, captures: &mut Captures) {
        facts.query.headers.any(&self.name, &mut |value| {
            let mut buffer = Buffer::new();
            let Some(value) = lower_case(value, &mut buffer) else {
                return false;
            };
            self.values.iter().any(|own| match own {
                HeaderValue::Exact(exact) => **exact == *value,
                HeaderValue::Regex(pattern) => captures.record(pattern, value),
            })
        });
    }
}

/// Room for values in lower case.
pub(crate) type Buffer = SmallVec<[u8; 128]>;

/// `value` in lower case; nothing if it is not UTF-8.
pub(crate) fn lower_case<'a>(value: &'a [u8], buffer: &'a mut Buffer) -> Option<&'a [u8]> {
    if value.is_ascii() {
        if !value.iter().any(u8::is_ascii_uppercase) {
            return Some(value);
        }
        buffer.extend(value.iter().map(u8::to_ascii_lowercase));
    } else {
        buffer.extend_from_slice(std::str::from_utf8(value).ok()?.to_lowercase().as_bytes());
    }
    Some(buffer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Flavor;
    use crate::classic::Classic;
    use crate::classic::tests::route;

    #[test]
    fn header_rules_are_in_lower_case() {
        let route = route(r#"{"headers":{"X-Some_Name":["ONE","~*^V\\D"]}}"#);
        let classic = Classic::new(&route, &[], Flavor::default(), &PatternCache::default()).unwrap();
        assert_eq!(&*classic.headers[0].name, "x_some_name");
        assert!(matches!(&classic.headers[0].values[0], HeaderValue::Exact(value) if **value == *b"one"));
        assert!(matches!(&classic.headers[0].values[1], HeaderValue::Regex(value) if value.source() == "^v\\d"));
    }

    #[test]
    fn lower_case_covers_unicode_and_refuses_what_is_not_utf_8() {
        let lower = |value: &[u8]| lower_case(value, &mut Buffer::new()).map(<[u8]>::to_vec);
        assert_eq!(lower(b"Ab-1").unwrap(), b"ab-1");
        assert_eq!(lower("ÄB".as_bytes()).unwrap(), "äb".as_bytes());
        assert_eq!(lower(b"\xff"), None);
    }
}
