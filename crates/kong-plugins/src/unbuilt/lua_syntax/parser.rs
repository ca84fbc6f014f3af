//! Tokens to the answer whether they are a chunk. No tree is built.

use super::SyntaxError;
use super::lexer::{Lexer, Token};

/// Deepest nesting, as in LuaJIT.
const MAX_LEVELS: usize = 200;

type Outcome<T = ()> = Result<T, SyntaxError>;

/// What a suffixed expression is.
#[derive(PartialEq)]
enum Primary {
    Variable,
    Call,
    Value,
}

/// A function, for what must not cross its border.
struct Function<'s> {
    is_vararg: bool,
    blocks: Vec<Block<'s>>,
}

#[derive(Default)]
struct Block<'s> {
    is_loop: bool,
    labels: Vec<&'s str>,
    /// Jumps that found no label yet, and their lines.
    jumps: Vec<(&'s str, usize)>,
}

struct Parser<'s> {
    lexer: Lexer<'s>,
    token: Token<'s>,
    /// Line of the current token, and of the one before.
    line: usize,
    last_line: usize,
    levels: usize,
    functions: Vec<Function<'s>>,
}

pub(super) fn parse(source: &str) -> Outcome {
    let mut parser = Parser {
        lexer: Lexer::new(source),
        token: Token::End,
        line: 1,
        last_line: 1,
        levels: 0,
        functions: Vec::new(),
    };
    parser.advance()?;
    parser.functions.push(Function {
        is_vararg: true,
        blocks: Vec::new(),
    });
    parser.block(false)?;
    if parser.token == Token::End {
        Ok(())
    } else {
        parser.expected("<eof>")
    }
}

impl<'s> Parser<'s> {
    fn advance(&mut self) -> Outcome {
        self.last_line = self.line;
        self.token = self.lexer.next()?;
        self.line = self.lexer.line;
        Ok(())
    }

    fn fail<T>(&self, text: &str) -> Outcome<T> {
        Err(SyntaxError {
            line: self.line,
            text: format!("{text} near '{}'", self.token.shown()),
        })
    }

    fn expected<T>(&self, what: &str) -> Outcome<T> {
        self.fail(&format!("'{what}' expected"))
    }

    fn is(&self, text: &str) -> bool {
        matches!(self.token, Token::Keyword(t) | Token::Symbol(t) if t == text)
    }

    /// Takes the token if it is this one.
    fn take(&mut self, text: &str) -> Outcome<bool> {
        let is = self.is(text);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    fn require(&mut self, text: &str) -> Outcome {
        if self.take(text)? { Ok(()) } else { self.expected(text) }
    }

    /// Requires what closes something that was opened on another line, perhaps.
    fn close(&mut self, what: &str, opened_by: &str, line: usize) -> Outcome {
        if self.take(what)? {
            Ok(())
        } else if line == self.line {
            self.expected(what)
        } else {
            self.fail(&format!("'{what}' expected (to close '{opened_by}' at line {line})"))
        }
    }

    fn name(&mut self) -> Outcome<&'s str> {
        let Token::Name(name) = self.token else {
            return self.expected("<name>");
        };
        self.advance()?;
        Ok(name)
    }

    /// Runs a step one level deeper.
    fn deeper<T>(&mut self, step: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        self.levels += 1;
        if self.levels > MAX_LEVELS {
            return Err(SyntaxError {
                line: self.line,
                text: "chunk has too many syntax levels".to_owned(),
            });
        }
        let outcome = step(self);
        self.levels -= 1;
        outcome
    }

