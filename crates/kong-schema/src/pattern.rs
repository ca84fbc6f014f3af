//! Matcher for the pattern dialect in which schemas of the original are written (`^%u+$`, `^[^*]*%*?[^*]*$`).
//!
//! Only the question "does it match" is answered, so a pattern is compiled to a chain of character classes with
//! quantifiers and run as an automaton: the time is proportional to the length of the text, however the pattern
//! backtracks in the original. Captures are transparent; `%b`, back-references and `%f` are refused.

use std::fmt;
use std::sync::Arc;

/// A compiled pattern that remembers its text.
#[derive(Clone)]
pub struct LuaPattern {
    text: Arc<str>,
    program: Arc<Program>,
}

/// Why a pattern cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern '{pattern}': {reason}")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

struct Program {
    anchored_start: bool,
    anchored_end: bool,
    items: Vec<Item>,
}

struct Item {
    /// One bit per byte value.
    class: [u64; 4],
    optional: bool,
    repeats: bool,
}

impl Item {
    fn accepts(&self, byte: u8) -> bool {
        self.class[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }
}

impl LuaPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// The pattern is malformed or uses `%b`, `%f` or a back-reference.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let program = Parser {
            bytes: text.as_bytes(),
            at: 0,
        }
        .program()
        .map_err(|reason| PatternError {
            pattern: text.to_owned(),
            reason,
        })?;
        Ok(Self {
            text: text.into(),
            program: Arc::new(program),
        })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern occurs in the text (anywhere, unless anchored).
    pub fn matches(&self, text: &str) -> bool {
        self.program.matches(text.as_bytes())
    }
}

/// For patterns written in code: one that does not compile matches nothing, and the test of its schema fails.
impl From<&str> for LuaPattern {
    fn from(text: &str) -> Self {
        Self::new(text).unwrap_or_else(|_| Self {
            text: text.into(),
            program: Arc::new(Program {
                anchored_start: true,
                anchored_end: true,
                items: vec![Item {
                    class: [0; 4],
                    optional: false,
                    repeats: false,
                }],
            }),
        })
    }
}

impl PartialEq for LuaPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for LuaPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LuaPattern({:?})", self.text)
    }
}

impl Program {
    fn matches(&self, text: &[u8]) -> bool {
        let end = self.items.len();
        // `states[i]`: the first `i` items have matched up to the current position.
        let mut states = vec![false; end + 1];
        let mut next = vec![false; end + 1];
        self.enter(&mut states, 0);
        for &byte in text {
            if states[end] && !self.anchored_end {
                return true;
            }
            next.fill(false);
            for (i, item) in self.items.iter().enumerate() {
                if states[i] && item.accepts(byte) {
                    if item.repeats {
                        self.enter(&mut next, i);
                        // One occurrence satisfies `+`.
                        self.enter(&mut next, i + 1);
                    } else {
                        self.enter(&mut next, i + 1);
                    }
                }
            }
            if !self.anchored_start {
                self.enter(&mut next, 0);
            }
            std::mem::swap(&mut states, &mut next);
        }
        states[end]
    }

    /// Marks a state and those reachable by skipping optional items.
    fn enter(&self, states: &mut [bool], mut state: usize) {
        loop {
            if states[state] {
                return;
            }
            states[state] = true;
            match self.items.get(state) {
                Some(item) if item.optional => state += 1,
                _ => return,
            }
        }
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn program(mut self) -> Result<Program, &'static str> {
        let anchored_start = self.peek() == Some(b'^');
        if anchored_start {
            self.at += 1;
        }
        let mut anchored_end = false;
        let mut items = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b'(' | b')' => self.at += 1,
                b'$' if self.at + 1 == self.bytes.len() => {
                    anchored_end = true;
                    self.at += 1;
                }
                _ => items.push(self.item()?),
            }
        }
        Ok(Program {
            anchored_start,
            anchored_end,
            items,
        })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn item(&mut self) -> Result<Item, &'static str> {
        let class = self.class()?;
        let (optional, repeats) = match self.peek() {
            Some(b'*' | b'-') => (true, true),
            Some(b'+') => (false, true),
            Some(b'?') => (true, false),
            _ => {
                return Ok(Item {
                    class,
                    optional: false,
                    repeats: false,
                });
            }
        };
        self.at += 1;
        Ok(Item {
            class,
            optional,
            repeats,
        })
    }

    fn class(&mut self) -> Result<[u64; 4], &'static str> {
        let mut class = [0; 4];
        let Some(byte) = self.peek() else {
            return Err("ends too early");
        };
        self.at += 1;
        match byte {
            b'.' => class = [u64::MAX; 4],
            b'%' => {
                let Some(escaped) = self.peek() else {
                    return Err("ends with '%'");
                };
                self.at += 1;
                match escaped {
                    b'b' | b'f' | b'0'..=b'9' => return Err("uses a feature that is not supported"),
                    _ => add_escape(&mut class, escaped),
                }
            }
            b'[' => class = self.set()?,
            other => add(&mut class, other),
        }
        Ok(class)
    }

    fn set(&mut self) -> Result<[u64; 4], &'static str> {
        const MISSING: &str = "has a set without ']'";
        let mut class = [0; 4];
        let negated = self.peek() == Some(b'^');
        if negated {
            self.at += 1;
        }
        let mut first = true;
        loop {
            let byte = self.peek().ok_or(MISSING)?;
            self.at += 1;
            match byte {
                b']' if !first => break,
                b'%' => {
                    let escaped = self.peek().ok_or(MISSING)?;
                    self.at += 1;
                    add_escape(&mut class, escaped);
                }
                low => match (self.peek(), self.bytes.get(self.at + 1)) {
                    (Some(b'-'), Some(&high)) if high != b']' => {
                        self.at += 2;
                        for byte in low..=high {
                            add(&mut class, byte);
                        }
                    }
                    _ => add(&mut class, low),
                },
            }
            first = false;
        }
        if negated {
            for word in &mut class {
                *word = !*word;
            }
        }
        Ok(class)
    }
}

