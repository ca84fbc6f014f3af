//! The literals on the right of a comparison.

use super::ast::Literal;
use super::parse::{Failure, Parsed, Parser};
use super::rule::Rule;
use crate::network::Cidr;

impl Parser<'_> {
    pub(super) fn string(&mut self) -> Parsed<Literal> {
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

    pub(super) fn raw_string(&mut self) -> Parsed<Literal> {
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

    pub(super) fn address(&mut self) -> Parsed<Literal> {
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

    pub(super) fn integer(&mut self) -> Parsed<Literal> {
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
