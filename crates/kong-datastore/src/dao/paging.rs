//! `size`, `offset` and `tags` of collections (admin-api.md §5).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use kong_schema::Object;
use kong_schema::errors::ErrorObject;
use serde_json::Value;

use crate::{PageToken, TagFilter};

/// Rows of a page when the client does not say.
pub const DEFAULT_PAGE_SIZE: usize = 100;
/// Most rows of a page.
pub const MAX_PAGE_SIZE: usize = 1000;
/// Most tags of a filter.
const MAX_TAGS: usize = 5;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a client asked of a collection, as sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// `size`.
    pub size: Option<String>,
    /// `offset`.
    pub offset: Option<String>,
    /// `tags`, not necessarily UTF-8; ignored by entities without tags.
    pub tags: Option<Vec<u8>>,
}

/// Size of a page: 100, or what the client says between 1 and 1000 (code 9).
pub fn page_size(size: Option<&str>) -> Result<usize, ErrorObject> {
    let Some(text) = size else { return Ok(DEFAULT_PAGE_SIZE) };
    let number = number(text).ok_or_else(ErrorObject::size_not_a_number)?;
    if number.fract() != 0.0 || !(1.0..=MAX_PAGE_SIZE as f64).contains(&number) {
        return Err(ErrorObject::size_out_of_range());
    }
    Ok(number as usize)
}

/// Numeric text as the original reads it: decimal, exponent or hexadecimal, blanks around it.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()? as f64,
        // Rust would also read `inf` and `nan`.
        None if digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b)) => digits.parse().ok()?,
        None => return None,
    };
    Some(if negative { -value } else { value })
}

/// The opaque text of a position: unpadded base64 of a JSON array.
pub fn encode_offset(token: &[Value]) -> String {
    BASE64.encode(Value::Array(token.to_vec()).to_string())
}

/// The position behind an offset of `parts` values (code 7).
pub fn decode_offset(offset: &str, parts: usize) -> Result<PageToken, ErrorObject> {
    let json = BASE64
        .decode(offset)
        .map_err(|_| ErrorObject::invalid_offset(offset, "bad base64 encoding"))?;
    match serde_json::from_slice(&json) {
        Ok(Value::Array(token)) if token.len() == parts && token.iter().all(is_key_part) => Ok(token),
        _ => Err(ErrorObject::invalid_offset(offset, "bad json encoding")),
    }
}

fn is_key_part(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_))
}

/// A tag filter: `a,b` all of them, `a/b` any (code 11).
pub(super) fn tag_filter(text: &[u8]) -> Result<TagFilter, ErrorObject> {
    let refuse = |why: &str| {
        Err(ErrorObject::invalid_options(Object::from_iter([(
            "tags".to_owned(),
            Value::String(why.to_owned()),
        )])))
    };
    if text.is_empty() {
        return refuse("cannot be null");
    }
    let legal = |text: &str| text.bytes().all(|b| matches!(b, 0x20..=0x7E | 0x80..=0xF4));
    let Some(text) = std::str::from_utf8(text).ok().filter(|text| legal(text)) else {
        return refuse("invalid filter syntax");
    };
    let any = text.contains('/');
    if any && text.contains(',') {
        return refuse("invalid filter syntax");
    }
    let separator = if any { '/' } else { ',' };
    let text = text.strip_suffix(separator).unwrap_or(text);
    let tags: Vec<String> = text.split(separator).map(str::to_owned).collect();
    if tags.iter().any(String::is_empty) {
        return refuse("invalid filter syntax");
    }
    if tags.len() > MAX_TAGS {
        return refuse("cannot query more than 5 tags");
    }
    Ok(if any {
        TagFilter::Any(tags)
    } else {
        TagFilter::All(tags)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn message<T: std::fmt::Debug>(result: Result<T, ErrorObject>) -> String {
        result.unwrap_err().message
    }

    #[test]
    fn sizes_are_whole_numbers_between_1_and_1000() {
        for (text, want) in [
            ("1", 1),
            ("1000", 1000),
            ("1e2", 100),
            (" 7 ", 7),
            ("0x10", 16),
            ("5.0", 5),
        ] {
            assert_eq!(page_size(Some(text)).unwrap(), want, "{text}");
        }
        assert_eq!(page_size(None).unwrap(), 100);
        for text in ["0", "1001", "1.5", "-1", "1e9"] {
            assert_eq!(
                message(page_size(Some(text))),
                "size must be an integer between 1 and 1000",
                "{text}"
            );
        }
        for text in ["", "x", "inf", "nan", "1,0"] {
            assert_eq!(message(page_size(Some(text))), "size must be a number", "{text}");
        }
    }

    #[test]
    fn offsets_survive_the_way_to_the_client_and_back() {
        let token = vec![Value::String("58c1".to_owned())];
        assert_eq!(decode_offset(&encode_offset(&token), 1).unwrap(), token);
        assert_eq!(
            message(decode_offset("x", 1)),
            "'x' is not a valid offset: bad base64 encoding"
        );
        for offset in ["", "eA", "e30", "W10", "W1tdXQ"] {
            assert_eq!(
                message(decode_offset(offset, 1)),
                format!("'{offset}' is not a valid offset: bad json encoding")
            );
        }
    }

    #[test]
    fn tag_filters_mean_all_or_any() {
        let all = |tags: &[&str]| Some(TagFilter::All(tags.iter().map(|t| (*t).to_owned()).collect()));
        let any = |tags: &[&str]| Some(TagFilter::Any(tags.iter().map(|t| (*t).to_owned()).collect()));
        for (text, want) in [
            ("a", all(&["a"])),
            ("a,b", all(&["a", "b"])),
            ("a/b", any(&["a", "b"])),
            ("a,", all(&["a"])),
            ("a/", any(&["a"])),
            ("with space", all(&["with space"])),
            ("日本", all(&["日本"])),
            ("1,2,3,4,5", all(&["1", "2", "3", "4", "5"])),
            ("a,b/c", None),
            (",a", None),
            ("a,,b", None),
            ("a,,", None),
            (",", None),
            ("/", None),
            ("a\tb", None),
            ("", None),
            ("1,2,3,4,5,6", None),
        ] {
            assert_eq!(tag_filter(text.as_bytes()).ok(), want, "{text}");
        }
        assert!(tag_filter(b"\xff").is_err());
    }
}
