//! The typed form of a property's text, as `GET /` shows it.

use std::collections::BTreeMap;

use crate::property::Kind;

/// A value of the effective configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    /// true or false
    Boolean(bool),
    /// A number; whole ones are shown without a fraction.
    Number(f64),
    /// A text, a choice, or `on`/`off`.
    Text(String),
    /// A list.
    List(Vec<ConfigValue>),
    /// Named values (listeners, loaded plugins).
    Map(BTreeMap<String, ConfigValue>),
}

impl ConfigValue {
    /// The text, of a text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            ConfigValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Reads the text of a property of this kind; none if it is no such value and so counts as unset.
    pub(crate) fn parse(kind: Kind, text: &str) -> Option<Self> {
        let text = text.trim();
        Some(match kind {
            Kind::Text | Kind::Choice(_) => Self::Text(text.to_owned()),
            Kind::Number => Self::Number(parse_number(text)?),
            Kind::Boolean => Self::Boolean(is_on(text)),
            Kind::Flag => Self::Text(if is_on(text) { "on" } else { "off" }.to_owned()),
            Kind::List | Kind::Listeners(_) => {
                Self::List(split_list(text).map(|item| Self::Text(item.into())).collect())
            }
        })
    }
}

impl From<&ConfigValue> for serde_json::Value {
    fn from(value: &ConfigValue) -> Self {
        match value {
            ConfigValue::Boolean(value) => (*value).into(),
            // Whole numbers up to 2^53 are exact in both forms.
            ConfigValue::Number(value) if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 => {
                (*value as i64).into()
            }
            ConfigValue::Number(value) => (*value).into(),
            ConfigValue::Text(value) => value.as_str().into(),
            ConfigValue::List(values) => values.iter().map(Self::from).collect::<Vec<_>>().into(),
            ConfigValue::Map(values) => Self::Object(
                values
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::from(value)))
                    .collect(),
            ),
        }
    }
}

/// Whether the text of a boolean means true.
pub(crate) fn is_on(text: &str) -> bool {
    matches!(text, "on" | "true")
}

/// The items of a comma-separated list.
pub(crate) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn parse_number(text: &str) -> Option<f64> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(digits, 16).ok().map(f64::from);
    }
    // Rust also reads "inf" and "nan", which are no numbers here.
    let number: f64 = text.parse().ok()?;
    (number.is_finite() && text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))).then_some(number)
}
