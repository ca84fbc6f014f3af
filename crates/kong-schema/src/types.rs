//! Reusable field types (entities.md §3). Each is a function that returns a fresh definition; the derives name them
//! (`#[kong(kind = "host")]`).

use std::net::IpAddr;

use serde_json::Value;

use crate::address::Address;
use crate::{ALL_PROTOCOLS, Custom, FieldDef, Kind, LuaPattern, Pattern, Unique, Validator, url as urls};

fn validated(validators: Vec<Validator>) -> FieldDef {
    FieldDef {
        validators,
        ..FieldDef::default()
    }
}

/// A string checked by a function; the error is a text.
pub fn checked(name: &str, check: fn(&str) -> Result<(), String>) -> FieldDef {
    validated(vec![Validator::Custom(custom(name, check))])
}

fn custom(name: &str, check: fn(&str) -> Result<(), String>) -> Custom {
    Custom::new(name, move |value| match value.as_str() {
        Some(text) => check(text).map_err(Value::from),
        None => Ok(()),
    })
}

fn integer(low: f64, high: f64) -> FieldDef {
    FieldDef {
        kind: Kind::Integer,
        ..validated(vec![Validator::Between(low, high)])
    }
}

/// A string that is one of the choices.
pub fn one_of(choices: &[&str]) -> FieldDef {
    validated(vec![Validator::OneOf(choices.iter().map(|c| (*c).into()).collect())])
}

/// Primary key: a UUID that the gateway makes up when absent.
pub fn uuid() -> FieldDef {
    FieldDef {
        uuid: true,
        auto: true,
        not_null: true,
        ..FieldDef::default()
    }
}

/// `created_at`, `updated_at`: Unix seconds, automatic.
pub fn timestamp() -> FieldDef {
    FieldDef {
        kind: Kind::Integer,
        timestamp: true,
        auto: true,
        ..FieldDef::default()
    }
}

/// As [`timestamp`], with milliseconds as fraction.
pub fn timestamp_ms() -> FieldDef {
    FieldDef {
        kind: Kind::Number,
        ..timestamp()
    }
}

/// Protocol of a service, a route or a plugin.
pub fn protocol() -> FieldDef {
    one_of(ALL_PROTOCOLS)
}

/// Host name or IP address, no port.
pub fn host() -> FieldDef {
    checked("host", |text| match Address::parse(text) {
        Err(_) => Err(format!("invalid value: {text}")),
        Ok(address) if address.port.is_some() => Err("must not have a port".into()),
        Ok(_) => Ok(()),
    })
}

/// Host name or IP address, optional port.
pub fn host_with_optional_port() -> FieldDef {
    checked("host_with_optional_port", |text| {
        Address::parse(text).map(drop).map_err(|e| e.to_string())
    })
}

fn check_name(text: &str, shown: &str) -> Result<(), String> {
    match Address::parse(text) {
        Err(_) => Err(format!("invalid value: {shown}")),
        Ok(address) if address.is_ip() => Err("must not be an IP".into()),
        Ok(address) if address.port.is_some() => Err("must not have a port".into()),
        Ok(_) => Ok(()),
    }
}

/// Host name in which the first or the last character may be `*`.
pub fn wildcard_host() -> FieldDef {
    checked("wildcard_host", |text| {
        if let Some(at) = text.find('*') {
            if at != 0 && at != text.len() - 1 {
                return Err("wildcard must be leftmost or rightmost character".into());
            }
            if text.matches('*').count() > 1 {
                return Err("only one wildcard must be specified".into());
            }
        }
        check_name(&text.replace('*', "wildcard"), text)
    })
}

/// Host name without wildcard.
pub fn sni() -> FieldDef {
    checked("sni", |text| check_name(text, text))
}

/// IP address.
pub fn ip() -> FieldDef {
    checked("ip", |text| match text.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("not an ip address: {text}")),
    })
}

/// IP address or range in CIDR notation.
pub fn ip_or_cidr() -> FieldDef {
    checked("ip_or_cidr", |text| {
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let valid = ip.parse::<IpAddr>().is_ok_and(|ip| {
            bits.is_none_or(|bits| {
                let digits = bits.bytes().all(|b| b.is_ascii_digit());
                digits
                    && bits
                        .parse::<u8>()
                        .is_ok_and(|bits| bits <= if ip.is_ipv4() { 32 } else { 128 })
            })
        });
        if valid {
            Ok(())
        } else {
            Err(format!("invalid ip or cidr range: '{text}'"))
        }
    })
}

