//! Asking an expression about a request.
//!
//! On the request path: allocates only for the lower case of values that are not ASCII, and for queries that are
//! percent-encoded.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use super::ast::{Expression, Literal, Operator, Predicate};
use super::field::Field;
use super::validate::check;
use crate::captures::Captures;
use crate::header::{Buffer, lower_case};
use crate::matcher::Facts;
use crate::network::Cidr;
use crate::pattern::{Pattern, PatternCache};
use crate::request::Scheme;

/// The predicate of a route with an expression.
#[derive(Debug)]
pub(crate) struct ExpressionTest {
    /// Values of `net.protocol` that the route's protocols ask for; any if empty.
    pub(crate) schemes: Box<[Scheme]>,
    pub(crate) root: Node,
}

/// An expression with its fields resolved.
#[derive(Debug)]
pub(crate) enum Node {
    Comparison(Comparison),
    Not(Box<Node>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
}

#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) field: Field,
    pub(crate) lower: bool,
    pub(crate) any: bool,
    pub(crate) test: Comparator,
}

#[derive(Debug)]
pub(crate) enum Comparator {
    Text(TextOperator, Box<str>),
    Regex(Arc<Pattern>),
    Number(Operator, i64),
    Address(bool, IpAddr),
    Network(bool, Cidr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextOperator {
    Equal,
    NotEqual,
    Prefix,
    Postfix,
    Contains,
}

/// What true comparisons leave behind.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The literal or regex match of the last true comparison with the path.
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) captures: Captures,
}

impl ExpressionTest {
    pub(crate) fn new(
        source: &str,
        http: bool,
        schemes: Box<[Scheme]>,
        patterns: &PatternCache,
    ) -> Result<Self, String> {
        let root = Node::new(check(source, http, patterns)?).ok_or("the expression compares what can't be compared")?;
        Ok(ExpressionTest { schemes, root })
    }

    pub(crate) fn agrees(&self, facts: &Facts<'_>) -> bool {
        (self.schemes.is_empty() || self.schemes.contains(&facts.query.scheme)) && self.root.agrees(facts, &mut None)
    }

    /// What the expression leaves behind when asked about a request that it agrees with.
    pub(crate) fn record(&self, facts: &Facts<'_>) -> Record {
        let mut record = Some(Record::default());
        let _agrees = self.root.agrees(facts, &mut record);
        record.unwrap_or_default()
    }

    pub(crate) fn has_regex(&self) -> bool {
        let mut found = false;
        self.root
            .for_each(&mut |comparison| found |= matches!(comparison.test, Comparator::Regex(_)));
        found
    }
}

impl Node {
    fn new(expression: Expression) -> Option<Self> {
        let all = |parts: Vec<Expression>| parts.into_iter().map(Node::new).collect::<Option<Box<[Node]>>>();
        Some(match expression {
            Expression::Predicate(predicate) => Node::Comparison(Comparison::new(predicate)?),
            Expression::Not(inner) => Node::Not(Box::new(Node::new(*inner)?)),
            Expression::And(parts) => Node::And(all(parts)?),
            Expression::Or(parts) => Node::Or(all(parts)?),
        })
    }

    /// Asks from left to right and no further than needed.
    fn agrees(&self, facts: &Facts<'_>, record: &mut Option<Record>) -> bool {
        match self {
            Node::Comparison(comparison) => comparison.agrees(facts, record),
            Node::Not(inner) => !inner.agrees(facts, record),
            Node::And(parts) => parts.iter().all(|part| part.agrees(facts, record)),
            Node::Or(parts) => parts.iter().any(|part| part.agrees(facts, record)),
        }
    }

    pub(crate) fn for_each<'n>(&'n self, visit: &mut impl FnMut(&'n Comparison)) {
        match self {
            Node::Comparison(comparison) => visit(comparison),
            Node::Not(inner) => inner.for_each(visit),
            Node::And(parts) | Node::Or(parts) => parts.iter().for_each(|part| part.for_each(visit)),
        }
    }
}

impl Comparison {
    fn new(predicate: Predicate) -> Option<Self> {
        let operator = predicate.operator;
        let test = match predicate.literal {
            Literal::Regex(pattern) => Comparator::Regex(pattern),
            Literal::Number(number) => Comparator::Number(operator, number),
            Literal::Address(address) => Comparator::Address(operator == Operator::Equal, address),
            Literal::Network(network) => Comparator::Network(operator == Operator::In, network),
            Literal::Text(text) => {
                let operator = match operator {
                    Operator::Equal => TextOperator::Equal,
                    Operator::NotEqual => TextOperator::NotEqual,
                    Operator::Prefix => TextOperator::Prefix,
                    Operator::Postfix => TextOperator::Postfix,
                    Operator::Contains => TextOperator::Contains,
                    _ => return None,
                };
                Comparator::Text(operator, text)
            }
        };
        Some(Comparison {
            field: Field::new(&predicate.field)?,
            lower: predicate.lower,
            any: predicate.any,
            test,
        })
    }

    /// True if one value (`any`) or all of at least one value pass.
    fn agrees(&self, facts: &Facts<'_>, record: &mut Option<Record>) -> bool {
        let mut seen = false;
        // Stops at the value that decides: the first that passes with `any`, else the first that doesn't.
        let decided = self.values(facts, &mut |value| {
            seen = true;
            self.value_agrees(value, record) == self.any
        });
        if self.any { decided } else { seen && !decided }
    }

