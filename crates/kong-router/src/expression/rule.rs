//! The rules of the grammar, by the names that syntax errors give them.

/// Rules as they are called in reports, in the order in which these name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
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
    pub(super) fn name(self) -> &'static str {
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