/// Port, 0 to 65535.
pub fn port() -> FieldDef {
    integer(0.0, 65535.0)
}

/// Milliseconds, 0 to 2147483646.
pub fn timeout() -> FieldDef {
    integer(0.0, 2_147_483_646.0)
}

/// Validator shared by everything that is a path.
pub fn no_empty_segments() -> Validator {
    Validator::MatchNone(vec![Pattern {
        pattern: LuaPattern::from("//"),
        err: Some("must not have empty segments".into()),
    }])
}

/// Path of a URL: percent-encoded, no empty segments.
pub fn path() -> FieldDef {
    validated(vec![
        Validator::StartsWith("/".into()),
        no_empty_segments(),
        Validator::Custom(custom("path", check_path)),
    ])
}

fn check_path(text: &str) -> Result<(), String> {
    if !text.bytes().all(is_path_byte) {
        return Err(format!(
            "invalid path: '{text}' (characters outside of the reserved list of RFC 3986 found)"
        ));
    }
    check_percent_encoding(text)
}

/// Whether the byte may stand in a [`path`].
pub fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_~/%:@!$&'()*+,;=".contains(&byte)
}

/// Every `%` begins a complete escape.
///
/// # Errors
///
/// The text with the first that does not.
pub fn check_percent_encoding(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(offset) = bytes[at..].iter().position(|b| *b == b'%') {
        let start = at + offset;
        let complete = bytes.len() >= start + 3 && bytes[start + 1..start + 3].iter().all(u8::is_ascii_hexdigit);
        if !complete {
            let shown: String = text[start..].chars().take(3).collect();
            return Err(format!("invalid url-encoded value: '{shown}'"));
        }
        at = start + 3;
    }
    Ok(())
}

/// URL with scheme and host.
pub fn url() -> FieldDef {
    checked("url", |text| {
        let parts = urls::parse(text);
        if parts.host.is_none() {
            Err("missing host in url".into())
        } else if parts.scheme.is_none() {
            Err("missing scheme in url".into())
        } else {
            Ok(())
        }
    })
}

/// Name of a header.
pub fn header_name() -> FieldDef {
    checked("header_name", |text| {
        if text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            Ok(())
        } else {
            Err(format!(
                "bad header name '{text}', allowed characters are A-Z, a-z, 0-9, '_', and '-'"
            ))
        }
    })
}

/// Name of a cookie.
pub fn cookie_name() -> FieldDef {
    checked("cookie_name", |text| {
        if text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/?={}[]".contains(&b))
        {
            return Ok(());
        }
        Err(
            "contains one or more invalid characters. ASCII control characters (0-31;127), space, tab and the \
             characters ()<>@,;:\\\"/?={}[] are not allowed."
                .into(),
        )
    })
}

/// Method of a request.
pub fn http_method() -> FieldDef {
    validated(vec![Validator::Match(LuaPattern::from("^%u+$"))])
}

/// Header names with lists of values.
pub fn headers() -> FieldDef {
    FieldDef {
        kind: Kind::Map {
            keys: Box::new(header_name()),
            values: Box::new(FieldDef {
                kind: Kind::Array(Box::default()),
                ..FieldDef::default()
            }),
        },
        ..FieldDef::default()
    }
}

