//! From text to an expression.
//!
//! A parser by recursive descent that keeps account of what it tried where, since syntax errors are reported as
//! the rules that failed furthest into the text. A rule whose parts failed at its own beginning stands for them all.

use super::ast::{Expression, Literal, Operator, Predicate};
use super::report;
use crate::network::Cidr;
use crate::pattern::PatternCache;

/// Parentheses and functions may be nested this deep.
const DEEPEST: usize = 100;

/// Rules as they are called in reports, in the order in which these name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    End,
    Identifier,
    LeftSide,
    EscapedCharacter,
    Character,
    RawCharacter,
    StringLiteral,
    RawStringLiteral,
    Ipv6NetworkLiteral,
    Ipv4NetworkLiteral,
    Ipv6Literal,
    Ipv4Literal,
    IntegerLiteral,
    RightSide,
    Function,
    Operator,
    Predicate,
    AndOperator,
    OrOperator,
    NotOperator,
    Parenthesised,
    Term,
    Expression,
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Rule::End => "EOI",
            Rule::Identifier => "ident",
            Rule::LeftSide => "lhs",
            Rule::EscapedCharacter => "str_esc",
            Rule::Character => "str_char",
            Rule::RawCharacter => "rawstr_char",
            Rule::StringLiteral => "str_literal",
            Rule::RawStringLiteral => "rawstr_literal",
            Rule::Ipv6NetworkLiteral => "ipv6_cidr_literal",
            Rule::Ipv4NetworkLiteral => "ipv4_cidr_literal",
            Rule::Ipv6Literal => "ipv6_literal",
            Rule::Ipv4Literal => "ipv4_literal",
            Rule::IntegerLiteral => "int_literal",
            Rule::RightSide => "rhs",
            Rule::Function => "transform_func",
            Rule::Operator => "binary_operator",
            Rule::Predicate => "predicate",
            Rule::AndOperator => "and_op",
            Rule::OrOperator => "or_op",
            Rule::NotOperator => "not_op",
            Rule::Parenthesised => "parenthesised_expression",
            Rule::Term => "term",
            Rule::Expression => "expression",
        }
    }
}

/// Why a rule did not apply.
enum Failure {
    /// It does not fit here; another may.
    NoMatch,
    /// The text is wrong whatever the rest of it is.
    Fatal(String),
}

type Parsed<V> = Result<V, Failure>;

