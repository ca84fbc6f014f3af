//! What the groups of a route's regular expressions matched.

use std::fmt;

use regex_automata::util::captures::Captures as Groups;

use crate::pattern::Pattern;

/// The key of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureKey {
    /// The number of a group; 0 is the whole match.
    Number(usize),
    /// The name of a group (which also has a number).
    Name(Box<str>),
}

impl fmt::Display for CaptureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaptureKey::Number(number) => number.fmt(f),
            CaptureKey::Name(name) => name.fmt(f),
        }
    }
}

/// Captures of the winning route (routing.md §6). Groups that took no part in the match are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captures {
    entries: Vec<(CaptureKey, String)>,
}

impl Captures {
    /// What group `number` matched; 0 is the whole match.
    pub fn number(&self, number: usize) -> Option<&str> {
        self.get(&CaptureKey::Number(number))
    }

    /// What the group called `name` matched.
    pub fn name(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(key, _)| matches!(key, CaptureKey::Name(own) if **own == *name))
            .map(|(_, value)| value)
    }

    /// Keys and values, numbers before names for each expression.
    pub fn iter(&self) -> impl Iterator<Item = (&CaptureKey, &str)> {
        self.entries.iter().map(|(key, value)| (key, value.as_str()))
    }

    fn get(&self, key: &CaptureKey) -> Option<&str> {
        self.iter().find(|(own, _)| *own == key).map(|(_, value)| value)
    }

    fn set(&mut self, key: CaptureKey, value: &[u8]) {
        let value = String::from_utf8_lossy(value).into_owned();
        match self.entries.iter_mut().find(|(own, _)| *own == key) {
            Some((_, old)) => *old = value,
            None => self.entries.push((key, value)),
        }
    }

    /// Adds the groups of `pattern` in `text`, replacing those of the same key. Answers whether it matched.
    pub(crate) fn record(&mut self, pattern: &Pattern, text: &[u8]) -> bool {
        let mut groups: Groups = pattern.regex.create_captures();
        pattern.regex.captures(text, &mut groups);
        if !groups.is_match() {
            return false;
        }
        let names = groups.group_info().pattern_names(regex_automata::PatternID::ZERO);
        let mut named = Vec::new();
        for (index, (span, name)) in groups.iter().zip(names).enumerate() {
            if let Some(value) = span.and_then(|span| text.get(span.range())) {
                self.set(CaptureKey::Number(index), value);
                if let Some(name) = name {
                    named.push((CaptureKey::Name(name.into()), value));
                }
            }
        }
        for (key, value) in named {
            self.set(key, value);
        }
        true
    }

    /// The captures, unless there is nothing but the whole match.
    pub(crate) fn unless_trivial(self) -> Option<Self> {
        self.entries
            .iter()
            .any(|(key, _)| *key != CaptureKey::Number(0))
            .then_some(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn captured(source: &str, text: &str) -> String {
        let mut captures = Captures::default();
        assert!(
            captures.record(&Pattern::new(source).unwrap(), text.as_bytes()),
            "{source} {text}"
        );
        match captures.unless_trivial() {
            None => "none".to_owned(),
            Some(captures) => captures.iter().map(|(key, value)| format!("{key}={value} ")).collect(),
        }
    }

    #[test]
    fn groups_are_numbered_and_named_and_idle_ones_absent() {
        let rows = [
            (
                r"^/u/(?<user>[a-z]+)/(\d+)",
                "/u/joe/12",
                "0=/u/joe/12 1=joe 2=12 user=joe ",
            ),
            (r"^/(a)|(/b)", "/b", "0=/b 2=/b "),
            (r"^/x(\d*)", "/x", "0=/x 1= "),
            (r"^/x", "/x", "none"),
            (r"^/(?<w>.+)", "/mü", "0=/mü 1=mü w=mü "),
        ];
        for (source, text, expected) in rows {
            assert_eq!(captured(source, text), expected, "{source}");
        }
    }
}
