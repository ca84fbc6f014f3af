//! Values with `$(expression)` in them.

use kong_plugin::{Exchange, PluginError};

use super::evaluate::{Environment, to_text};
use super::expression::{Expression, parse};

/// A value, parsed once per instance.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Expression(Expression),
}

impl Template {
    /// Parses a value. A `$(` without its `)` is text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("$(") {
            let (before, from) = rest.split_at(at);
            let Some(len) = balanced(&from[1..]) else { break };
            plain.push_str(before);
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            let inner = &from[2..len];
            parts.push(Part::Expression(
                parse(inner).map_err(|error| format!("[string \"TMP\"]:1: {error}"))?,
            ));
            rest = &from[1 + len..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template {
            text: text.to_owned(),
            parts,
        })
    }

    /// The value for this request.
    pub(super) fn render(&self, environment: &Environment, exchange: &Exchange) -> Result<String, PluginError> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Expression(expression) => match environment.evaluate(expression, exchange) {
                    Ok(value) => out.push_str(&to_text(&value)),
                    Err(error) => {
                        let text = &self.text;
                        return Err(PluginError(format!(
                            "failed to render the template {text}, error:{error}"
                        )));
                    }
                },
            }
        }
        Ok(out)
    }
}

/// Length of the text from its `(` to the `)` that closes it, both included.
fn balanced(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kong_plugin::testing::TestNode;
    use serde_json::json;

    fn render(text: &str) -> Result<String, String> {
        let node = TestNode::new(Vec::new());
        let mut exchange =
            node.exchange("GET /?n=4&a=1&a=2&b HTTP/1.1\r\nHost: h.test\r\nX-One: 1\r\nx-two: 2\r\nX-Two: 3\r\n\r\n");
        exchange.captures = [("0", "whole"), ("1", "one"), ("name", "nina")]
            .map(|(n, v)| (n.into(), v.into()))
            .into();
        exchange.shared.insert("k".into(), json!({"deep": "v"}));
        Template::parse(text)?
            .render(&Environment::default(), &exchange)
            .map_err(|error| error.0)
    }

    #[test]
    fn expressions_are_lua() {
        for (text, expected) in [
            ("plain #1 $5 and $x 100%", "plain #1 $5 and $x 100%"),
            ("$((", "$(("),
            ("$(headers.host)|$(headers['X-One'])|$(headers.x_one)", "h.test|1|1"),
            ("$(headers['x-two'][2])", "3"),
            ("$(headers.nope)$(query_params.nope or 'none')", "none"),
            (
                "$(uri_captures[1])-$(uri_captures.name)-$(uri_captures[0])",
                "one-nina-whole",
            ),
            ("$(shared.k.deep)", "v"),
            ("$(query_params.n * 2 + 1)", "9"),
            ("$(query_params.n .. '!')", "4!"),
            ("$(query_params.n == '4' and 'four' or 'else')", "four"),
            ("$(query_params.n == 4)x", "x"),
            ("$(#query_params.n)", "1"),
            (
                "$(type(query_params.n)) $(type(query_params.b)) $(type(query_params.c))",
                "string boolean nil",
            ),
            ("$(query_params.a[2])", "2"),
            ("$('$(literal)')", "$(literal)"),
            (
                "$(2 ^ 3 ^ 2) $(-2 ^ 2) $(7 % 3) $(1 / 2) $((1 + 2) * 3)",
                "512 -4 1 0.5 9",
            ),
            ("$(not nil and 1 < 2 and 'a' <= 'b' and 1 ~= 2)", "true"),
            ("$(1 .. 2 .. 3)", "123"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_name_the_template() {
        for (text, error) in [
            ("$(headers.nope.more)", "attempt to index a nil value"),
            (
                "$(query_params.b + 1)",
                "attempt to perform arithmetic on a boolean value",
            ),
            ("$(headers.host + 1)", "attempt to perform arithmetic on a string value"),
            ("$(string.upper('x'))", "attempt to index a nil value"),
            ("$(foo())", "attempt to call a nil value"),
            ("$(headers .. 'x')", "attempt to concatenate a table value"),
        ] {
            assert_eq!(
                render(text),
                Err(format!("failed to render the template {text}, error:{error}"))
            );
        }
        for (text, error) in [
            ("$(a b)", "')' expected near 'b'"),
            ("$(a = 1)", "')' expected near '='"),
            ("$()", "unexpected symbol near '<eof>'"),
        ] {
            assert_eq!(render(text), Err(format!("[string \"TMP\"]:1: {error}")), "{text}");
        }
        assert!(render(&format!("$({}1{})", "(".repeat(5000), ")".repeat(5000))).is_err());
    }
}
