//! Query and form arguments as the gateway reads and writes them (plugins-auth-traffic.md §1.7).

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Most arguments that are looked at (`lua_max_uri_args`, `lua_max_post_args`).
pub const MAX_ARGUMENTS: usize = 100;

/// One decoded `name=value` pair; without `=` there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument<'a> {
    /// Decoded name, never empty.
    pub name: Cow<'a, [u8]>,
    /// Decoded value; `None` for a bare `name`.
    pub value: Option<Cow<'a, [u8]>>,
}

/// The arguments of a query or a form body in order, at most [`MAX_ARGUMENTS`]. Pairs with an empty name are left out.
pub fn arguments(text: &[u8]) -> impl Iterator<Item = Argument<'_>> {
    text.split(|b| *b == b'&')
        .filter_map(|pair| {
            let mut parts = pair.splitn(2, |b| *b == b'=');
            let name = decode(parts.next()?);
            (!name.is_empty()).then(|| Argument {
                name,
                value: parts.next().map(decode),
            })
        })
        .take(MAX_ARGUMENTS)
}

/// Undoes percent-encoding and `+`; malformed escapes stay as they are.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|b| matches!(b, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            (byte, _) => out.push(byte),
        }
    }
    Cow::Owned(out)
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// How an encoder writes a space, and what it leaves alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `%20`; leaves `A-Za-z0-9-._~` alone. What the gateway writes.
    Percent,
    /// `+`; leaves `A-Za-z0-9*-._` alone. The form encoding of the URL standard.
    Form,
}

/// Appends the encoded text.
pub fn encode_into(out: &mut Vec<u8>, text: &[u8], encoding: Encoding) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_')
            || match encoding {
                Encoding::Percent => byte == b'~',
                Encoding::Form => byte == b'*',
            };
        if plain {
            out.push(byte);
        } else if byte == b' ' && encoding == Encoding::Form {
            out.push(b'+');
        } else {
            out.push(b'%');
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
        }
    }
}

/// The arguments as an object: a repeated name becomes an array, a bare one `true`. Bytes that are no UTF-8 are
/// replaced.
pub fn to_object(text: &[u8]) -> Map<String, Value> {
    let mut object = Map::new();
    for argument in arguments(text) {
        let value = match &argument.value {
            Some(value) => Value::String(String::from_utf8_lossy(value).into_owned()),
            None => Value::Bool(true),
        };
        push(&mut object, String::from_utf8_lossy(&argument.name).into_owned(), value);
    }
    object
}

/// Adds a member; a repeated one becomes an array.
pub fn push(object: &mut Map<String, Value>, name: String, value: Value) {
    match object.get_mut(&name) {
        None => {
            object.insert(name, value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(old) => {
            let first = old.take();
            *old = Value::Array(vec![first, value]);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_are_decoded_in_order() {
        let rows = [
            ("a=1&b=2", json!({"a": "1", "b": "2"})),
            ("a=1&a=2&a", json!({"a": ["1", "2", true]})),
            ("flag&x=", json!({"flag": true, "x": ""})),
            ("=v&&a%20b=c%2Bd+e", json!({"a b": "c+d e"})),
            ("p=100%&q=%zz", json!({"p": "100%", "q": "%zz"})),
            ("a=b=c", json!({"a": "b=c"})),
            ("", json!({})),
        ];
        for (text, expected) in rows {
            assert_eq!(Value::Object(to_object(text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn no_more_than_a_hundred_arguments_are_looked_at() {
        let text = (0..300).map(|i| format!("a{i}=1")).collect::<Vec<_>>().join("&");
        assert_eq!(arguments(text.as_bytes()).count(), MAX_ARGUMENTS);
    }

    #[test]
    fn encodings_differ_in_space_tilde_and_star() {
        for (encoding, expected) in [(Encoding::Percent, "a%20b~%2A%2F"), (Encoding::Form, "a+b%7E*%2F")] {
            let mut out = Vec::new();
            encode_into(&mut out, b"a b~*/", encoding);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
