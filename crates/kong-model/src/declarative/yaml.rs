//! YAML 1.1 text to JSON values, as the original reads it: `yes` is true, `010` is 8, `123` is a number.

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

use super::DeclarativeError;

/// Deepest nesting that is read; deeper documents are refused instead of exhausting the stack.
const MAX_DEPTH: usize = 100;
/// Most nodes that aliases may add: a few lines of YAML can otherwise stand for gigabytes.
const MAX_ALIASED: usize = 1_000_000;

/// Reads a declarative document: JSON first, then YAML.
///
/// # Errors
/// Text that is neither, or that is no object.
pub fn parse_text(text: &str) -> Result<Map<String, Value>, DeclarativeError> {
    let value = match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        _ => parse_yaml(text).map_err(|reason| DeclarativeError::unparsable(&reason))?,
    };
    match value {
        Value::Object(document) => Ok(document),
        Value::Array(items) if items.is_empty() => Ok(Map::new()),
        Value::Null => Ok(Map::new()),
        _ => Err(DeclarativeError::unparsable("expected an object")),
    }
}

/// The first document of a YAML text. The error is `<line>:<col>: <text>`.
pub(super) fn parse_yaml(text: &str) -> Result<Value, String> {
    // The parser takes a tab for space here, where YAML allows none.
    if let Some((n, _)) = text.lines().enumerate().find(|(_, line)| !line.trim().is_empty())
        && text.lines().nth(n).is_some_and(|line| line.starts_with('\t'))
    {
        return Err(format!("{}:1: a tab cannot indent", n + 1));
    }
    let mut reader = Reader {
        anchors: Vec::new(),
        aliased: 0,
        events: Parser::new_from_str(text),
    };
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(Value::Null),
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::DocumentEnd => return Ok(Value::Null),
            event => return reader.node(event, 0),
        }
    }
}

struct Reader<'t> {
    anchors: Vec<(usize, Value)>,
    aliased: usize,
    events: Parser<'t, saphyr_parser::StrInput<'t>>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Event<'t>, String> {
        match self.events.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(error)) => {
                let at = error.marker();
                Err(format!("{}:{}: {}", at.line(), at.col() + 1, error.info()))
            }
            None => Ok(Event::StreamEnd),
        }
    }

    fn node(&mut self, event: Event<'t>, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style, tag.as_deref()), anchor),
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => items.push(self.node(event, depth + 1)?),
                    }
                }
                (Value::Array(items), anchor)
            }
            Event::MappingStart(anchor, _) => (Value::Object(self.mapping(depth)?), anchor),
            Event::Alias(anchor) => return self.alias(anchor),
            other => return Err(format!("unexpected {other:?}")),
        };
        if anchor > 0 {
            self.anchors.push((anchor, value.clone()));
        }
        Ok(value)
    }

    fn mapping(&mut self, depth: usize) -> Result<Map<String, Value>, String> {
        let mut members = Map::new();
        let mut merged = Map::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => break,
                event => self.node(event, depth + 1)?,
            };
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            let key = match key {
                Value::String(key) => key,
                Value::Null => String::new(),
                other => other.to_string(),
            };
            match (key.as_str(), value) {
                ("<<", Value::Object(parent)) => merge(&mut merged, parent),
                ("<<", Value::Array(parents)) => {
                    for parent in parents {
                        if let Value::Object(parent) = parent {
                            merge(&mut merged, parent);
                        }
                    }
                }
                (_, value) => {
                    members.insert(key, value);
                }
            }
        }
        merge(&mut members, merged);
        Ok(members)
    }

    fn alias(&mut self, anchor: usize) -> Result<Value, String> {
        let value = self
            .anchors
            .iter()
            .rev()
            .find(|(id, _)| *id == anchor)
            .map(|(_, value)| value.clone());
        let value = value.ok_or_else(|| "an alias to an anchor that is not complete".to_owned())?;
        self.aliased += nodes(&value);
        if self.aliased > MAX_ALIASED {
            return Err("aliases stand for too much".to_owned());
        }
        Ok(value)
    }
}

/// Members of `from` that `into` does not have.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        into.entry(key).or_insert(value);
    }
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum(),
        _ => 0,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style != ScalarStyle::Plain || is_text {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// Numbers of YAML 1.1: decimal, octal with a leading zero, hexadecimal, and floats.
fn number(text: &str) -> Option<Number> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    if !digits
        .as_bytes()
        .first()
        .is_some_and(|b| b.is_ascii_digit() || *b == b'.')
    {
        return None;
    }
    if let Some(hex) = digits.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(|n| Number::from(sign * n));
    }
    if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit()) {
        return i64::from_str_radix(digits, 8).ok().map(|n| Number::from(sign * n));
    }
    if digits.bytes().all(|b| b.is_ascii_digit())
        && let Ok(n) = digits.parse::<i64>()
    {
        return Some(Number::from(sign * n));
    }
    let is_float = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    let float = if is_float {
        text.parse::<f64>().ok()?
    } else {
        return None;
    };
    // Whole numbers are numbers without a fraction, as everywhere else.
    if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 {
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_are_read_as_version_1_1() {
        let rows = [
            ("yes", json!(true)),
            ("off", json!(false)),
            ("True", json!(true)),
            ("y", json!("y")),
            ("010", json!(8)),
            ("0x50", json!(80)),
            ("1e3", json!(1000)),
            ("3.0", json!(3)),
            ("3.5", json!(3.5)),
            ("-7", json!(-7)),
            ("123", json!(123)),
            ("~", json!(null)),
            ("", json!(null)),
            ("'123'", json!("123")),
            ("\"yes\"", json!("yes")),
            ("1.2.3", json!("1.2.3")),
            ("10.0.0.1:80", json!("10.0.0.1:80")),
            ("!!str 5", json!("5")),
        ];
        for (text, expected) in rows {
            assert_eq!(
                parse_yaml(&format!("a: {text}")).unwrap(),
                json!({ "a": expected }),
                "{text}"
            );
        }
    }

    #[test]
    fn structure_is_read() {
        let rows = [
            (
                "base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n",
                json!({"base": {"x": 1, "y": 2}, "use": {"x": 1, "y": 3}}),
            ),
            ("a: 1\na: 2\n", json!({"a": 2})),
            ("a: [1, {b: c}]\n---\nsecond: 1\n", json!({"a": [1, {"b": "c"}]})),
            ("a: |\n  x\n  y\n", json!({"a": "x\ny\n"})),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_yaml(text).unwrap(), expected, "{text}");
        }
        assert!(parse_yaml("a: [1").unwrap_err().contains(':'));
    }

    #[test]
    fn a_billion_laughs_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let refs = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
        }
        assert!(parse_yaml(&text).is_err());
        assert!(parse_yaml(&"[".repeat(10_000)).is_err());
    }
}
