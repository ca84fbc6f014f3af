//! `plugins` and `vaults`: which of the known ones may be used.

use std::collections::BTreeSet;

/// A choice among known names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// All that come with the gateway.
    pub bundled: bool,
    /// Further ones by name.
    pub names: Vec<String>,
}

impl Selection {
    pub(crate) fn read(items: &[String]) -> Self {
        if items.first().is_some_and(|item| item == "off") {
            return Self::default();
        }
        let (bundled, names): (Vec<_>, Vec<_>) = items.iter().cloned().partition(|item| item == "bundled");
        Self {
            bundled: !bundled.is_empty(),
            names,
        }
    }

    /// Every chosen name, given the bundled ones.
    pub fn chosen<'a>(&'a self, bundled: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let bundled = bundled.into_iter().filter(|_| self.bundled);
        bundled.chain(self.names.iter().map(String::as_str)).collect()
    }
}
