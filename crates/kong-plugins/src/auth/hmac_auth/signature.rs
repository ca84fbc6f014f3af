//! The header's grammar and the text that is signed.

use aws_lc_rs::hmac;
use kong_plugin::Exchange;

/// Parameters of a signature.
#[derive(Debug, PartialEq)]
pub(super) struct Signature {
    pub(super) username: String,
    pub(super) algorithm: String,
    pub(super) headers: Vec<String>,
    pub(super) signature: String,
}

impl Signature {
    /// `hmac username="U", algorithm="A", headers="h1 h2", signature="S"`, anywhere in a header's value, in this order.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let starts = text.match_indices("mac").filter_map(|(at, _)| at.checked_sub(1));
        let mut found = starts.filter(|at| matches!(text.as_bytes().get(*at), Some(b'h' | b'H')));
        found.find_map(|at| Self::parse_after(text.get(at + 4..)?))
    }

    fn parse_after(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix([' ', '\t'])?.trim_start();
        let mut values = Vec::with_capacity(4);
        for (index, name) in ["username", "algorithm", "headers", "signature"]
            .into_iter()
            .enumerate()
        {
            if index > 0 {
                rest = rest.strip_prefix(',')?.trim_start();
            }
            let (value, after) = rest.strip_prefix(name)?.strip_prefix("=\"")?.split_once('"')?;
            if value.is_empty() {
                return None;
            }
            values.push(value.to_owned());
            rest = after;
        }
        let mut values = values.into_iter();
        Some(Signature {
            username: values.next()?,
            algorithm: values.next()?,
            headers: values.next()?.split(' ').map(str::to_owned).collect(),
            signature: values.next()?,
        })
    }

    /// The text that is signed.
    pub(super) fn signed_text(&self, exchange: &Exchange) -> Vec<u8> {
        let target = exchange.head.target_parts().path_and_query();
        let mut out = Vec::new();
        for (index, name) in self.headers.iter().enumerate() {
            if index > 0 {
                out.push(b'\n');
            }
            if let Some(value) = exchange.headers().get(name) {
                out.extend_from_slice(format!("{name}: ").as_bytes());
                out.extend_from_slice(value);
            } else if name == "@request-target" {
                out.extend_from_slice(format!("{name}: {} ", exchange.method().to_ascii_lowercase()).as_bytes());
                out.extend_from_slice(target);
            } else if name == "request-line" {
                out.extend_from_slice(format!("{} ", exchange.method()).as_bytes());
                out.extend_from_slice(target);
                let version = match exchange.head.version {
                    kong_message::Version::Http10 => " HTTP/1.0",
                    kong_message::Version::Http2 => " HTTP/2.0",
                    _ => " HTTP/1.1",
                };
                out.extend_from_slice(version.as_bytes());
            } else {
                out.extend_from_slice(format!("{name}:").as_bytes());
            }
        }
        out
    }
}

/// The algorithm of that name.
pub(super) fn algorithm(name: &str) -> Option<hmac::Algorithm> {
    Some(match name {
        "hmac-sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "hmac-sha256" => hmac::HMAC_SHA256,
        "hmac-sha384" => hmac::HMAC_SHA384,
        "hmac-sha512" => hmac::HMAC_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parameters_are_found_in_their_order() {
        let whole = r#"x Hmac username="u", algorithm="a",headers="h1 h2",   signature="s""#;
        let parsed = Signature::parse(whole.as_bytes()).unwrap();
        assert_eq!(
            (parsed.username.as_str(), parsed.headers),
            ("u", vec!["h1".to_owned(), "h2".into()])
        );
        for text in [
            "",
            r#"hmac algorithm="a", username="u", headers="h", signature="s""#,
            r#"hmac username="", algorithm="a", headers="h", signature="s""#,
            r#"HMAC username="u", algorithm="a", headers="h", signature="s""#,
            r#"hmac username="u", algorithm="a", headers="h""#,
        ] {
            assert_eq!(Signature::parse(text.as_bytes()), None, "{text}");
        }
    }
}
