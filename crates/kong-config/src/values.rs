//! Joins command line, environment, file and defaults into one text per property, and reads each text by its kind.

use std::collections::BTreeMap;
use std::fmt;

use crate::errors::ConfigError;
use crate::property::{Kind, Property, Status};
use crate::table::{DYNAMIC_PREFIXES, properties};
use crate::value::{ConfigValue, split_list};
use crate::vault;

/// Where a value comes from, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Argument,
    Environment,
    File,
    Default,
}

/// One property's value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// As given, references kept.
    pub(crate) given: String,
    /// References replaced.
    pub(crate) text: String,
    pub(crate) value: ConfigValue,
    pub(crate) origin: Origin,
}

/// The texts before they are read.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) arguments: BTreeMap<String, String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) file: BTreeMap<String, String>,
}

/// Every property that has a value, by name.
#[derive(Clone, Default)]
pub(crate) struct Values {
    pub(crate) entries: BTreeMap<String, Entry>,
    /// Properties with a default that were set to nothing.
    pub(crate) emptied: Vec<&'static str>,
    pub(crate) warnings: Vec<String>,
}

/// Some are secrets, and a configuration that is printed for debugging ends in logs.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

impl Sources {
    /// The strongest text for any of these spellings.
    fn find<'a>(&'a self, spellings: &[&str]) -> Option<(&'a str, Origin)> {
        let environment_name = |name: &str| format!("KONG_{}", name.to_uppercase());
        for (values, origin) in [
            (&self.arguments, Origin::Argument),
            (&self.environment, Origin::Environment),
            (&self.file, Origin::File),
        ] {
            for spelling in spellings {
                let key = match origin {
                    Origin::Environment => environment_name(spelling),
                    _ => (*spelling).to_owned(),
                };
                if let Some(text) = values.get(&key) {
                    return Some((text.trim(), origin));
                }
            }
        }
        None
    }

    /// Names that are not declared but begin like a family of properties.
    fn dynamic_names(&self) -> Vec<String> {
        let from_environment = self
            .environment
            .keys()
            .filter_map(|key| key.strip_prefix("KONG_"))
            .map(str::to_lowercase);
        let mut names: Vec<_> = from_environment.chain(self.file.keys().cloned()).collect();
        let is_declared = |name: &str| properties().any(|p| p.name == name || p.aliases.contains(&name));
        names.retain(|name| DYNAMIC_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) && !is_declared(name));
        names.sort();
        names.dedup();
        names
    }
}

impl Values {
    pub(crate) fn merge(sources: &Sources, errors: &mut Vec<ConfigError>) -> Self {
        let mut values = Self::default();
        let prefix = sources.find(&["vault_env_prefix"]).map(|(text, ..)| text.to_owned());
        for property in properties() {
            let spellings: Vec<&str> = std::iter::once(property.name)
                .chain(property.aliases.iter().copied())
                .collect();
            match sources.find(&spellings) {
                Some(("", ..)) => {
                    if property.default.is_some() {
                        values.emptied.push(property.name);
                    }
                }
                Some((text, origin)) => {
                    if let Some(resolved) =
                        resolve(property.name, property.kind, text, sources, prefix.as_deref(), errors)
                    {
                        values.insert(property, text, resolved, origin);
                    }
                }
                None => {
                    if let Some(text) = property.default {
                        values.insert(property, text, text.to_owned(), Origin::Default);
                    }
                }
            }
        }
        for name in sources.dynamic_names() {
            let Some((text, origin)) = sources.find(&[&name]).filter(|(text, ..)| !text.is_empty()) else {
                continue;
            };
            if let Some(resolved) = resolve(&name, Kind::Text, text, sources, prefix.as_deref(), errors) {
                let value = ConfigValue::Text(resolved.clone());
                let entry = Entry {
                    given: text.to_owned(),
                    text: resolved,
                    value,
                    origin,
                };
                values.entries.insert(name, entry);
            }
        }
        values
    }

