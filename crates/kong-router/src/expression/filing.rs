//! Where the index files an expression: from what must hold whenever it does.

use std::sync::Arc;

use super::evaluate::{Comparator, Comparison, ExpressionTest, Node, TextOperator};
use super::field::Field;
use crate::index::{HostKey, LONGEST_KEY, Places, Selector, SelectorKind};
use crate::pattern::Pattern;

impl Node {
    /// Parts that must all hold, each as alternatives of which one must. Parts of any other shape are left out.
    fn conjuncts(&self) -> Vec<Vec<&Comparison>> {
        let mut found = Vec::new();
        let mut pending = vec![self];
        while let Some(node) = pending.pop() {
            match node {
                Node::And(parts) => pending.extend(parts.iter().rev()),
                Node::Comparison(comparison) => found.push(vec![comparison]),
                Node::Or(parts) => {
                    let alternatives = parts.iter().map(|part| match part {
                        Node::Comparison(comparison) => Some(comparison),
                        _ => None,
                    });
                    found.extend(alternatives.collect::<Option<Vec<_>>>());
                }
                Node::Not(_) => {}
            }
        }
        found
    }
}

impl ExpressionTest {
    pub(crate) fn places(&self) -> Places {
        let conjuncts = self.root.conjuncts();
        let mut hosts = conjuncts
            .iter()
            .find_map(|part| all(part, host_key))
            .unwrap_or_else(|| vec![HostKey::Any]);
        let mut paths = conjuncts
            .iter()
            .find_map(|part| all(part, path_key))
            .unwrap_or_else(|| vec![Box::default()]);
        paths.sort_unstable();
        paths.dedup_by(|longer, shorter| longer.starts_with(shorter));
        for index in (1..hosts.len()).rev() {
            if hosts.iter().take(index).any(|host| Some(host) == hosts.get(index)) {
                hosts.swap_remove(index);
            }
        }
        Places { hosts, paths }
    }

    pub(crate) fn selectors(&self) -> Vec<Selector> {
        self.root.conjuncts().iter().filter_map(|part| selector(part)).collect()
    }

    /// Regexes of which one must match the path; none if there is no such condition.
    pub(crate) fn path_regexes(&self) -> Vec<Arc<Pattern>> {
        let regexes = self.root.conjuncts().into_iter().find_map(|part| {
            all(&part, |comparison| {
                match (&comparison.field, comparison.lower, &comparison.test) {
                    (Field::Path, false, Comparator::Regex(pattern)) => Some(Arc::clone(pattern)),
                    _ => None,
                }
            })
        });
        regexes.unwrap_or_default()
    }
}

fn all<V>(alternatives: &[&Comparison], key: impl Fn(&Comparison) -> Option<V>) -> Option<Vec<V>> {
    alternatives.iter().map(|comparison| key(comparison)).collect()
}

fn host_key(comparison: &Comparison) -> Option<HostKey> {
    match (&comparison.field, comparison.lower, &comparison.test) {
        (Field::Host, false, Comparator::Text(operator, text)) if text.len() <= LONGEST_KEY => match operator {
            TextOperator::Equal => Some(HostKey::Exact(text.as_bytes().into())),
            TextOperator::Postfix => Some(HostKey::Ending(text.bytes().rev().collect())),
            TextOperator::Prefix => Some(HostKey::Beginning(text.as_bytes().into())),
            _ => None,
        },
        _ => None,
    }
}

fn path_key(comparison: &Comparison) -> Option<Box<[u8]>> {
    let key = match (&comparison.field, comparison.lower, &comparison.test) {
        (Field::Path, false, Comparator::Text(TextOperator::Equal | TextOperator::Prefix, text)) => text.as_bytes(),
        (Field::Path, false, Comparator::Regex(pattern)) => &pattern.prefix,
        _ => return None,
    };
    Some(key.get(..LONGEST_KEY).unwrap_or(key).into())
}

fn selector(alternatives: &[&Comparison]) -> Option<Selector> {
    let kind = match &alternatives.first()?.field {
        Field::Header(name) => SelectorKind::Header(name.clone()),
        Field::Sni => SelectorKind::Sni {
            plaintext_agrees: false,
        },
        Field::DestinationPort => SelectorKind::Port,
        Field::Method => SelectorKind::Method,
        _ => return None,
    };
    let first = &alternatives.first()?.field;
    let keys = all(alternatives, |comparison| {
        // Header values are filed in lower case, the others as they are.
        let may_be_lower = matches!(kind, SelectorKind::Header(_));
        if comparison.field != *first || (comparison.lower && !may_be_lower) {
            return None;
        }
        match &comparison.test {
            Comparator::Text(TextOperator::Equal, text) if may_be_lower => Some(text.to_lowercase().into_bytes()),
            Comparator::Text(TextOperator::Equal, text) => Some(text.as_bytes().to_vec()),
            Comparator::Number(super::ast::Operator::Equal, number) => Some(number.to_be_bytes().to_vec()),
            _ => None,
        }
    })?;
    let mut selector = Selector { kind, keys };
    selector.keys.sort_unstable();
    selector.keys.dedup();
    Some(selector)
}
