//! What an answer must look like: wildcards, lists without a promised order, and what is volatile.

use std::sync::LazyLock;

use fancy_regex::Regex;

use super::json::Json;
use super::pattern;

const VOLATILE: [&str; 4] = ["created_at", "updated_at", "offset", "next"];

#[allow(clippy::expect_used)] // a constant pattern that the tests compile
static UUID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").expect("constant")
});

fn is_uuid(text: &str) -> bool {
    UUID.is_match(text).unwrap_or(false)
}

fn is_hex32(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Replaces `{{name}}` in every string by what is known under that name.
pub(crate) fn substitute(value: &Json, known: &[(String, Json)]) -> Json {
    match value {
        Json::Object(members) => Json::Object(members.iter().map(|(n, v)| (n.clone(), substitute(v, known))).collect()),
        Json::List(list) => Json::List(list.iter().map(|v| substitute(v, known)).collect()),
        Json::Str(text) => Json::Str(substitute_text(text, known)),
        other => other.clone(),
    }
}

fn substitute_text(text: &str, known: &[(String, Json)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let name: String = from
            .chars()
            .skip(2)
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let whole = format!("{{{{{name}}}}}");
        let value = known.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| v);
        match (from.strip_prefix(&whole), value) {
            (Some(after), Some(value)) if !name.is_empty() => {
                out.push_str(&display(value));
                rest = after;
            }
            _ => {
                out.push('{');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out + rest
}

/// `str(value)`.
fn display(value: &Json) -> String {
    match value {
        Json::Null => "None".to_owned(),
        Json::Bool(b) => if *b { "True" } else { "False" }.to_owned(),
        Json::Int(n) => n.to_string(),
        Json::Str(s) => s.clone(),
        other => other.dumps(false),
    }
}

/// Adds a line for every place where `got` is not what `want` says.
pub(crate) fn differ(want: &Json, got: Option<&Json>, at: &str, out: &mut Vec<String>) {
    let shown = || cut(&got.map_or_else(|| "null".to_owned(), |v| v.dumps(false)));
    if let Some(fits) = want.as_str().and_then(|want| wildcard(want, got)) {
        if !fits {
            out.push(format!(
                "{at}: expected {}, got {}",
                want.as_str().unwrap_or_default(),
                shown()
            ));
        }
        return;
    }
    match (want, got) {
        (Json::Object(want), Some(Json::Object(got))) => {
            for (name, value) in want {
                match got.iter().find(|(n, _)| n == name) {
                    Some((_, got)) => differ(value, Some(got), &format!("{at}.{name}"), out),
                    None => out.push(format!("{at}.{name}: missing, expected {}", cut(&value.dumps(false)))),
                }
            }
            for (name, value) in got {
                if !want.iter().any(|(n, _)| n == name) {
                    out.push(format!("{at}.{name}: unexpected {}", cut(&value.dumps(false))));
                }
            }
        }
        (Json::List(want), Some(Json::List(got))) if want.len() == got.len() => {
            for (i, (want, got)) in want.iter().zip(got).enumerate() {
                differ(want, Some(got), &format!("{at}[{i}]"), out);
            }
        }
        (Json::List(want), Some(Json::List(got))) => {
            out.push(format!(
                "{at}: {} elements, expected {}: {}",
                got.len(),
                want.len(),
                shown()
            ));
        }
        // The original has one empty table type.
        (want, Some(got)) if is_empty(want) && is_empty(got) => {}
        (want, got) => {
            if !equal(want, got.unwrap_or(&Json::Null)) {
                out.push(format!("{at}: expected {}, got {}", cut(&want.dumps(false)), shown()));
            }
        }
    }
}

/// Whether a wildcard fits; `None` if `want` is none. An absent value counts as `null`.
fn wildcard(want: &str, got: Option<&Json>) -> Option<bool> {
    let got = got.unwrap_or(&Json::Null);
    Some(match want {
        "$any" => true,
        "$uuid" => got.as_str().is_some_and(is_uuid),
        "$hex32" => got.as_str().is_some_and(is_hex32),
        "$int" => matches!(got, Json::Int(_)),
        "$number" => got.as_number().is_some(),
        "$string" => got.as_str().is_some(),
        _ => {
            let regex = want.strip_prefix("$re:")?;
            got.as_str()
                .is_some_and(|text| pattern::search(regex, text).unwrap_or(false))
        }
    })
}

fn is_empty(value: &Json) -> bool {
    matches!(value, Json::List(l) if l.is_empty()) || matches!(value, Json::Object(o) if o.is_empty())
}

fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Int(a), Json::Int(b)) => a == b,
        _ => match (a.as_number(), b.as_number()) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}

fn cut(text: &str) -> String {
    text.chars().take(300).collect()
}

/// The value with its `data` list, which comes in no promised order, sorted.
pub(crate) fn unordered(value: Json) -> Json {
    let Json::Object(mut members) = value else { return value };
    if let Some((_, Json::List(data))) = members.iter_mut().find(|(n, _)| n == "data") {
        data.sort_by_cached_key(|e| (generalise(e, None).dumps(true), e.dumps(true)));
    }
    Json::Object(members)
}

/// The value with what is volatile replaced by a wildcard, so that it sorts the same at every run.
fn generalise(value: &Json, key: Option<&str>) -> Json {
    match value {
        Json::Object(members) => Json::Object(
            members
                .iter()
                .map(|(n, v)| (n.clone(), generalise(v, Some(n))))
                .collect(),
        ),
        Json::List(list) => Json::List(list.iter().map(|v| generalise(v, key)).collect()),
        Json::Null => Json::Null,
        _ if key.is_some_and(|key| VOLATILE.contains(&key)) => Json::Str("$any".to_owned()),
        Json::Str(text) if is_uuid(text) => Json::Str("$uuid".to_owned()),
        Json::Str(text) if is_hex32(text) => Json::Str("$hex32".to_owned()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn differences_are_counted() {
        let uuid = r#""9f2f5c1e-6d0e-4b0c-8f0a-2b8f5f1e9a11""#;
        for (want, got, differences) in [
            ("1", "1.0", 0),
            ("1", "true", 0),
            ("1", "\"1\"", 1),
            ("{}", "[]", 0),
            ("[]", "{}", 0),
            ("[]", "null", 1),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#, 1),
            (r#"{"a":1,"c":1}"#, r#"{"b":2}"#, 3),
            ("[1,2]", "[1]", 1),
            ("[1,2]", "[2,1]", 2),
            (r#""$uuid""#, uuid, 0),
            (r#""$uuid""#, r#""9f2f5c1e-6d0e-9b0c-8f0a-2b8f5f1e9a11""#, 1),
            (r#""$hex32""#, r#""00000000000000000000000000000000""#, 0),
            (r#""$int""#, "1", 0),
            (r#""$int""#, "1.5", 1),
            (r#""$int""#, "true", 1),
            (r#""$number""#, "1.5", 0),
            (r#""$string""#, "1", 1),
            (r#""$re:^a+$""#, r#""aaa""#, 0),
            (r#""$re:^a+$""#, r#""b""#, 1),
            (r#""$any""#, "null", 0),
            (r#""$(headers.x)""#, r#""$(headers.x)""#, 0),
        ] {
            let mut out = Vec::new();
            differ(&json(want), Some(&json(got)), "", &mut out);
            assert_eq!(out.len(), differences, "{want} {got}: {out:?}");
        }
    }

    #[test]
    fn lists_under_data_are_compared_sorted() {
        let a = unordered(json(
            r#"{"data":[{"name":"b","id":"1"},{"name":"a","created_at":5}],"next":null}"#,
        ));
        let b = unordered(json(
            r#"{"data":[{"name":"a","created_at":7},{"name":"b","id":"1"}],"next":null}"#,
        ));
        assert_eq!(
            a.get("data").unwrap().as_list().unwrap()[1],
            b.get("data").unwrap().as_list().unwrap()[1]
        );
    }

    #[test]
    fn names_in_double_braces_are_replaced() {
        let known = [
            ("id".to_owned(), json("\"x\"")),
            ("n".to_owned(), json("5")),
            ("z".to_owned(), json("null")),
        ];
        let text = substitute(&json(r#"["{{id}}/{{n}}","{{unknown}} {{{id}}} {{z}}"]"#), &known);
        assert_eq!(text, json(r#"["x/5","{{unknown}} {x} None"]"#));
    }
}
