//! Regular expressions of routes, compiled once for all routes that use the same text.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use regex_automata::meta;
use regex_syntax::hir::{Hir, HirKind, Look};

/// As much as the `regex` crate allows one expression by default.
const SIZE_LIMIT: usize = 10 << 20;

/// Most memory that one expression's lazily built automaton takes, for each thread that uses it at a time. Requests decide
/// how much of it is built, so the default of 2 MB would be theirs to claim for every route.
const AUTOMATON_LIMIT: usize = 256 << 10;

/// A compiled regular expression.
#[derive(Debug)]
pub(crate) struct Pattern {
    source: Box<str>,
    pub(crate) regex: meta::Regex,
    /// Every match starts at the beginning of the text with these bytes.
    pub(crate) prefix: Box<[u8]>,
}

impl Pattern {
    /// Compiles `source`. The error is the report of the regex parser.
    pub(crate) fn new(source: &str) -> Result<Self, String> {
        let hir = regex_syntax::parse(source).map_err(|error| error.to_string())?;
        let regex = meta::Regex::builder()
            .configure(config().hybrid_cache_capacity(AUTOMATON_LIMIT))
            .build_from_hir(&hir)
            .map_err(|error| match error.size_limit() {
                Some(limit) => format!("Compiled regex exceeds size limit of {limit} bytes."),
                None => error.to_string(),
            })?;
        Ok(Pattern {
            source: source.into(),
            regex,
            prefix: literal_prefix(&hir).into(),
        })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

pub(crate) fn config() -> meta::Config {
    meta::Config::new().nfa_size_limit(Some(SIZE_LIMIT))
}

/// The literal text after a `^` that binds the whole expression.
fn literal_prefix(hir: &Hir) -> Vec<u8> {
    let HirKind::Concat(parts) = hir.kind() else {
        return Vec::new();
    };
    let Some((first, rest)) = parts.split_first() else {
        return Vec::new();
    };
    if !matches!(first.kind(), HirKind::Look(Look::Start)) {
        return Vec::new();
    }
    let mut prefix = Vec::new();
    for part in rest {
        match part.kind() {
            HirKind::Literal(literal) => prefix.extend_from_slice(&literal.0),
            _ => break,
        }
    }
    prefix
}

/// Shares compiled expressions between routes and between versions of a router. Used while a change is applied, never
/// by a request.
#[derive(Debug, Default)]
pub(crate) struct PatternCache {
    patterns: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_source: HashMap<Box<str>, Weak<Pattern>>,
    /// Size at which entries nobody uses any more are dropped.
    sweep_at: usize,
}

impl PatternCache {
    pub(crate) fn compile(&self, source: &str) -> Result<Arc<Pattern>, String> {
        let mut known = self.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pattern) = known.by_source.get(source).and_then(Weak::upgrade) {
            return Ok(pattern);
        }
        let pattern = Arc::new(Pattern::new(source)?);
        if known.by_source.len() >= known.sweep_at {
            known.by_source.retain(|_, pattern| pattern.strong_count() > 0);
            known.sweep_at = known.by_source.len() * 2 + 64;
        }
        known.by_source.insert(source.into(), Arc::downgrade(&pattern));
        Ok(pattern)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn literal_prefix_is_what_every_match_starts_with() {
        let rows = [
            (r"^/u/(?<user>[a-z]+)/(\d+)$", "/u/"),
            (r"^/a/b$", "/a/b"),
            (r"^/a|/b", ""),
            (r"^/(?i)ci/abc$", "/"),
            (r"^/l/.*?x$", "/l/"),
            (r"^/q/a{2,3}$", "/q/"),
            (r"/x", ""),
            (r"^(/a|/b)", ""),
            (r"^", ""),
            (r"^/ü", "/ü"),
            (r"^/ab?", "/a"),
            (r"(?m)^/a", ""),
        ];
        for (source, prefix) in rows {
            let found = Pattern::new(source).unwrap().prefix;
            assert!(
                prefix.as_bytes().starts_with(&found) || found.as_ref() == prefix.as_bytes(),
                "{source}: {found:?}"
            );
            assert_eq!(String::from_utf8_lossy(&found), prefix, "{source}");
        }
    }

    #[test]
    fn the_cache_shares_what_is_in_use() {
        let cache = PatternCache::default();
        let first = cache.compile("^/a").unwrap();
        assert!(Arc::ptr_eq(&first, &cache.compile("^/a").unwrap()));
        assert!(cache.compile("(").unwrap_err().contains("unclosed group"));
    }
}
