//! The table notation of the original inside messages: `{a="x",b={id="y"}}` (entities.md §2.4).

use serde_json::{Map, Value};

/// Writes a value on one line: `{id="x"}`.
pub fn compact(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, None);
    out
}

/// Writes a value over several lines, two spaces a level.
pub fn indented(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, Some(0));
    out
}

fn write(out: &mut String, value: &Value, indent: Option<usize>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::String(s) => write_string(out, s),
        Value::Array(items) => {
            // Positions that are null do not exist: what follows the first one is written with its index.
            let consecutive = items.iter().take_while(|v| !v.is_null()).count();
            let mut table = Table::open(out, indent);
            for item in &items[..consecutive] {
                table.entry(out, None, item);
            }
            for (i, item) in items.iter().enumerate().skip(consecutive).filter(|(_, v)| !v.is_null()) {
                table.entry(out, Some(format!("[{}]", i + 1)), item);
            }
            table.close(out);
        }
        Value::Object(map) => write_object(out, map, indent),
    }
}

fn write_object(out: &mut String, map: &Map<String, Value>, indent: Option<usize>) {
    let mut table = Table::open(out, indent);
    // Errors of a list that stands in place of an object are keyed by position: those go first, without a name.
    let mut positions = 0;
    while let Some(value) = map.get(&(positions + 1).to_string()) {
        table.entry(out, None, value);
        positions += 1;
    }
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_unstable();
    for key in keys {
        let is_written = key
            .parse::<usize>()
            .is_ok_and(|n| n <= positions && n.to_string() == *key);
        if let Some(value) = map.get(key).filter(|_| !is_written) {
            table.entry(out, Some(quote_key(key)), value);
        }
    }
    table.close(out);
}

struct Table {
    indent: Option<usize>,
    empty: bool,
}

impl Table {
    fn open(out: &mut String, indent: Option<usize>) -> Self {
        out.push('{');
        Self { indent, empty: true }
    }

    fn entry(&mut self, out: &mut String, key: Option<String>, value: &Value) {
        if !self.empty {
            out.push(',');
        }
        self.empty = false;
        if let Some(level) = self.indent {
            out.push('\n');
            out.push_str(&"  ".repeat(level + 1));
        }
        if let Some(key) = key {
            out.push_str(&key);
            out.push_str(if self.indent.is_some() { " = " } else { "=" });
        }
        write(out, value, self.indent.map(|level| level + 1));
    }

    fn close(self, out: &mut String) {
        if let (Some(level), false) = (self.indent, self.empty) {
            out.push('\n');
            out.push_str(&"  ".repeat(level));
        }
        out.push('}');
    }
}

fn write_string(out: &mut String, text: &str) {
    if text.contains('\n') {
        // Long form; a level of `=` keeps a `]]` in the text from ending it.
        let mut level = String::new();
        while text.contains(&format!("]{level}]")) {
            level.push('=');
        }
        out.push_str(&format!("[{level}[\n{text}]{level}]"));
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            c => out.push(c),
        }
    }
    out.push('"');
}

const KEYWORDS: [&str; 22] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
];

fn quote_key(key: &str) -> String {
    let mut chars = key.bytes();
    let is_identifier = chars.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && chars.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !KEYWORDS.contains(&key);
    if is_identifier {
        key.to_owned()
    } else {
        let mut out = String::from("[");
        write_string(&mut out, key);
        out.push(']');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_in_both_forms() {
        let rows = [
            (json!({"id": "x"}), "{id=\"x\"}"),
            (json!({"b": {"id": "y"}, "a": null}), "{a=null,b={id=\"y\"}}"),
            (json!({"@entity": ["t"]}), "{[\"@entity\"]={\"t\"}}"),
            (json!({"my-key": 1, "end": true}), "{[\"end\"]=true,[\"my-key\"]=1}"),
            (json!(["a", null, "b"]), "{\"a\",[3]=\"b\"}"),
            (json!([null, "b"]), "{[2]=\"b\"}"),
            (json!({"a": "q\"\\"}), "{a=\"q\\\"\\\\\"}"),
            (json!({}), "{}"),
            (json!({"1": "a", "3": "b", "x": "c"}), "{\"a\",[\"3\"]=\"b\",x=\"c\"}"),
        ];
        for (value, text) in rows {
            assert_eq!(compact(&value), text);
        }
        assert_eq!(
            indented(&json!({"healthy": {"http_statuses": ["low", null, "high"]}})),
            "{\n  healthy = {\n    http_statuses = {\n      \"low\",\n      [3] = \"high\"\n    }\n  }\n}"
        );
    }
}
