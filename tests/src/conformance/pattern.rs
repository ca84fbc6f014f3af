//! Regular expressions of the case files, which are Python's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fancy_regex::Regex;

/// `re.search(pattern, text) is not None`.
pub(crate) fn search(pattern: &str, text: &str) -> Result<bool, String> {
    compile(pattern)?.is_match(text).map_err(|e| e.to_string())
}

/// Compiled once per pattern.
pub(crate) fn compile(pattern: &str) -> Result<Arc<Regex>, String> {
    static COMPILED: Mutex<Option<HashMap<String, Arc<Regex>>>> = Mutex::new(None);
    let mut guard = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compiled = guard.get_or_insert_default();
    if let Some(regex) = compiled.get(pattern) {
        return Ok(regex.clone());
    }
    let regex = Arc::new(Regex::new(&translate(pattern)).map_err(|e| e.to_string())?);
    compiled.insert(pattern.to_owned(), regex.clone());
    Ok(regex)
}

/// Python's `$` also matches before a newline at the end, and its `\Z` is `\z` elsewhere.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Z') if !in_class => out.push_str("\\z"),
                Some(
                    c @ ('\'' | '"' | '<' | '>' | '/' | ' ' | '_' | ',' | ':' | ';' | '=' | '!' | '@' | '%' | '`'),
                ) => {
                    out.push(c);
                }
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                out.push(c);
            }
            // A bracket inside a class is an ordinary character in Python.
            '[' => out.push_str("\\["),
            ']' => {
                in_class = false;
                out.push(c);
            }
            '$' if !in_class => out.push_str("(?=\\n?\\z)"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn matches_what_python_matches() {
        for (pattern, text, matches) in [
            ("^a$", "a", true),
            ("^a$", "a\n", true),
            ("^a$", "a\n\n", false),
            ("\\Aa\\Z", "a", true),
            ("\\Aa\\Z", "a\n", false),
            ("^(?=.*[{,]\"a\":1[,}])(?=.*b).{9}$", "{\"a\":1,b}", true),
            ("^\\$x[$]", "$x$", true),
            ("(?s)^(?=.*x\\n)", "\n\nx\n", true),
            ("b", "abc", true),
        ] {
            assert_eq!(search(pattern, text), Ok(matches), "{pattern:?} {text:?}");
        }
    }
}
