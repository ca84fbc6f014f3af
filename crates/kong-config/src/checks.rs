//! The small questions that several groups of properties ask, with the messages that users know.

use crate::errors::ConfigError;
use crate::values::Values;

/// Values on one side, what is wrong with them on the other.
pub(crate) struct Reader<'a> {
    pub(crate) values: &'a Values,
    pub(crate) errors: Vec<ConfigError>,
    pub(crate) warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(values: &'a Values) -> Self {
        Self {
            values,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(crate) fn invalid(&mut self, message: impl Into<String>) {
        self.errors.push(ConfigError::Invalid(message.into()));
    }

    /// Runs `read` on the property's text, if it has one; its error is the message.
    pub(crate) fn read<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match read(self.values.text(name)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.invalid(message);
                None
            }
        }
    }

    /// A whole number within `range`; none when unset or wrong.
    pub(crate) fn integer(&mut self, name: &str, range: std::ops::RangeInclusive<u64>, message: &str) -> Option<u64> {
        let number = self.values.number(name)?;
        let fits = number.fract() == 0.0 && number >= *range.start() as f64 && number <= *range.end() as f64;
        if !fits {
            self.invalid(format!("{name} {message}"));
            return None;
        }
        Some(number as u64)
    }

    /// A number not below `least` that may have a fraction.
    pub(crate) fn at_least(&mut self, name: &str, least: f64, message: &str) -> Option<f64> {
        let number = self.values.number(name)?;
        if number < least {
            self.invalid(format!("{name} {message}"));
            return None;
        }
        Some(number)
    }

    /// Seconds, with a fraction; negative ones are refused.
    pub(crate) fn seconds(&mut self, name: &str) -> Option<std::time::Duration> {
        let seconds = self.at_least(name, 0.0, "must be 0 or greater")?;
        match std::time::Duration::try_from_secs_f64(seconds) {
            Ok(duration) => Some(duration),
            Err(_) => {
                self.invalid(format!("{name} is too large"));
                None
            }
        }
    }

    /// A size such as `8k`.
    pub(crate) fn size(&mut self, name: &str) -> Option<u64> {
        self.read(name, |text| {
            crate::units::parse_size(text)
                .ok_or_else(|| format!("{name} must be a size such as 8k or 10m, got '{text}'"))
        })
    }

    /// A time such as `60s`.
    pub(crate) fn duration(&mut self, name: &str) -> Option<std::time::Duration> {
        self.read(name, |text| {
            crate::units::parse_duration(text)
                .ok_or_else(|| format!("{name} must be a time such as 60s or 1h, got '{text}'"))
        })
    }
}
