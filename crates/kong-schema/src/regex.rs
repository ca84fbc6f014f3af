//! Whether a text is a regular expression of the original's engine (PCRE2).

/// A pattern that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RegexError {
    /// The engine's reason.
    pub reason: String,
    /// Offset at which it gave up.
    pub offset: usize,
}

/// Compiles a pattern, only to see whether it does.
///
/// # Errors
///
/// The pattern does not compile.
pub fn compile(pattern: &str) -> Result<(), RegexError> {
    match pcre2::bytes::Regex::new(pattern) {
        Ok(_) => Ok(()),
        Err(error) => Err(RegexError {
            // The crate's own text begins with the offset.
            reason: {
                let text = error.to_string();
                text.rsplit_once(": ")
                    .map_or(text.clone(), |(_, reason)| reason.to_owned())
            },
            offset: error.offset().unwrap_or_default(),
        }),
    }
}