fn add(class: &mut [u64; 4], byte: u8) {
    class[usize::from(byte >> 6)] |= 1 << (byte & 63);
}

/// `%a`, `%D`, `%.`, …: a named class, its complement for the upper-case letter, or the character itself.
fn add_escape(class: &mut [u64; 4], letter: u8) {
    let test: fn(u8) -> bool = match letter.to_ascii_lowercase() {
        b'a' => |b| b.is_ascii_alphabetic(),
        b'c' => |b| b.is_ascii_control(),
        b'd' => |b| b.is_ascii_digit(),
        b'g' => |b| b.is_ascii_graphic(),
        b'l' => |b| b.is_ascii_lowercase(),
        b'p' => |b| b.is_ascii_punctuation(),
        // Unlike Rust's, the C class has the vertical tab.
        b's' => |b| b.is_ascii_whitespace() || b == 0x0b,
        b'u' => |b| b.is_ascii_uppercase(),
        b'w' => |b| b.is_ascii_alphanumeric(),
        b'x' => |b| b.is_ascii_hexdigit(),
        b'z' => |b| b == 0,
        _ => return add(class, letter),
    };
    let complement = letter.is_ascii_uppercase();
    for byte in 0..=u8::MAX {
        if test(byte) != complement {
            add(class, byte);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn patterns_match_as_in_the_original() {
        let rows: &[(&str, &str, bool)] = &[
            ("^%u+$", "GET", true),
            ("^%u+$", "get", false),
            ("^%u+$", "", false),
            ("^[^*]*%*?[^*]*$", "*.a.b", true),
            ("^[^*]*%*?[^*]*$", "a.*.b", true),
            ("^[^*]*%*?[^*]*$", "*.*", false),
            ("^%*%.", "*.a", true),
            ("^%*%.", "*", false),
            ("%.%*$", "a.*", true),
            ("%.%*$", "a.*b", false),
            ("^[^*]*$", "a.b", true),
            ("^[a-z][a-z%d-]-[a-z%d]+$", "a", false),
            ("^[a-z][a-z%d-]-[a-z%d]+$", "ab", true),
            ("^[a-z][a-z%d-]-[a-z%d]+$", "a-1-b", true),
            ("^[a-z][a-z%d-]-[a-z%d]+$", "a-", false),
            ("^[%a_-][%a%d_-]*$", "_A-9", true),
            ("^[%a_-][%a%d_-]*$", "1A", false),
            ("^[Hh][Oo][Ss][Tt]$", "HoSt", true),
            ("//", "/a//b", true),
            ("//", "/a/b", false),
            ("^[^:]+:.*$", "a:b", true),
            ("^[^:]+:.*$", ":b", false),
            ("^.*[^:]$", "a:", false),
            ("^.*[^:]$", "a:b", true),
            ("^[0-9]+-[0-9]+$", "200-299", true),
            ("^%d+[%.%d]*$", "3.9.3", true),
            ("%.%.", "3..9", true),
            ("%w*%p*@+%w*%.?%w*", "me@example.com", true),
            ("%w*%p*@+%w*%.?%w*", "example.com", false),
            ("^[^*&%%\\`]+$", "/tmp/a.log", true),
            ("^[^*&%%\\`]+$", "/tmp/%a", false),
            ("^%s*$", " \t\n", true),
            ("a$b", "a$b", true),
            ("[]]", "]", true),
            ("[^]]", "]", false),
            ("[a-]", "-", true),
            ("^(a)(b)$", "ab", true),
            ("%D", "1", false),
            ("^a?a?a?aaa$", "aaa", true),
            ("", "", true),
        ];
        for (pattern, text, expected) in rows {
            let compiled = LuaPattern::new(pattern).unwrap();
            assert_eq!(compiled.matches(text), *expected, "{pattern:?} on {text:?}");
        }
    }

    #[test]
    fn malformed_and_unsupported_patterns_are_refused() {
        for pattern in ["%", "[a", "[a%", "%b()", "%1", "%f[a]"] {
            assert!(LuaPattern::new(pattern).is_err(), "{pattern}");
        }
        assert!(!LuaPattern::from("[a").matches("a"));
    }

    #[test]
    fn a_pattern_that_backtracks_in_the_original_takes_linear_time() {
        let text = "a".repeat(200_000);
        assert!(!LuaPattern::new("^.*.*.*.*b$").unwrap().matches(&text));
    }
}
