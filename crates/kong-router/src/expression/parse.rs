//! From text to an expression.
//!
//! A parser by recursive descent that keeps account of what it tried where, since syntax errors are reported as
//! the rules that failed furthest into the text. A rule whose parts failed at its own beginning stands for them all.

use super::ast::{Expression, Literal, Operator, Predicate};
use super::report;
use super::rule::Rule;
use crate::pattern::PatternCache;

/// Parentheses and functions may be nested this deep.
const DEEPEST: usize = 100;

/// Why a rule did not apply.
pub(super) enum Failure {
    /// It does not fit here; another may.
    NoMatch,
    /// The text is wrong whatever the rest of it is.
    Fatal(String),
}

pub(super) type Parsed<V> = Result<V, Failure>;

pub(super) struct Parser<'s> {
    pub(super) source: &'s str,
    pub(super) position: usize,
    depth: usize,
    /// The furthest place at which a rule failed, and which rules did.
    failed_at: usize,
    failed: Vec<Rule>,
    /// The first complaint about something that is well-formed; syntax errors come before it.
    complaint: Option<String>,
    patterns: &'s PatternCache,
}

/// Parses `source`; the error is the report to show.
pub(crate) fn parse(source: &str, patterns: &PatternCache) -> Result<Expression, String> {
    let mut parser = Parser {
        source,
        position: 0,
        depth: 0,
        failed_at: 0,
        failed: Vec::new(),
        complaint: None,
        patterns,
    };
    parser.skip_whitespace();
    let outcome = parser.expression().and_then(|expression| {
        parser.skip_whitespace();
        parser.rule(Rule::End, |parser| {
            if parser.rest().is_empty() {
                Ok(())
            } else {
                Err(Failure::NoMatch)
            }
        })?;
        Ok(expression)
    });
    match outcome {
        Ok(expression) => parser.complaint.map_or(Ok(expression), Err),
        Err(Failure::Fatal(report)) => Err(report),
        Err(Failure::NoMatch) => Err(parser.report()),
    }
}