struct Parser<'s> {
    source: &'s str,
    position: usize,
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
    fn rest(&self) -> &'s str {
        self.source.get(self.position..).unwrap_or_default()
    }

    fn skip_whitespace(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn accept(&mut self, token: &str) -> bool {
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
    fn rule<V>(&mut self, rule: Rule, body: impl FnOnce(&mut Self) -> Parsed<V>) -> Parsed<V> {
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

    fn complain(&mut self, start: usize, message: &str) {
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

    fn string(&mut self) -> Parsed<Literal> {
        self.rule(Rule::StringLiteral, |parser| {
            if !parser.accept("\"") {
                return Err(Failure::NoMatch);
            }
            let mut text = String::new();
            loop {
                if let Ok(character) = parser.rule(Rule::EscapedCharacter, Self::escaped_character) {
                    text.push(character);
                } else if let Ok(character) = parser.rule(Rule::Character, Self::plain_character) {
                    text.push(character);
                } else {
                    break;
                }
            }
            if parser.accept("\"") {
                Ok(Literal::Text(text.into()))
            } else {
                Err(Failure::NoMatch)
            }
        })
    }

    fn escaped_character(&mut self) -> Parsed<char> {
        const ESCAPES: [(&str, char); 5] = [
            ("\\\"", '"'),
            ("\\\\", '\\'),
            ("\\n", '\n'),
            ("\\r", '\r'),
            ("\\t", '\t'),
        ];
        let escape = ESCAPES.iter().find(|(token, _)| self.accept(token));
        escape.map(|(_, character)| *character).ok_or(Failure::NoMatch)
    }

    fn plain_character(&mut self) -> Parsed<char> {
        match self.rest().chars().next() {
            None | Some('"' | '\\') => Err(Failure::NoMatch),
            Some(character) => {
                self.position += character.len_utf8();
                Ok(character)
            }
        }
    }

    fn raw_string(&mut self) -> Parsed<Literal> {
        self.rule(Rule::RawStringLiteral, |parser| {
            if !parser.accept("r#\"") {
                return Err(Failure::NoMatch);
            }
            let rest = parser.rest();
            match rest.split_once("\"#") {
                Some((text, _)) => {
                    parser.position += text.len() + 2;
                    Ok(Literal::Text(text.into()))
                }
                None => {
                    // It is the end of the text where a further character is missed.
                    let start = parser.position;
                    parser.position = parser.source.len();
                    let missing = parser.rule(Rule::RawCharacter, |_| Err(Failure::NoMatch));
                    parser.position = start;
                    missing
                }
            }
        })
    }

    fn address(&mut self) -> Parsed<Literal> {
        let rest = self.rest();
        let is_part = |character: char| character.is_ascii_hexdigit() || matches!(character, ':' | '.');
        let end = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
        let address = rest.get(..end).unwrap_or_default();
        let is_v6 = address.matches(':').count() >= 2;
        let is_v4 = !is_v6 && {
            let parts: Vec<&str> = address.split('.').collect();
            parts.len() == 4
                && parts
                    .iter()
                    .all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let bits = rest.get(end..).and_then(|rest| rest.strip_prefix('/')).map(|bits| {
            let digits = bits
                .find(|character: char| !character.is_ascii_digit())
                .unwrap_or(bits.len());
            digits.min(if is_v6 { 3 } else { 2 })
        });
        let network = bits.filter(|digits| *digits > 0);
        let rules = match (is_v6, network) {
            (true, Some(_)) => [Rule::Ipv6NetworkLiteral; 2],
            (true, None) => [Rule::Ipv6NetworkLiteral, Rule::Ipv6Literal],
            (false, Some(_)) => [Rule::Ipv4NetworkLiteral; 2],
            (false, None) => [Rule::Ipv4NetworkLiteral, Rule::Ipv4Literal],
        };
        if !is_v4 && !is_v6 {
            for rule in rules {
                let _failed: Parsed<()> = self.rule(rule, |_| Err(Failure::NoMatch));
            }
            return Err(Failure::NoMatch);
        }
        let start = self.position;
        if let Some(digits) = network {
            self.position += end + 1 + digits;
            let text = self.source.get(start..self.position).unwrap_or_default();
            if Cidr::has_host_bits(text) {
                self.complain(start, "host part of address was not zero");
            }
            return Ok(match Cidr::parse(text) {
                Some(network) => Literal::Network(network),
                None => {
                    self.complain(start, "couldn't parse address in network");
                    Literal::Text(text.into())
                }
            });
        }
        self.position += end;
        Ok(match address.parse() {
            Ok(address) => Literal::Address(address),
            Err(_) => {
                let family = if is_v6 { "IPv6" } else { "IPv4" };
                self.complain(start, &format!("invalid {family} address syntax"));
                Literal::Text(address.into())
            }
        })
    }

    fn integer(&mut self) -> Parsed<Literal> {
        self.rule(Rule::IntegerLiteral, |parser| {
            let start = parser.position;
            let is_negative = parser.accept("-");
            let digits_of = |text: &str, radix: u32| {
                text.find(|character: char| !character.is_digit(radix))
                    .unwrap_or(text.len())
            };
            let rest = parser.rest();
            let hexadecimal = rest.strip_prefix("0x").filter(|digits| digits_of(digits, 16) > 0);
            let octal = rest.strip_prefix('0').filter(|digits| digits_of(digits, 8) > 0);
            let (digits, radix, skipped) = match (hexadecimal, octal) {
                (Some(digits), _) => (digits, 16, 2),
                (None, Some(digits)) => (digits, 8, 1),
                (None, None) => (rest, 10, 0),
            };
            let length = digits_of(digits, radix);
            if length == 0 {
                return Err(Failure::NoMatch);
            }
            parser.position += skipped + length;
            let digits = digits.get(..length).unwrap_or_default();
            let signed = if is_negative {
                format!("-{digits}")
            } else {
                digits.to_owned()
            };
            Ok(match i64::from_str_radix(&signed, radix) {
                Ok(number) => Literal::Number(number),
                Err(error) => {
                    parser.complain(start, &error.to_string());
                    Literal::Number(0)
                }
            })
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