/// Unique name of ASCII letters, digits and `.-_~`.
pub fn name() -> FieldDef {
    FieldDef {
        unique: Unique::Workspace,
        ..checked("name", |text| {
            if text.bytes().all(is_name_byte) {
                return Ok(());
            }
            Err(format!(
                "invalid value '{text}': it must only contain alphanumeric and '., -, _, ~' characters"
            ))
        })
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~')
}

/// As [`name`], and any character beyond ASCII.
pub fn utf8_name() -> FieldDef {
    FieldDef {
        unique: Unique::Workspace,
        ..checked("utf8_name", |text| {
            if text.bytes().all(|b| !b.is_ascii() || is_name_byte(b)) {
                return Ok(());
            }
            Err(format!(
                "invalid value '{text}': the only accepted ascii characters are alphanumerics or ., -, _, and ~"
            ))
        })
    }
}

/// Labels of an entity.
pub fn tags() -> FieldDef {
    FieldDef {
        kind: Kind::Set(Box::new(FieldDef {
            required: true,
            ..tag()
        })),
        ..FieldDef::default()
    }
}

/// A label.
pub fn tag() -> FieldDef {
    checked("tag", |text| {
        if text
            .bytes()
            .all(|b| matches!(b, 0x20..=0x7e | 0x80..=0xf4) && b != b',' && b != b'/')
        {
            return Ok(());
        }
        Err(format!(
            "invalid tag '{text}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
        ))
    })
}

/// `protocols` of a plugin in its widest form.
pub fn protocols() -> FieldDef {
    FieldDef {
        kind: Kind::Set(Box::new(protocol())),
        required: true,
        default: Some(crate::HTTP_PROTOCOLS.into()),
        ..FieldDef::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn error(def: &FieldDef, text: &str) -> Option<String> {
        def.validators.iter().find_map(|validator| match validator {
            Validator::Custom(custom) => (custom.check)(&text.into())
                .err()
                .map(|e| e.as_str().unwrap().to_owned()),
            _ => None,
        })
    }

    #[test]
    fn values_are_refused_with_the_texts_of_the_reference() {
        let rows: &[(FieldDef, &str, &str)] = &[
            (host(), "a.test:80", "must not have a port"),
            (host(), "[::1]:80", "must not have a port"),
            (host(), "*", "invalid value: *"),
            (host_with_optional_port(), "a b", "invalid hostname: a b"),
            (
                wildcard_host(),
                "a.*.b",
                "wildcard must be leftmost or rightmost character",
            ),
            (wildcard_host(), "*.a.*", "only one wildcard must be specified"),
            (wildcard_host(), "1.2.3.4", "must not be an IP"),
            (wildcard_host(), "::1", "must not be an IP"),
            (wildcard_host(), "a.test:443", "must not have a port"),
            (wildcard_host(), "a b", "invalid value: a b"),
            (sni(), "*.a.test", "invalid value: *.a.test"),
            (ip(), "x", "not an ip address: x"),
            (ip_or_cidr(), "10.0.0.1/33", "invalid ip or cidr range: '10.0.0.1/33'"),
            (ip_or_cidr(), "10.0.0.1/+8", "invalid ip or cidr range: '10.0.0.1/+8'"),
            (
                path(),
                "/a b",
                "invalid path: '/a b' (characters outside of the reserved list of RFC 3986 found)",
            ),
            (path(), "/%zz", "invalid url-encoded value: '%zz'"),
            (path(), "/a%", "invalid url-encoded value: '%'"),
            (path(), "/%20%2", "invalid url-encoded value: '%2'"),
            (url(), "x", "missing host in url"),
            (url(), "//a.test", "missing scheme in url"),
            (
                header_name(),
                "a b",
                "bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
            ),
            (
                name(),
                "é",
                "invalid value 'é': it must only contain alphanumeric and '., -, _, ~' characters",
            ),
            (
                utf8_name(),
                "a b",
                "invalid value 'a b': the only accepted ascii characters are alphanumerics or ., -, _, and ~",
            ),
            (
                tag(),
                "a,b",
                "invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
            ),
            (
                cookie_name(),
                "a b",
                "contains one or more invalid characters. ASCII control characters (0-31;127), space, tab and the \
                 characters ()<>@,;:\\\"/?={}[] are not allowed.",
            ),
        ];
        for (def, text, expected) in rows {
            assert_eq!(error(def, text).as_deref(), Some(*expected), "{text}");
        }
    }

    #[test]
    fn usual_values_pass() {
        let rows = [
            (host(), "upstream.test"),
            (host(), "::1"),
            (host_with_optional_port(), "a:80"),
            (wildcard_host(), "*.a.test"),
            (wildcard_host(), "a.*"),
            (sni(), "a.test"),
            (ip(), "::1"),
            (ip_or_cidr(), "10.0.0.0/8"),
            (ip_or_cidr(), "fe80::/128"),
            (path(), "/a%20b;c=d/~x"),
            (url(), "http://a.test/x"),
            (header_name(), "X-A_b"),
            (cookie_name(), "sid"),
            (name(), "a.-_~9"),
            (utf8_name(), "é"),
            (tag(), "a b é"),
        ];
        for (def, text) in rows {
            assert_eq!(error(&def, text), None, "{text}");
        }
    }
}