    fn value_agrees(&self, value: Value<'_>, record: &mut Option<Record>) -> bool {
        match (value, &self.test) {
            (Value::Text(text), test) => {
                let mut buffer = Buffer::new();
                let text = match self.lower {
                    true => match lower_case(text, &mut buffer) {
                        Some(text) => text,
                        None => return false,
                    },
                    false => text,
                };
                self.text_agrees(text, test, record)
            }
            (Value::Number(number), Comparator::Number(operator, own)) => match operator {
                Operator::Equal => number == *own,
                Operator::NotEqual => number != *own,
                Operator::Greater => number > *own,
                Operator::GreaterOrEqual => number >= *own,
                Operator::Less => number < *own,
                Operator::LessOrEqual => number <= *own,
                _ => false,
            },
            (Value::Address(address), Comparator::Address(equal, own)) => (address == *own) == *equal,
            (Value::Address(address), Comparator::Network(inside, own)) => own.contains(address) == *inside,
            _ => false,
        }
    }

    fn text_agrees(&self, text: &[u8], test: &Comparator, record: &mut Option<Record>) -> bool {
        match test {
            Comparator::Text(operator, own) => {
                let own = own.as_bytes();
                let agrees = match operator {
                    TextOperator::Equal => text == own,
                    TextOperator::Prefix => text.starts_with(own),
                    TextOperator::Postfix => text.ends_with(own),
                    TextOperator::NotEqual => return text != own,
                    TextOperator::Contains => return memchr::memmem::find(text, own).is_some(),
                };
                if let Some(record) = record.as_mut().filter(|_| agrees && self.field == Field::Path) {
                    record.path = Some(own.to_vec());
                }
                agrees
            }
            Comparator::Regex(pattern) => match record {
                None => pattern.regex.is_match(text),
                Some(record) => {
                    if !record.captures.record(pattern, text) {
                        return false;
                    }
                    if self.field == Field::Path {
                        let span = pattern.regex.find(text).map(|found| found.range());
                        record.path = span.and_then(|span| text.get(span)).map(<[u8]>::to_vec);
                    }
                    true
                }
            },
            _ => false,
        }
    }

    /// Shows the field's values until `visit` answers true; answers whether it did.
    fn values(&self, facts: &Facts<'_>, visit: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
        let query = facts.query;
        let path = query.path;
        let text = |text: Option<&[u8]>, visit: &mut dyn FnMut(Value<'_>) -> bool| {
            text.is_some_and(|text| visit(Value::Text(text)))
        };
        let number = |number: Option<i64>, visit: &mut dyn FnMut(Value<'_>) -> bool| {
            number.is_some_and(|number| visit(Value::Number(number)))
        };
        let address = |address: Option<IpAddr>, visit: &mut dyn FnMut(Value<'_>) -> bool| {
            address.is_some_and(|address| visit(Value::Address(address)))
        };
        match &self.field {
            Field::Protocol => text(Some(query.scheme.as_str().as_bytes()), visit),
            Field::Sni => text(query.sni.map(str::as_bytes), visit),
            Field::Method => text(Some(query.method.as_bytes()), visit),
            Field::Host => text(facts.host, visit),
            Field::Path => text(Some(path), visit),
            Field::Segments(first, last) => text(segments(path, *first, *last), visit),
            Field::SegmentCount => number(Some(segment_count(path)), visit),
            Field::Header(name) => query.headers.any(name, &mut |value| visit(Value::Text(value))),
            Field::Query(name) => arguments(query.query.unwrap_or_default())
                .any(|(key, value)| *decoded(key) == *name.as_bytes() && visit(Value::Text(&decoded(value)))),
            Field::SourceAddress => address(facts.source_address(), visit),
            Field::SourcePort => number(facts.source_port(), visit),
            Field::DestinationAddress => address(facts.destination_address(), visit),
            Field::DestinationPort => number(facts.destination_port(), visit),
        }
    }
}

#[derive(Clone, Copy)]
enum Value<'v> {
    Text(&'v [u8]),
    Number(i64),
    Address(IpAddr),
}

/// The path without its leading slash and one trailing one.
fn inner(path: &[u8]) -> &[u8] {
    let inner = path.strip_prefix(b"/").unwrap_or(path);
    inner.strip_suffix(b"/").unwrap_or(inner)
}

fn segment_count(path: &[u8]) -> i64 {
    match inner(path) {
        b"" => 0,
        inner => memchr::memchr_iter(b'/', inner).count() as i64 + 1,
    }
}

/// Segments `first` to `last` with the slashes between them; nothing if the path has not that many.
fn segments(path: &[u8], first: usize, last: usize) -> Option<&[u8]> {
    let inner = inner(path);
    if inner.is_empty() {
        return None;
    }
    let mut start = None;
    let mut from = 0;
    for index in 0..=last {
        if index == first {
            start = Some(from);
        }
        let rest = inner.get(from..)?;
        let end = memchr::memchr(b'/', rest).map_or(inner.len(), |slash| from + slash);
        if index == last {
            return inner.get(start?..end);
        }
        if end == inner.len() {
            return None;
        }
        from = end + 1;
    }
    None
}

/// At most this many arguments are looked at (`lua_max_uri_args`).
const MOST_ARGUMENTS: usize = 100;

/// Keys and values of a query, still encoded. A key without a value has the empty one.
fn arguments(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs.take(MOST_ARGUMENTS).map(|pair| match memchr::memchr(b'=', pair) {
        Some(equals) => (
            pair.get(..equals).unwrap_or_default(),
            pair.get(equals + 1..).unwrap_or_default(),
        ),
        None => (pair, &[][..]),
    })
}

fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        let hex = |digit: u8| char::from(digit).to_digit(16);
        match (*byte, rest) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, tail @ ..]) => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => {
                    decoded.push((high << 4 | low) as u8);
                    rest = tail;
                }
                None => decoded.push(b'%'),
            },
            (byte, _) => decoded.push(byte),
        }
    }
    Cow::Owned(decoded)
}