    fn insert(&mut self, property: &Property, given: &str, text: String, origin: Origin) {
        let name = property.name;
        let Some(value) = ConfigValue::parse(property.kind, &text) else {
            self.warnings
                .push(format!("{name} is not a {}: '{text}'", property.kind.name()));
            return;
        };
        if matches!(property.kind, Kind::Boolean | Kind::Flag) && !matches!(&*text, "on" | "off" | "true" | "false") {
            self.warnings
                .push(format!("{name}: '{text}' means off; write on or off"));
        }
        self.entries.insert(
            name.to_owned(),
            Entry {
                given: given.to_owned(),
                text,
                value,
                origin,
            },
        );
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|entry| entry.text.as_str())
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        match self.entries.get(name)?.value {
            ConfigValue::Number(number) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| match &entry.value {
            ConfigValue::Boolean(value) => *value,
            ConfigValue::Text(text) => text == "on",
            _ => false,
        })
    }

    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        match self.entries.get(name).map(|entry| &entry.value) {
            Some(ConfigValue::List(items)) => items
                .iter()
                .filter_map(|item| item.as_text())
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Whether somebody set it, to whatever value.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.entries
            .get(name)
            .is_some_and(|entry| entry.origin != Origin::Default)
    }

    /// Choices that are none of the allowed ones.
    pub(crate) fn check_choices(&self, errors: &mut Vec<ConfigError>) {
        for property in properties() {
            let (Kind::Choice(choices), Some(text)) = (property.kind, self.text(property.name)) else {
                continue;
            };
            if !choices.contains(&text) {
                let list = choices.join(", ");
                let message = format!("{} has an invalid value: '{text}' ({list})", property.name);
                errors.push(ConfigError::Invalid(message));
            }
        }
    }

    /// What must not be ignored and is not built yet.
    pub(crate) fn check_refused(&self, errors: &mut Vec<ConfigError>) {
        for property in properties() {
            let (Status::Refused { reason, except }, Some(entry)) = (property.status, self.entry(property.name)) else {
                continue;
            };
            let default = property
                .default
                .and_then(|text| ConfigValue::parse(property.kind, text));
            if default.as_ref() == Some(&entry.value) || except.contains(&entry.text.as_str()) {
                continue;
            }
            if let Kind::Choice(choices) = property.kind
                && !choices.contains(&entry.text.as_str())
            {
                continue; // said already
            }
            let value = if property.secret {
                "******".to_owned()
            } else {
                shorten(&entry.given)
            };
            errors.push(ConfigError::Refused {
                property: property.name.into(),
                value,
                reason: reason.into(),
            });
        }
    }

    /// A warning for each set property whose subject is not built yet.
    pub(crate) fn warn_not_yet(&mut self) {
        for property in properties() {
            let (Status::NotYet(reason), Some(entry)) = (property.status, self.entries.get(property.name)) else {
                continue;
            };
            // Left-over settings of an unused store are common in compose files; choosing that store is refused.
            let is_store = property.name.contains("pg_") || property.name.starts_with("cassandra_");
            let default = property
                .default
                .and_then(|text| ConfigValue::parse(property.kind, text));
            let turned_off = entry.text == "off" && matches!(property.kind, Kind::Listeners(_) | Kind::Text);
            if !is_store && !turned_off && entry.origin != Origin::Default && default.as_ref() != Some(&entry.value) {
                self.warnings
                    .push(format!("{} has no effect yet: {reason}", property.name));
            }
        }
    }
}

fn shorten(text: &str) -> String {
    if text.contains("-----BEGIN") {
        return "(PEM text)".to_owned();
    }
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Replaces references; a failure is an error of the property.
fn resolve(
    name: &str,
    kind: Kind,
    text: &str,
    sources: &Sources,
    prefix: Option<&str>,
    errors: &mut Vec<ConfigError>,
) -> Option<String> {
    let mut look_up = |reference: &str, option: String| {
        vault::dereference(reference, &sources.environment, prefix)
            .map_err(|error| {
                let message = format!("failed to dereference '{reference}': {error} for config option '{option}'");
                errors.push(ConfigError::Invalid(message));
            })
            .ok()
    };
    if vault::is_reference(text) && !text.contains(',') {
        return look_up(text, name.to_owned());
    }
    if !kind.is_list() || !text.contains("{vault://") {
        return Some(text.to_owned());
    }
    let items = split_list(text)
        .enumerate()
        .map(|(index, item)| match vault::is_reference(item) {
            true => look_up(item, format!("{name}[{}]", index + 1)),
            false => Some(item.to_owned()),
        });
    Some(items.collect::<Option<Vec<_>>>()?.join(", "))
}