    fn blocks(&mut self) -> &mut Vec<Block<'s>> {
        if self.functions.is_empty() {
            self.functions.push(Function {
                is_vararg: true,
                blocks: Vec::new(),
            });
        }
        let last = self.functions.len() - 1;
        &mut self.functions[last].blocks
    }

    fn block(&mut self, is_loop: bool) -> Outcome {
        self.open_block(is_loop);
        self.statements()?;
        self.close_block()
    }

    fn open_block(&mut self, is_loop: bool) {
        self.blocks().push(Block {
            is_loop,
            ..Block::default()
        });
    }

    /// Jumps find the labels of this block, or leave it.
    fn close_block(&mut self) -> Outcome {
        let blocks = self.blocks();
        let Some(block) = blocks.pop() else { return Ok(()) };
        let mut open = block.jumps.into_iter().filter(|(name, _)| !block.labels.contains(name));
        match blocks.last_mut() {
            Some(outer) => outer.jumps.extend(open),
            None => {
                if let Some((name, line)) = open.next() {
                    return Err(SyntaxError {
                        line,
                        text: format!("undefined label '{name}'"),
                    });
                }
            }
        }
        Ok(())
    }

    fn statements(&mut self) -> Outcome {
        self.deeper(|parser| {
            loop {
                let ends = matches!(
                    parser.token,
                    Token::End | Token::Keyword("end" | "else" | "elseif" | "until")
                );
                if ends || parser.statement()? {
                    return Ok(());
                }
                parser.take(";")?;
            }
        })
    }

    /// One statement; whether it must be the last of its block.
    fn statement(&mut self) -> Outcome<bool> {
        let line = self.line;
        match self.token {
            Token::Keyword("if") => self.branches(line)?,
            Token::Keyword("while") => {
                self.advance()?;
                self.expression()?;
                self.require("do")?;
                self.block(true)?;
                self.close("end", "while", line)?;
            }
            Token::Keyword("do") => {
                self.advance()?;
                self.block(false)?;
                self.close("end", "do", line)?;
            }
            Token::Keyword("for") => self.for_loop(line)?,
            Token::Keyword("repeat") => {
                self.advance()?;
                // The condition sees the block.
                self.open_block(true);
                self.statements()?;
                self.close("until", "repeat", line)?;
                self.expression()?;
                self.close_block()?;
            }
            Token::Keyword("function") => {
                self.advance()?;
                self.name()?;
                while self.take(".")? {
                    self.name()?;
                }
                if self.take(":")? {
                    self.name()?;
                }
                self.function(line)?;
            }
            Token::Keyword("local") => self.local(line)?,
            Token::Keyword("return") => {
                self.advance()?;
                let ends = matches!(
                    self.token,
                    Token::End | Token::Keyword("end" | "else" | "elseif" | "until")
                );
                if !ends && !self.is(";") {
                    self.expressions()?;
                }
                self.take(";")?;
                return Ok(true);
            }
            Token::Keyword("break") => {
                self.advance()?;
                if !self.blocks().iter().any(|block| block.is_loop) {
                    return self.fail("no loop to break");
                }
            }
            Token::Symbol("::") => {
                self.advance()?;
                let label = self.name()?;
                self.require("::")?;
                let is_known = self.blocks().iter().any(|block| block.labels.contains(&label));
                if is_known {
                    return Err(SyntaxError {
                        line: self.last_line,
                        text: format!("duplicate label '{label}'"),
                    });
                }
                if let Some(block) = self.blocks().last_mut() {
                    block.labels.push(label);
                }
            }
            Token::Symbol(";") => {}
            Token::Name("goto") if matches!(self.lexer.clone().next(), Ok(Token::Name(_))) => {
                self.advance()?;
                let label = self.name()?;
                if let Some(block) = self.blocks().last_mut() {
                    block.jumps.push((label, line));
                }
            }
            _ => self.assignment_or_call()?,
        }
        Ok(false)
    }

    fn branches(&mut self, line: usize) -> Outcome {
        self.advance()?;
        loop {
            self.expression()?;
            self.require("then")?;
            self.block(false)?;
            if !self.take("elseif")? {
                break;
            }
        }
        if self.take("else")? {
            self.block(false)?;
        }
        self.close("end", "if", line)
    }

    fn for_loop(&mut self, line: usize) -> Outcome {
        self.advance()?;
        self.name()?;
        if self.take("=")? {
            self.expression()?;
            self.require(",")?;
            self.expression()?;
            if self.take(",")? {
                self.expression()?;
            }
        } else if self.is(",") || self.is("in") {
            while self.take(",")? {
                self.name()?;
            }
            self.require("in")?;
            self.expressions()?;
        } else {
            return self.fail("'=' or 'in' expected");
        }
        self.require("do")?;
        self.block(true)?;
        self.close("end", "for", line)
    }

    fn local(&mut self, line: usize) -> Outcome {
        self.advance()?;
        if self.take("function")? {
            self.name()?;
            return self.function(line);
        }
        self.name()?;
        while self.take(",")? {
            self.name()?;
        }
        if self.take("=")? {
            self.expressions()?;
        }
        Ok(())
    }

    fn assignment_or_call(&mut self) -> Outcome {
        let mut kind = self.primary()?;
        if kind == Primary::Call {
            return Ok(());
        }
        loop {
            if kind != Primary::Variable {
                return self.fail("syntax error");
            }
            if !self.take(",")? {
                break;
            }
            kind = self.primary()?;
        }
        self.require("=")?;
        self.expressions()
    }

    /// Parameters and body.
    fn function(&mut self, line: usize) -> Outcome {
        self.require("(")?;
        let mut is_vararg = false;
        if !self.is(")") {
            loop {
                if self.take("...")? {
                    is_vararg = true;
                    break;
                }
                self.name()?;
                if !self.take(",")? {
                    break;
                }
            }
        }
        self.require(")")?;
        self.functions.push(Function {
            is_vararg,
            blocks: Vec::new(),
        });
        self.block(false)?;
        self.functions.pop();
        self.close("end", "function", line)
    }

    fn expressions(&mut self) -> Outcome {
        self.expression()?;
        while self.take(",")? {
            self.expression()?;
        }
        Ok(())
    }

    /// Precedence changes nothing about what is valid.
    fn expression(&mut self) -> Outcome {
        self.deeper(|parser| {
            loop {
                while matches!(parser.token, Token::Keyword("not") | Token::Symbol("-" | "#")) {
                    parser.advance()?;
                }
                parser.operand()?;
                let continues = match parser.token {
                    Token::Keyword(text) => matches!(text, "and" | "or"),
                    Token::Symbol(text) => matches!(
                        text,
                        "+" | "-" | "*" | "/" | "%" | "^" | ".." | "==" | "~=" | "<" | "<=" | ">" | ">="
                    ),
                    _ => false,
                };
                if !continues {
                    return Ok(());
                }
                parser.advance()?;
            }
        })
    }

    fn operand(&mut self) -> Outcome {
        match self.token {
            Token::Number(_) | Token::Text(_) | Token::Keyword("nil" | "true" | "false") => self.advance(),
            Token::Symbol("...") => {
                if self.functions.last().is_some_and(|function| !function.is_vararg) {
                    return self.fail("cannot use '...' outside a vararg function");
                }
                self.advance()
            }
            Token::Symbol("{") => self.table(),
            Token::Keyword("function") => {
                let line = self.line;
                self.advance()?;
                self.function(line)
            }
            _ => self.primary().map(drop),
        }
    }

    fn table(&mut self) -> Outcome {
        let line = self.line;
        self.require("{")?;
        while !self.is("}") {
            let is_named =
                matches!(self.token, Token::Name(_)) && matches!(self.lexer.clone().next(), Ok(Token::Symbol("=")));
            if is_named {
                self.advance()?;
                self.require("=")?;
            } else if self.take("[")? {
                self.expression()?;
                self.require("]")?;
                self.require("=")?;
            }
            self.expression()?;
            if !self.take(",")? && !self.take(";")? {
                break;
            }
        }
        self.close("}", "{", line)
    }

    fn primary(&mut self) -> Outcome<Primary> {
        let line = self.line;
        let mut kind = if self.take("(")? {
            self.expression()?;
            self.close(")", "(", line)?;
            Primary::Value
        } else if let Token::Name(_) = self.token {
            self.advance()?;
            Primary::Variable
        } else {
            return self.fail("unexpected symbol");
        };
        loop {
            kind = match self.token {
                Token::Symbol(".") => {
                    self.advance()?;
                    self.name()?;
                    Primary::Variable
                }
                Token::Symbol("[") => {
                    self.advance()?;
                    self.expression()?;
                    self.require("]")?;
                    Primary::Variable
                }
                Token::Symbol(":") => {
                    self.advance()?;
                    self.name()?;
                    self.arguments()?;
                    Primary::Call
                }
                Token::Symbol("(" | "{") | Token::Text(_) => {
                    self.arguments()?;
                    Primary::Call
                }
                _ => return Ok(kind),
            };
        }
    }

    fn arguments(&mut self) -> Outcome {
        let line = self.line;
        match self.token {
            Token::Symbol("(") => {
                if line != self.last_line {
                    return self.fail("ambiguous syntax (function call x new statement)");
                }
                self.advance()?;
                if !self.is(")") {
                    self.expressions()?;
                }
                self.close(")", "(", line)
            }
            Token::Symbol("{") => self.table(),
            Token::Text(_) => self.advance(),
            _ => self.fail("function arguments expected"),
        }
    }
}
