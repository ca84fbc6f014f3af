//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file that was asked for does not exist.
    #[error("no file at: {}", .0.display())]
    NoFile(PathBuf),
    /// The file exists and cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A property has a value that is not allowed.
    #[error("{0}")]
    Invalid(String),
    /// A property asks for something that is not built yet, and going on without it would be unsafe.
    #[error("{property} = {value} is not supported yet: {reason}")]
    Refused {
        /// Its name.
        property: String,
        /// What it was set to (`******` for secrets).
        value: String,
        /// What is missing.
        reason: String,
    },
}

/// Everything that is wrong with a configuration; never empty. Displays the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// None if there is no error.
    pub(crate) fn from_list(errors: Vec<ConfigError>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.first().map_or(Ok(()), |error| error.fmt(f))
    }
}

impl std::error::Error for ConfigErrors {}
