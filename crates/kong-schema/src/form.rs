//! Structure of form bodies and query strings (admin-api.md §2.2).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Object;

/// Deeper keys are taken literally: what is built here is walked recursively later.
const MAX_DEPTH: usize = 32;

/// Nests flat pairs: repeated keys and `a[]`, `a[1]` become arrays, `a.b` objects, and, where `bracket_maps` is set
/// (POST, PUT, PATCH), `a[b]` too. Values stay strings; [`Schema::coerce`](crate::Schema::coerce) types them.
///
/// ```
/// let pairs = [("hosts[]", "a"), ("hosts[]", "b"), ("service.name", "orders")];
/// let pairs = pairs.map(|(k, v)| (k.to_owned(), v.to_owned()));
/// let object = kong_schema::form::structure(pairs, true);
/// assert_eq!(serde_json::json!(object), serde_json::json!({"hosts": ["a", "b"], "service": {"name": "orders"}}));
/// ```
pub fn structure(pairs: impl IntoIterator<Item = (String, String)>, bracket_maps: bool) -> Object {
    let mut root = BTreeMap::new();
    for (key, value) in pairs {
        let mut steps = parse(&key, bracket_maps);
        if steps.len() > MAX_DEPTH {
            steps = vec![Step::Name(key)];
        }
        let mut steps = steps.into_iter();
        if let Some(Step::Name(name)) = steps.next() {
            let rest: Vec<Step> = steps.collect();
            insert(root.entry(name).or_insert(Node::Empty), &rest, value);
        }
    }
    root.into_iter().map(|(name, node)| (name, node.into_value())).collect()
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Name(String),
    Index(u64),
    Append,
}

/// Splits `a.b[1][c.d][]`. A key that cannot be split is one name.
fn parse(key: &str, bracket_maps: bool) -> Vec<Step> {
    try_parse(key, bracket_maps).unwrap_or_else(|| vec![Step::Name(key.to_owned())])
}

fn try_parse(key: &str, bracket_maps: bool) -> Option<Vec<Step>> {
    if key.starts_with('[') {
        return None;
    }
    let mut steps = Vec::new();
    let mut rest = key;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (inside, after) = after.split_once(']')?;
            let is_index = !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_digit());
            steps.push(match inside {
                "" => Step::Append,
                digits if is_index => Step::Index(digits.parse().ok()?),
                name if bracket_maps => Step::Name(name.to_owned()),
                _ => return None,
            });
            // `a[1].b`: the dot only separates.
            rest = after.strip_prefix('.').unwrap_or(after);
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(Step::Name(rest[..end].to_owned()));
            rest = match rest[end..].strip_prefix('.') {
                Some("") => return None,
                Some(after) => after,
                None => &rest[end..],
            };
        }
    }
    matches!(steps.first(), Some(Step::Name(name)) if !name.is_empty()).then_some(steps)
}

enum Node {
    Empty,
    Leaf(String),
    List(Vec<Node>),
    Indexed(BTreeMap<u64, Node>),
    Map(BTreeMap<String, Node>),
}

fn insert(node: &mut Node, steps: &[Step], value: String) {
    let (first, rest) = match steps.split_first() {
        // `a[]=x` is `a=x` where `a` is a list from the start.
        Some((Step::Append, [])) => {
            if matches!(node, Node::Empty) {
                *node = Node::List(Vec::new());
            }
            return collect(node, value);
        }
        None => return collect(node, value),
        Some((Step::Append, rest)) => (&Step::Index(1), rest),
        Some((first, rest)) => (first, rest),
    };
    let child = match first {
        Step::Name(name) => {
            if !matches!(node, Node::Map(_)) {
                *node = Node::Map(BTreeMap::new());
            }
            match node {
                Node::Map(members) => members.entry(name.clone()).or_insert(Node::Empty),
                _ => return,
            }
        }
        Step::Index(index) => {
            if !matches!(node, Node::Indexed(_)) {
                *node = Node::Indexed(BTreeMap::new());
            }
            match node {
                Node::Indexed(items) => items.entry(*index).or_insert(Node::Empty),
                _ => return,
            }
        }
        Step::Append => return,
    };
    insert(child, rest, value);
}

