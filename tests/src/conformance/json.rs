//! JSON values that remember the order of their members, written the way Python writes them.
//!
//! `serde_json::Value` would do for comparing, but bodies are *sent* from the case files too, and some cases see the
//! order of members and the spacing in what comes back.

use std::fmt::Write as _;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A string.
    Str(String),
    /// A list.
    List(Vec<Json>),
    /// An object; names are unique.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses a document; `None` if it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn as_list(&self) -> Option<&[Json]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&[(String, Json)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The number as a float; booleans count as 0 and 1, as they do in Python.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Bool(b) => Some(f64::from(u8::from(*b))),
            Self::Int(n) => Some(*n as f64),
            Self::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// `json.dumps(self, sort_keys=sorted)`.
    pub fn dumps(&self, sorted: bool) -> String {
        let mut out = String::new();
        self.dump(&mut out, sorted);
        out
    }

    fn dump(&self, out: &mut String, sorted: bool) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Int(n) => {
                let _ = write!(out, "{n}");
            }
            Self::Float(n) => out.push_str(&float(*n)),
            Self::Str(s) => dump_string(s, out),
            Self::List(list) => {
                out.push('[');
                for (i, element) in list.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    element.dump(out, sorted);
                }
                out.push(']');
            }
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                if sorted {
                    members.sort_by(|a, b| a.0.cmp(&b.0));
                }
                out.push('{');
                for (i, (name, value)) in members.into_iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    dump_string(name, out);
                    out.push_str(": ");
                    value.dump(out, sorted);
                }
                out.push('}');
            }
        }
    }
}

/// `repr(float)`: shortest digits; an exponent of at least two digits from 1e16 on and below 1e-4.
pub fn float(n: f64) -> String {
    if n == 0.0 || (1e-4..1e16).contains(&n.abs()) {
        let text = format!("{n}");
        return if text.contains('.') { text } else { text + ".0" };
    }
    let text = format!("{n:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

fn dump_string(s: &str, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Json, E> {
        Ok(Json::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Json, E> {
        Ok(Json::Int(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Json, E> {
        Ok(Json::Int(v.into()))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Json, E> {
        Ok(Json::Float(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Json, E> {
        Ok(Json::Str(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Json, E> {
        Ok(Json::Str(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element()? {
            list.push(element);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            // Last one wins, in the place of the first.
            match members.iter_mut().find(|(n, _)| *n == name) {
                Some(member) => member.1 = value,
                None => members.push((name, value)),
            }
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn writes_what_python_writes() {
        for (given, sorted, written) in [
            (
                r#"{"b":1,"a":[1.0,2.50,null,true]}"#,
                false,
                r#"{"b": 1, "a": [1.0, 2.5, null, true]}"#,
            ),
            (r#"{"b":1,"a":2,"b":3}"#, false, r#"{"b": 3, "a": 2}"#),
            (r#"{"b":1,"a":{}}"#, true, r#"{"a": {}, "b": 1}"#),
            (
                r#"["é\u007f\ud83d\ude00/\n"]"#,
                false,
                r#"["\u00e9\u007f\ud83d\ude00/\n"]"#,
            ),
            ("[1e16,1e-5,123456.789,-0.0]", false, "[1e+16, 1e-05, 123456.789, -0.0]"),
            (
                "[18446744073709551615,-9223372036854775808]",
                false,
                "[18446744073709551615, -9223372036854775808]",
            ),
        ] {
            assert_eq!(Json::parse(given.as_bytes()).unwrap().dumps(sorted), written);
        }
    }
}
