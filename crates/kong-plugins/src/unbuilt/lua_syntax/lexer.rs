//! Text to tokens.

use super::SyntaxError;

/// A token; `Symbol` and `Keyword` carry their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'s> {
    Name(&'s str),
    Keyword(&'s str),
    Symbol(&'s str),
    Number(&'s str),
    Text(&'s str),
    End,
}

impl Token<'_> {
    /// As errors show it.
    pub(super) fn shown(&self) -> &str {
        match self {
            Token::Name(text)
            | Token::Keyword(text)
            | Token::Symbol(text)
            | Token::Number(text)
            | Token::Text(text) => text,
            Token::End => "<eof>",
        }
    }
}

/// `goto` is a keyword only where a name follows: the parser looks.
const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or",
    "repeat", "return", "then", "true", "until", "while",
];

const SYMBOLS: [&str; 7] = ["...", "..", "==", "~=", "<=", ">=", "::"];

/// Reads tokens; cheap to copy, so that the parser can look ahead.
#[derive(Clone, Copy)]
pub(super) struct Lexer<'s> {
    source: &'s str,
    at: usize,
    pub(super) line: usize,
}

impl<'s> Lexer<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Lexer { source, at: 0, line: 1 }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn error<T>(&self, text: &str, near: &str) -> Result<T, SyntaxError> {
        Err(SyntaxError {
            line: self.line,
            text: format!("{text} near '{near}'"),
        })
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &'s str {
        let start = self.at;
        while self.byte(0).is_some_and(&accept) {
            self.at += 1;
        }
        self.source.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn next(&mut self) -> Result<Token<'s>, SyntaxError> {
        self.skip_blanks()?;
        let Some(byte) = self.byte(0) else {
            return Ok(Token::End);
        };
        match byte {
            b'0'..=b'9' => self.number(),
            b'.' if self.byte(1).is_some_and(|b| b.is_ascii_digit()) => self.number(),
            b'"' | b'\'' => self.text(byte),
            b'[' => match self.long_bracket() {
                Some(level) => self.long_text(level, "unfinished long string").map(Token::Text),
                None if self.byte(1) == Some(b'=') => self.error("invalid long string delimiter", "[="),
                None => Ok(self.symbol(1)),
            },
            _ if is_name_byte(byte) => {
                let name = self.take_while(is_name_byte);
                Ok(if KEYWORDS.contains(&name) {
                    Token::Keyword(name)
                } else {
                    Token::Name(name)
                })
            }
            _ => {
                let known = SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol));
                let length = known.map_or_else(|| self.rest().chars().next().map_or(1, char::len_utf8), |s| s.len());
                Ok(self.symbol(length))
            }
        }
    }

    fn symbol(&mut self, length: usize) -> Token<'s> {
        let start = self.at;
        self.at += length;
        Token::Symbol(self.source.get(start..self.at).unwrap_or_default())
    }

    fn skip_blanks(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.byte(0) {
                Some(b'\n') => {
                    self.line += 1;
                    self.at += 1;
                }
                Some(b' ' | b'\t' | b'\r' | 0x0b | 0x0c) => self.at += 1,
                Some(b'-') if self.byte(1) == Some(b'-') => {
                    self.at += 2;
                    match self.long_bracket() {
                        Some(level) => {
                            self.long_text(level, "unfinished long comment")?;
                        }
                        None => {
                            self.take_while(|b| b != b'\n');
                        }
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// Number of `=` between the brackets that open a long text here.
    fn long_bracket(&self) -> Option<usize> {
        if self.byte(0) != Some(b'[') {
            return None;
        }
        let level = self.rest().bytes().skip(1).take_while(|b| *b == b'=').count();
        (self.byte(level + 1) == Some(b'[')).then_some(level)
    }

    fn long_text(&mut self, level: usize, unfinished: &str) -> Result<&'s str, SyntaxError> {
        let start = self.at;
        let close = format!("]{}]", "=".repeat(level));
        let body = self.rest().get(level + 2..).unwrap_or_default();
        let end = body.find(&close);
        let covered = body.get(..end.unwrap_or(body.len())).unwrap_or_default();
        self.line += covered.bytes().filter(|b| *b == b'\n').count();
        if end.is_none() {
            return self.error(unfinished, "<eof>");
        }
        self.at += level + 2 + covered.len() + close.len();
        Ok(self.source.get(start..self.at).unwrap_or_default())
    }

    fn text(&mut self, quote: u8) -> Result<Token<'s>, SyntaxError> {
        let start = self.at;
        self.at += 1;
        loop {
            let so_far = self.source.get(start..self.at).unwrap_or_default();
            match self.byte(0) {
                None => return self.error("unfinished string", "<eof>"),
                Some(b'\n' | b'\r') => return self.error("unfinished string", so_far),
                Some(b'\\') => self.escape(so_far)?,
                Some(byte) => {
                    self.at += 1;
                    if byte == quote {
                        return Ok(Token::Text(self.source.get(start..self.at).unwrap_or_default()));
                    }
                }
            }
        }
    }

    fn escape(&mut self, so_far: &str) -> Result<(), SyntaxError> {
        let invalid = |lexer: &Self| lexer.error("invalid escape sequence", &format!("{so_far}\\"));
        self.at += 1;
        match self.byte(0) {
            Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\' | b'"' | b'\'') => self.at += 1,
            Some(b'\n') => {
                self.line += 1;
                self.at += 1;
            }
            Some(b'\r') => self.at += 1,
            Some(b'x') => {
                if !(1..3).all(|n| self.byte(n).is_some_and(|b| b.is_ascii_hexdigit())) {
                    return invalid(self);
                }
                self.at += 3;
            }
            Some(b'z') => {
                self.at += 1;
                let blank = self.take_while(|b| b.is_ascii_whitespace());
                self.line += blank.bytes().filter(|b| *b == b'\n').count();
            }
            Some(b'u') => {
                let digits = self.rest().get(1..).unwrap_or_default();
                let inner = digits.strip_prefix('{').and_then(|d| d.split_once('}')).map(|(d, _)| d);
                match inner.filter(|d| u32::from_str_radix(d, 16).is_ok_and(|code| code < 0x11_0000)) {
                    Some(inner) => self.at += inner.len() + 3,
                    None => return invalid(self),
                }
            }
            Some(byte) if byte.is_ascii_digit() => {
                let digits = self.rest().bytes().take(3).take_while(u8::is_ascii_digit).count();
                let code = self.rest().get(..digits).and_then(|d| d.parse::<u16>().ok());
                if code.is_none_or(|code| code > 255) {
                    return invalid(self);
                }
                self.at += digits;
            }
            // The end of the text: reported by the caller.
            None => {}
            Some(_) => return invalid(self),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Token<'s>, SyntaxError> {
        let start = self.at;
        let is_hex = self.rest().starts_with("0x") || self.rest().starts_with("0X");
        let mut last = 0;
        while let Some(byte) = self.byte(0) {
            let is_exponent = if is_hex { b"pP" } else { b"eE" }.contains(&last);
            if !(is_name_byte(byte) || byte == b'.' || (is_exponent && matches!(byte, b'+' | b'-'))) {
                break;
            }
            last = byte;
            self.at += 1;
        }
        let number = self.source.get(start..self.at).unwrap_or_default();
        if is_number(number) {
            Ok(Token::Number(number))
        } else {
            self.error("malformed number", number)
        }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn is_number(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let (digits, is_integer) = if let Some(digits) = lower.strip_suffix("ull") {
        (digits, true)
    } else if let Some(digits) = lower.strip_suffix("ll") {
        (digits, true)
    } else {
        (lower.strip_suffix('i').unwrap_or(&lower), false)
    };
    let hex = digits.strip_prefix("0x");
    let (mantissa, exponent) = match hex {
        Some(hex) => hex.split_once('p').map_or((hex, None), |(m, e)| (m, Some(e))),
        None => digits.split_once('e').map_or((digits, None), |(m, e)| (m, Some(e))),
    };
    let is_digit = |b: u8| {
        if hex.is_some() {
            b.is_ascii_hexdigit()
        } else {
            b.is_ascii_digit()
        }
    };
    let points = mantissa.bytes().filter(|b| *b == b'.').count();
    let is_mantissa =
        mantissa.bytes().any(is_digit) && mantissa.bytes().all(|b| is_digit(b) || b == b'.') && points < 2;
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    });
    is_mantissa && is_exponent && !(is_integer && (points > 0 || exponent.is_some()))
}