/// A value for a key that may have one already: the values are collected.
fn collect(node: &mut Node, value: String) {
    match std::mem::replace(node, Node::Empty) {
        Node::Leaf(first) => *node = Node::List(vec![Node::Leaf(first), Node::Leaf(value)]),
        Node::List(mut items) => {
            items.push(Node::Leaf(value));
            *node = Node::List(items);
        }
        Node::Empty | Node::Indexed(_) | Node::Map(_) => *node = Node::Leaf(value),
    }
}

impl Node {
    fn into_value(self) -> Value {
        match self {
            Self::Empty => Value::Null,
            Self::Leaf(text) => Value::String(text),
            Self::List(items) => items.into_iter().map(Self::into_value).collect(),
            Self::Map(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(name, node)| (name, node.into_value()))
                    .collect(),
            ),
            Self::Indexed(items) => {
                // 1, 2, 3 … is an array; anything else is a table that is none.
                if items.keys().zip(1..).all(|(index, expected)| *index == expected) {
                    items.into_values().map(Self::into_value).collect()
                } else {
                    let members = items
                        .into_iter()
                        .map(|(index, node)| (index.to_string(), node.into_value()));
                    Value::Object(members.collect())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(pairs: &[(&str, &str)], bracket_maps: bool) -> Value {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Value::Object(structure(pairs, bracket_maps))
    }

    #[test]
    fn keys_are_nested_as_in_the_reference() {
        let rows: &[(&[(&str, &str)], Value)] = &[
            (&[("name", "x")], json!({"name": "x"})),
            (&[("hosts", "a"), ("hosts", "b")], json!({"hosts": ["a", "b"]})),
            (&[("hosts[]", "a"), ("hosts[]", "b")], json!({"hosts": ["a", "b"]})),
            (&[("hosts[]", "a")], json!({"hosts": ["a"]})),
            (&[("hosts[1]", "a"), ("hosts[2]", "b")], json!({"hosts": ["a", "b"]})),
            (&[("hosts[0]", "a")], json!({"hosts": {"0": "a"}})),
            (
                &[("hosts[1]", "a"), ("hosts[3]", "b")],
                json!({"hosts": {"1": "a", "3": "b"}}),
            ),
            (&[("service.id", "u")], json!({"service": {"id": "u"}})),
            (&[("service[id]", "u")], json!({"service": {"id": "u"}})),
            (
                &[("config.k", "a"), ("config.k", "b")],
                json!({"config": {"k": ["a", "b"]}}),
            ),
            (
                &[("config.l.sms.minute", "5")],
                json!({"config": {"l": {"sms": {"minute": "5"}}}}),
            ),
            (
                &[("config.m[request.headers.a]", "v")],
                json!({"config": {"m": {"request.headers.a": "v"}}}),
            ),
            (
                &[
                    ("sources[1].ip", "i"),
                    ("sources[1].port", "80"),
                    ("sources[2].port", "81"),
                ],
                json!({"sources": [{"ip": "i", "port": "80"}, {"port": "81"}]}),
            ),
            (
                &[("headers[x-tier][]", "gold")],
                json!({"headers": {"x-tier": ["gold"]}}),
            ),
            (
                &[("headers.x-a[1]", "1"), ("headers.x-a[2]", "2")],
                json!({"headers": {"x-a": ["1", "2"]}}),
            ),
            (&[("tags", "a,b")], json!({"tags": "a,b"})),
            (&[("a[", "x")], json!({"a[": "x"})),
            (&[("[a]", "x")], json!({"[a]": "x"})),
            (&[("a.", "x")], json!({"a.": "x"})),
        ];
        for (pairs, expected) in rows {
            assert_eq!(&nested(pairs, true), expected, "{pairs:?}");
        }
    }

    #[test]
    fn names_in_brackets_are_literal_in_query_strings() {
        assert_eq!(nested(&[("service[id]", "u")], false), json!({"service[id]": "u"}));
        assert_eq!(nested(&[("hosts[1]", "a")], false), json!({"hosts": ["a"]}));
    }

    #[test]
    fn a_key_of_many_levels_is_taken_literally() {
        let key = "a.".repeat(100_000) + "a";
        assert_eq!(nested(&[(&key, "x")], true), json!({ (key.clone()): "x" }));
    }
}
