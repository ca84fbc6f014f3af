//! The expressions of templates: Lua's, without statements, function definitions and standard library.

use serde_json::Value;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    /// A literal.
    Literal(Value),
    /// A name of the environment.
    Name(String),
    /// `a.b`, `a['b']`, `a[1]`.
    Index(Box<Expression>, Box<Expression>),
    /// `f(x)`.
    Call(Box<Expression>, Vec<Expression>),
    /// `not`, `#`, `-`.
    Unary(&'static str, Box<Expression>),
    /// Operators between two operands.
    Binary(&'static str, Box<Expression>, Box<Expression>),
}

/// Deepest nesting, so that no text can exhaust the stack.
const DEPTH: usize = 50;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(f64),
    Symbol(&'static str),
    End,
}

const SYMBOLS: [&str; 24] = [
    "==", "~=", "<=", ">=", "..", "<", ">", "+", "-", "*", "/", "%", "^", "#", "(", ")", "[", "]", ".", ",", "and",
    "or", "not", "=",
];

impl Token {
    /// As an error message shows it.
    fn show(&self) -> String {
        match self {
            Token::Name(name) => name.clone(),
            Token::Text(text) => text.clone(),
            Token::Number(number) => number.to_string(),
            Token::Symbol(symbol) => (*symbol).to_owned(),
            Token::End => "<eof>".to_owned(),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = text.get(at..).unwrap_or_default();
        if byte.is_ascii_whitespace() {
            at += 1;
        } else if byte.is_ascii_alphabetic() || byte == b'_' {
            let len = rest
                .bytes()
                .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
                .count();
            let word = rest.get(..len).unwrap_or_default();
            out.push(match SYMBOLS.iter().find(|s| **s == word) {
                Some(keyword) => Token::Symbol(keyword),
                None => Token::Name(word.to_owned()),
            });
            at += len;
        } else if byte.is_ascii_digit() {
            let len = rest
                .bytes()
                .take_while(|b| b.is_ascii_alphanumeric() || *b == b'.')
                .count();
            let word = rest.get(..len).unwrap_or_default();
            out.push(Token::Number(
                number(word).ok_or_else(|| format!("malformed number near '{word}'"))?,
            ));
            at += len;
        } else if byte == b'\'' || byte == b'"' {
            let (text, len) = quoted(rest, char::from(byte))?;
            out.push(Token::Text(text));
            at += len;
        } else {
            let symbol = SYMBOLS.iter().find(|s| rest.starts_with(**s));
            let symbol = symbol
                .ok_or_else(|| format!("unexpected symbol near '{}'", rest.chars().next().unwrap_or_default()))?;
            out.push(Token::Symbol(symbol));
            at += symbol.len();
        }
    }
    out.push(Token::End);
    Ok(out)
}

fn quoted(text: &str, quote: char) -> Result<(String, usize), String> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((out, at + 1)),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, 'r')) => out.push('\r'),
                Some((_, other)) => out.push(other),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err(format!("unfinished string near '{text}'"))
}

/// A number as Lua reads it from text.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok().map(|n| n as f64);
    }
    // Rust would also take words such as `inf`.
    text.bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
        .then(|| text.parse().ok())
        .flatten()
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

/// Binary operators with their left and right binding power.
const BINARY: [(&str, u8, u8); 14] = [
    ("or", 1, 2),
    ("and", 3, 4),
    ("<", 5, 6),
    (">", 5, 6),
    ("<=", 5, 6),
    (">=", 5, 6),
    ("~=", 5, 6),
    ("==", 5, 6),
    ("..", 8, 7),
    ("+", 9, 10),
    ("-", 9, 10),
    ("*", 11, 12),
    ("/", 11, 12),
    ("%", 11, 12),
];
const UNARY: u8 = 13;
const POWER: (u8, u8) = (16, 15);

/// Parses a whole expression; what follows it is an error.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    let expression = parser.expression(0)?;
    match parser.peek() {
        Token::End => Ok(expression),
        other => Err(format!("')' expected near '{}'", other.show())),
    }
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(s) if *s == symbol);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), String> {
        match self.take(symbol) {
            true => Ok(()),
            false => Err(format!("'{symbol}' expected near '{}'", self.peek().show())),
        }
    }

    fn expression(&mut self, least: u8) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("expression is nested too deeply".to_owned());
        }
        let mut left = self.operand()?;
        while let Token::Symbol(symbol) = *self.peek() {
            let powers = BINARY.iter().find(|(s, ..)| *s == symbol).map(|(_, l, r)| (*l, *r));
            let Some((before, after)) = powers.or((symbol == "^").then_some(POWER)) else {
                break;
            };
            if before < least {
                break;
            }
            self.at += 1;
            left = Expression::Binary(symbol, Box::new(left), Box::new(self.expression(after)?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operand(&mut self) -> Result<Expression, String> {
        for symbol in ["not", "#", "-"] {
            if self.take(symbol) {
                return Ok(Expression::Unary(symbol, Box::new(self.expression(UNARY)?)));
            }
        }
        let mut value = match self.next() {
            Token::Number(number) => return Ok(Expression::Literal(number.into())),
            Token::Text(text) => return Ok(Expression::Literal(text.into())),
            Token::Name(name) => match name.as_str() {
                "nil" => return Ok(Expression::Literal(Value::Null)),
                "true" => return Ok(Expression::Literal(true.into())),
                "false" => return Ok(Expression::Literal(false.into())),
                _ => Expression::Name(name),
            },
            Token::Symbol("(") => {
                let inner = self.expression(0)?;
                self.expect(")")?;
                inner
            }
            other => return Err(format!("unexpected symbol near '{}'", other.show())),
        };
        loop {
            if self.take(".") {
                let Token::Name(name) = self.next() else {
                    return Err("<name> expected".to_owned());
                };
                value = Expression::Index(Box::new(value), Box::new(Expression::Literal(name.into())));
            } else if self.take("[") {
                let index = self.expression(0)?;
                self.expect("]")?;
                value = Expression::Index(Box::new(value), Box::new(index));
            } else if self.take("(") {
                let mut arguments = Vec::new();
                while !self.take(")") {
                    if !arguments.is_empty() {
                        self.expect(",")?;
                    }
                    arguments.push(self.expression(0)?);
                }
                value = Expression::Call(Box::new(value), arguments);
            } else {
                return Ok(value);
            }
        }
    }
}
