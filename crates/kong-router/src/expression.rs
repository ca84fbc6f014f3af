//! The expressions language (routing.md §15): parser, checks and evaluation.

mod ast;
mod evaluate;
mod field;
mod filing;
mod literal;
mod parse;
mod report;
mod rule;
mod validate;

pub(crate) use evaluate::ExpressionTest;
pub(crate) use field::Field;
pub use validate::validate_expression;

#[cfg(test)]
mod tests;
