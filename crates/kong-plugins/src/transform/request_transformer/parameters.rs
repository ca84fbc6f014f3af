//! Parameters of a query or a form, grouped by name.

use kong_plugin::arguments::{self, Encoding};

/// Names with their values in the order of first appearance; a bare name has `None` as value.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Parameters(Vec<(Vec<u8>, Values)>);

type Values = Vec<Option<Vec<u8>>>;

impl Parameters {
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut parameters = Parameters::default();
        for argument in arguments::arguments(text) {
            parameters.push(&argument.name, argument.value.map(|value| value.into_owned()));
        }
        parameters
    }

    fn push(&mut self, name: &[u8], value: Option<Vec<u8>>) {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, values)) => values.push(value),
            None => self.0.push((name.to_vec(), vec![value])),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name.as_bytes())
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Values> {
        let at = self.0.iter().position(|(n, _)| n == name.as_bytes())?;
        Some(self.0.remove(at).1)
    }

    /// Moves the values, over those of the new name.
    pub(super) fn rename(&mut self, old: &str, new: &str) -> bool {
        if old == new {
            return false;
        }
        let Some(values) = self.remove(old) else { return false };
        self.remove(new);
        self.0.push((new.as_bytes().to_vec(), values));
        true
    }

    pub(super) fn set(&mut self, name: &str, value: String) {
        let value = vec![Some(value.into_bytes())];
        match self.0.iter_mut().find(|(n, _)| n == name.as_bytes()) {
            Some((_, values)) => *values = value,
            None => self.0.push((name.as_bytes().to_vec(), value)),
        }
    }

    pub(super) fn append(&mut self, name: &str, value: String) {
        self.push(name.as_bytes(), Some(value.into_bytes()));
    }

    /// Adds all parameters of others.
    pub(super) fn merge(&mut self, others: Parameters) {
        for (name, values) in others.0 {
            for value in values {
                self.push(&name, value);
            }
        }
    }

    /// As text, by name.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut sorted: Vec<_> = self.0.iter().collect();
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut out = Vec::new();
        for (name, values) in sorted {
            for value in values {
                if !out.is_empty() {
                    out.push(b'&');
                }
                arguments::encode_into(&mut out, name, Encoding::Percent);
                if let Some(value) = value {
                    out.push(b'=');
                    arguments::encode_into(&mut out, value, Encoding::Percent);
                }
            }
        }
        out
    }
}