impl<'s> Parser<'s> {
    pub(super) fn rest(&self) -> &'s str {
        self.source.get(self.position..).unwrap_or_default()
    }

    fn skip_whitespace(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    pub(super) fn accept(&mut self, token: &str) -> bool {
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.position += token.len();
        }
        is_next
    }

    fn failures_at(&self, position: usize) -> usize {
        if self.failed_at == position {
            self.failed.len()
        } else {
            0
        }
    }

    /// Runs the body of a rule; goes back to its beginning and takes note if it does not apply.
    pub(super) fn rule<V>(&mut self, rule: Rule, body: impl FnOnce(&mut Self) -> Parsed<V>) -> Parsed<V> {
        let start = self.position;
        let before = self.failures_at(start);
        let outcome = body(self);
        if let Err(Failure::NoMatch) = outcome {
            self.position = start;
            let now = self.failures_at(start);
            // A single part that failed says more than the rule itself.
            if now != before + 1 {
                if start == self.failed_at {
                    self.failed.truncate(before);
                } else if start > self.failed_at {
                    self.failed.clear();
                    self.failed_at = start;
                }
                if start == self.failed_at {
                    self.failed.push(rule);
                }
            }
        }
        outcome
    }

    fn report(mut self) -> String {
        self.failed.sort_unstable();
        self.failed.dedup();
        let names: Vec<&str> = self.failed.iter().map(|rule| rule.name()).collect();
        let expected = match &names[..] {
            [] => "unknown parsing error".to_owned(),
            [one] => format!("expected {one}"),
            [one, other] => format!("expected {one} or {other}"),
            [others @ .., last] => format!("expected {}, or {last}", others.join(", ")),
        };
        report::at(self.source, self.failed_at, &expected)
    }

    pub(super) fn complain(&mut self, start: usize, message: &str) {
        if self.complaint.is_none() {
            self.complaint = Some(report::over(self.source, start, self.position, message));
        }
    }

    fn deeper<V>(&mut self, body: impl FnOnce(&mut Self) -> Parsed<V>) -> Parsed<V> {
        if self.depth == DEEPEST {
            let message = format!("nested more than {DEEPEST} levels deep");
            return Err(Failure::Fatal(report::at(self.source, self.position, &message)));
        }
        self.depth += 1;
        let outcome = body(self);
        self.depth -= 1;
        outcome
    }

    /// Terms with operators between them. `||` binds tighter than `&&`.
    fn expression(&mut self) -> Parsed<Expression> {
        self.rule(Rule::Expression, |parser| {
            let mut conjuncts = Vec::new();
            let mut alternatives = vec![parser.term()?];
            loop {
                let end = parser.position;
                parser.skip_whitespace();
                let is_and = parser.operator_between(Rule::AndOperator, "&&");
                if !is_and && !parser.operator_between(Rule::OrOperator, "||") {
                    parser.position = end;
                    break;
                }
                parser.skip_whitespace();
                match parser.term() {
                    Ok(term) => {
                        if is_and {
                            conjuncts.push(one_or(std::mem::take(&mut alternatives), Expression::Or));
                        }
                        alternatives.push(term);
                    }
                    // An operator without a term belongs to nobody.
                    Err(Failure::NoMatch) => {
                        parser.position = end;
                        break;
                    }
                    Err(fatal) => return Err(fatal),
                }
            }
            conjuncts.push(one_or(alternatives, Expression::Or));
            Ok(one_or(conjuncts, Expression::And))
        })
    }

    fn operator_between(&mut self, rule: Rule, token: &str) -> bool {
        self.rule(rule, |parser| {
            parser.accept(token).then_some(()).ok_or(Failure::NoMatch)
        })
        .is_ok()
    }

    fn term(&mut self) -> Parsed<Expression> {
        self.rule(Rule::Term, |parser| match parser.predicate() {
            Err(Failure::NoMatch) => parser.parenthesised(),
            other => other.map(Expression::Predicate),
        })
    }

    fn parenthesised(&mut self) -> Parsed<Expression> {
        self.rule(Rule::Parenthesised, |parser| {
            let is_negated = parser.operator_between(Rule::NotOperator, "!");
            parser.skip_whitespace();
            if !parser.accept("(") {
                return Err(Failure::NoMatch);
            }
            parser.skip_whitespace();
            let inner = parser.deeper(Self::expression)?;
            parser.skip_whitespace();
            if !parser.accept(")") {
                return Err(Failure::NoMatch);
            }
            Ok(if is_negated {
                Expression::Not(Box::new(inner))
            } else {
                inner
            })
        })
    }

    fn predicate(&mut self) -> Parsed<Predicate> {
        self.rule(Rule::Predicate, |parser| {
            let left = parser.left_side()?;
            parser.skip_whitespace();
            let operator = parser.operator()?;
            parser.skip_whitespace();
            let start = parser.position;
            let mut literal = parser.right_side()?;
            if operator == Operator::Regex {
                match &literal {
                    Literal::Text(source) => match parser.patterns.compile(source) {
                        Ok(pattern) => literal = Literal::Regex(pattern),
                        Err(reason) => parser.complain(start, &reason),
                    },
                    _ => parser.complain(start, "regex operator can only be used with String operands"),
                }
            }
            Ok(Predicate {
                field: left.field.into(),
                lower: left.lower,
                any: left.any,
                operator,
                literal,
            })
        })
    }

    fn left_side(&mut self) -> Parsed<LeftSide<'s>> {
        self.rule(Rule::LeftSide, |parser| match parser.function() {
            Err(Failure::NoMatch) => Ok(LeftSide {
                field: parser.identifier()?,
                lower: false,
                any: false,
            }),
            other => other,
        })
    }

    fn function(&mut self) -> Parsed<LeftSide<'s>> {
        self.rule(Rule::Function, |parser| {
            let start = parser.position;
            let name = parser.identifier()?;
            parser.skip_whitespace();
            if !parser.accept("(") {
                return Err(Failure::NoMatch);
            }
            parser.skip_whitespace();
            let mut left = parser.deeper(Self::left_side)?;
            parser.skip_whitespace();
            if !parser.accept(")") {
                return Err(Failure::NoMatch);
            }
            match name {
                "lower" => left.lower = true,
                "any" => left.any = true,
                _ => parser.complain(start, &format!("unknown transformation function: {name}")),
            }
            Ok(left)
        })
    }

    fn identifier(&mut self) -> Parsed<&'s str> {
        self.rule(Rule::Identifier, |parser| {
            let rest = parser.rest();
            if !rest.starts_with(|first: char| first.is_ascii_alphabetic()) {
                return Err(Failure::NoMatch);
            }
            let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.');
            let end = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
            parser.position += end;
            Ok(rest.get(..end).unwrap_or_default())
        })
    }

    fn operator(&mut self) -> Parsed<Operator> {
        const OPERATORS: [(&str, Operator); 11] = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("~", Operator::Regex),
            ("^=", Operator::Prefix),
            ("=^", Operator::Postfix),
            (">=", Operator::GreaterOrEqual),
            (">", Operator::Greater),
            ("<=", Operator::LessOrEqual),
            ("<", Operator::Less),
            ("in", Operator::In),
            ("contains", Operator::Contains),
        ];
        self.rule(Rule::Operator, |parser| {
            if let Some((_, operator)) = OPERATORS.iter().find(|(token, _)| parser.accept(token)) {
                return Ok(*operator);
            }
            if parser.accept("not") {
                parser.skip_whitespace();
                if parser.accept("in") {
                    return Ok(Operator::NotIn);
                }
            }
            Err(Failure::NoMatch)
        })
    }

    fn right_side(&mut self) -> Parsed<Literal> {
        self.rule(Rule::RightSide, |parser| {
            let alternatives: [fn(&mut Self) -> Parsed<Literal>; 4] =
                [Self::string, Self::raw_string, Self::address, Self::integer];
            for alternative in alternatives {
                match alternative(parser) {
                    Err(Failure::NoMatch) => {}
                    other => return other,
                }
            }
            Err(Failure::NoMatch)
        })
    }
}

struct LeftSide<'s> {
    field: &'s str,
    lower: bool,
    any: bool,
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}
