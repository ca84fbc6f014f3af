//! What an expression is made of.

use std::net::IpAddr;
use std::sync::Arc;

use crate::network::Cidr;
use crate::pattern::Pattern;

#[derive(Debug)]
pub(crate) enum Expression {
    Predicate(Predicate),
    Not(Box<Expression>),
    /// All of two or more.
    And(Vec<Expression>),
    /// One of two or more.
    Or(Vec<Expression>),
}

/// A comparison of a field with a literal.
#[derive(Debug)]
pub(crate) struct Predicate {
    /// The name as written.
    pub(crate) field: Box<str>,
    /// `lower()`: the field's value is compared in lower case.
    pub(crate) lower: bool,
    /// `any()`: one value of several is enough.
    pub(crate) any: bool,
    pub(crate) operator: Operator,
    pub(crate) literal: Literal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Regex,
    Prefix,
    Postfix,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    In,
    NotIn,
    Contains,
}

#[derive(Debug)]
pub(crate) enum Literal {
    Text(Box<str>),
    Number(i64),
    Address(IpAddr),
    Network(Cidr),
    Regex(Arc<Pattern>),
}

impl Expression {
    /// Shows every predicate, from left to right, until `visit` fails.
    pub(crate) fn try_for_each<E>(&self, visit: &mut impl FnMut(&Predicate) -> Result<(), E>) -> Result<(), E> {
        match self {
            Expression::Predicate(predicate) => visit(predicate),
            Expression::Not(inner) => inner.try_for_each(visit),
            Expression::And(parts) | Expression::Or(parts) => {
                parts.iter().try_for_each(|part| part.try_for_each(visit))
            }
        }
    }
}
