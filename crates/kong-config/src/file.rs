//! The syntax of `kong.conf` and `.kong_env`: `name = value`, `#` starts a comment, `\#` is a literal `#`.

use std::collections::BTreeMap;

/// What a file says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) values: BTreeMap<String, String>,
    /// Numbers of the lines that are neither empty, a comment, nor `name = value`.
    pub(crate) unreadable_lines: Vec<usize>,
}

pub(crate) fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line);
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        match line.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                parsed.values.insert(name.trim().to_owned(), value.trim().to_owned());
            }
            _ => parsed.unreadable_lines.push(index + 1),
        }
    }
    parsed
}

/// Cuts a comment off and turns `\#` into `#`.
fn without_comment(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&'#') => {
                characters.next();
                kept.push('#');
            }
            '#' => break,
            other => kept.push(other),
        }
    }
    kept
}

/// The line that `parse` reads back as this value.
pub(crate) fn line(name: &str, value: &str) -> String {
    format!("{name} = {}\n", value.replace('#', "\\#"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_names_and_values_without_comments() {
        let rows: &[(&str, &[(&str, &str)])] = &[
            ("a = b", &[("a", "b")]),
            ("  a=b  ", &[("a", "b")]),
            ("a = b # why", &[("a", "b")]),
            ("# a = b", &[]),
            ("a = b\\#c # d", &[("a", "b#c")]),
            ("a = b = c", &[("a", "b = c")]),
            ("a =", &[("a", "")]),
            ("a = 1\r\na = 2", &[("a", "2")]),
            ("", &[]),
        ];
        for (text, expected) in rows {
            let expected = expected.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            assert_eq!(parse(text).values, expected, "{text:?}");
            assert!(parse(text).unreadable_lines.is_empty(), "{text:?}");
        }
        assert_eq!(parse("a = 1\nwhat\n= 3").unreadable_lines, [2, 3]);
    }

    #[test]
    fn a_written_line_reads_back() {
        for value in ["plain", "p#ss", "a = b"] {
            let read = parse(&line("name", value)).values;
            assert_eq!(read.get("name").unwrap(), value, "{value}");
        }
    }
}
