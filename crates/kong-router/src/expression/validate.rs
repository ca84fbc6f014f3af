//! Whether an expression may be saved.

use std::borrow::Cow;

use super::ast::{Expression, Literal, Operator, Predicate};
use super::field::{FieldType, has_valid_segments, type_of};
use super::parse::parse;
use crate::pattern::PatternCache;

/// Checks the `expression` of a route for HTTP and gRPC (`http`) or for streams. The error is the text that follows
/// `Router Expression failed validation: ` in the Admin API's answer.
///
/// ```
/// use kong_router::validate_expression;
///
/// assert_eq!(validate_expression(r#"http.path ^= "/api""#, true), Ok(()));
/// assert_eq!(validate_expression("http.path == 1", true).unwrap_err(), "Type mismatch between the LHS and RHS values of predicate");
/// assert_eq!(validate_expression("http.path = 1", true).unwrap_err().lines().next(), Some(" --> 1:11"));
/// ```
pub fn validate_expression(source: &str, http: bool) -> Result<(), String> {
    check(source, http, &PatternCache::default()).map(|_| ())
}

/// Parses and checks an expression.
pub(crate) fn check(source: &str, http: bool, patterns: &PatternCache) -> Result<Expression, String> {
    let source = with_current_names(source);
    let expression = parse(&source, patterns)?;
    expression.try_for_each(&mut |predicate| check_predicate(predicate, http))?;
    expression.try_for_each(&mut |predicate| match has_valid_segments(&predicate.field) {
        true => Ok(()),
        false => Err("illformed http.path.segments.* field".to_owned()),
    })?;
    Ok(expression)
}

/// `net.port` is an old name of `net.dst.port`; replaced in the text, where an operator follows.
fn with_current_names(source: &str) -> Cow<'_, str> {
    const OLD: &str = "net.port";
    let mut replaced = String::new();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once(OLD) {
        let next = after.trim_start_matches([' ', '\t', '\r', '\n', '\u{b}', '\u{c}']);
        replaced.push_str(before);
        replaced.push_str(if next.starts_with(['=', '>', '<', '!']) {
            "net.dst.port"
        } else {
            OLD
        });
        rest = after;
    }
    if replaced.is_empty() {
        return Cow::Borrowed(source);
    }
    replaced.push_str(rest);
    Cow::Owned(replaced)
}

fn check_predicate(predicate: &Predicate, http: bool) -> Result<(), String> {
    let Some(left) = type_of(&predicate.field, http) else {
        return Err("Unknown LHS field".into());
    };
    let right = match predicate.literal {
        Literal::Text(_) | Literal::Regex(_) => Some(FieldType::Text),
        Literal::Number(_) => Some(FieldType::Number),
        Literal::Address(_) => Some(FieldType::Address),
        Literal::Network(_) => None,
    };
    let operator = predicate.operator;
    let may_differ = matches!(operator, Operator::In | Operator::NotIn | Operator::Regex);
    if !may_differ && right != Some(left) {
        return Err("Type mismatch between the LHS and RHS values of predicate".into());
    }
    if predicate.lower && left != FieldType::Text {
        return Err("lower-case transformation function only supported with String type fields".into());
    }
    let (fits, message) = match operator {
        Operator::Equal | Operator::NotEqual => (true, ""),
        Operator::Regex => (left == FieldType::Text, "Regex operators only supports string operands"),
        Operator::Prefix | Operator::Postfix => (
            right == Some(FieldType::Text),
            "Regex/Prefix/Postfix operators only supports string operands",
        ),
        Operator::Greater | Operator::GreaterOrEqual | Operator::Less | Operator::LessOrEqual => (
            right == Some(FieldType::Number),
            "Greater/GreaterOrEqual/Lesser/LesserOrEqual operators only supports integer operands",
        ),
        Operator::In | Operator::NotIn => (
            left == FieldType::Address && right.is_none(),
            "In/NotIn operators only supports IP in CIDR",
        ),
        Operator::Contains => (
            right == Some(FieldType::Text),
            "Contains operator only supports string operands",
        ),
    };
    if fits { Ok(()) } else { Err(message.into()) }
}
