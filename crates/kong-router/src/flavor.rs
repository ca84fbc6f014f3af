//! The value of `router_flavor`.

use std::str::FromStr;

/// Which rules decide (routing.md §3–5, §15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Flavor {
    /// The engine before 3.0: number of matching categories first.
    Traditional,
    /// Classic fields translated to predicates; the default.
    #[default]
    TraditionalCompatible,
    /// As `TraditionalCompatible`, and routes may carry an expression.
    Expressions,
}

impl Flavor {
    /// The configuration value.
    pub fn as_str(self) -> &'static str {
        match self {
            Flavor::Traditional => "traditional",
            Flavor::TraditionalCompatible => "traditional_compatible",
            Flavor::Expressions => "expressions",
        }
    }
}

/// The text is none of the three flavors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a router flavor: use 'traditional', 'traditional_compatible' or 'expressions'")]
pub struct UnknownFlavor(String);

impl FromStr for Flavor {
    type Err = UnknownFlavor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Flavor::Traditional, Flavor::TraditionalCompatible, Flavor::Expressions]
            .into_iter()
            .find(|flavor| flavor.as_str() == text)
            .ok_or_else(|| UnknownFlavor(text.to_owned()))
    }
}
