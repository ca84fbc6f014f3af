//! What only routes are checked for: hosts, the fields that must be set, the translation to an expression.

use std::fmt;
use std::sync::Arc;

use kong_schema::address::Address;
use kong_schema::{CheckError, EntityCheck, Object, check};
use serde_json::Value;

use crate::RouterFlavor;

/// Compiles an expression for a route of these protocols; the error is the engine's text.
pub type ExpressionCheck = dyn Fn(&str, &[&str]) -> Result<(), String> + Send + Sync;

/// The rules of a router flavor.
#[derive(Clone)]
pub(crate) struct RouteRules {
    pub(crate) flavor: RouterFlavor,
    pub(crate) expressions: Option<Arc<ExpressionCheck>>,
}

impl fmt::Debug for RouteRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteRules")
            .field("flavor", &self.flavor)
            .finish_non_exhaustive()
    }
}

/// Families of protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Http,
    Grpc,
    Stream,
}

impl Variant {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Stream => "tcp",
        }
    }
}

/// A host with at most one wildcard label, optional port.
pub(crate) fn check_host(value: &Value) -> Result<(), Value> {
    let text = value.as_str().unwrap_or_default();
    match Address::parse(&text.replace('*', "abc")) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string().into()),
    }
}

fn is_set(route: &Object, field: &str) -> bool {
    match route.get(field) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(members)) => !members.is_empty(),
        Some(_) => true,
    }
}

fn has_protocol(route: &Object, protocol: &str) -> bool {
    let protocols = route.get("protocols").and_then(Value::as_array);
    protocols.is_some_and(|protocols| protocols.iter().any(|p| p == protocol))
}

/// A route that matches everything is a mistake.
pub(crate) fn must_set_one(variant: Variant, flavor: RouterFlavor) -> EntityCheck {
    let fields = [
        "protocols",
        "methods",
        "hosts",
        "headers",
        "paths",
        "snis",
        "sources",
        "destinations",
        "expression",
    ];
    let check = check::custom(&format!("must_set_one_{}", variant.name()), &fields, move |route| {
        let (fields, text): (&[&str], String) = match variant {
            Variant::Http if has_protocol(route, "https") => {
                (&["methods", "hosts", "headers", "paths", "snis"], "'https'".into())
            }
            Variant::Http => (&["methods", "hosts", "headers", "paths"], "'http'".into()),
            Variant::Grpc if has_protocol(route, "grpcs") => (&["hosts", "headers", "paths", "snis"], "'grpcs'".into()),
            Variant::Grpc => (&["hosts", "headers", "paths"], "'grpc'".into()),
            Variant::Stream if has_protocol(route, "tls_passthrough") => (&["snis"], "'tls_passthrough'".into()),
            Variant::Stream => (&["sources", "destinations", "snis"], "'tcp', 'tls' or 'udp'".into()),
        };
        let expressions = flavor == RouterFlavor::Expressions;
        if fields.iter().any(|field| is_set(route, field)) || (expressions && is_set(route, "expression")) {
            return Ok(());
        }
        let mut names: Vec<String> = fields.iter().map(|field| format!("'{field}'")).collect();
        if expressions {
            names.push("'expression'".into());
        }
        let names = if fields == ["snis"] {
            "snis".into()
        } else {
            format!("one of {}", names.join(", "))
        };
        Err(CheckError::entity(format!(
            "must set {names} when 'protocols' is {text}"
        )))
    });
    check.with_missing_fields().with_invalid_fields().undocumented()
}

const FIELDS: [&str; 7] = [
    "methods",
    "hosts",
    "paths",
    "headers",
    "snis",
    "sources",
    "destinations",
];
const LISTED: &str = "'methods', 'hosts', 'paths', 'headers', 'snis', 'sources' or 'destinations'";

impl RouteRules {
    /// What the translation of a route to an expression, or the expression itself, fails on.
    pub(crate) fn check_expression(&self, route: &Object) -> Result<(), CheckError> {
        self.expression_error(route)
            .map_err(|text| CheckError::entity(format!("Router Expression failed validation: {text}")))
    }

    fn expression_error(&self, route: &Object) -> Result<(), String> {
        let not_zero = |field: &str| route.get(field).and_then(Value::as_f64).is_some_and(|n| n != 0.0);
        let has_fields = FIELDS.iter().any(|field| is_set(route, field));
        if let Some(expression) = route.get("expression").and_then(Value::as_str) {
            if has_fields {
                return Err(format!("cannot set 'expression' with {LISTED} simultaneously"));
            }
            if not_zero("regex_priority") {
                return Err("cannot set 'regex_priority' with 'expression' simultaneously".into());
            }
            let protocols: Vec<&str> = route
                .get("protocols")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            return self
                .expressions
                .as_ref()
                .map_or(Ok(()), |check| check(expression, &protocols));
        }
        if has_fields && not_zero("priority") {
            return Err(format!("cannot set 'priority' with {LISTED} simultaneously"));
        }
        let paths = route.get("paths").and_then(Value::as_array).into_iter().flatten();
        paths
            .filter_map(Value::as_str)
            .filter_map(|path| path.strip_prefix('~'))
            .try_for_each(check_linear)
    }
}

/// The expression engine's regular expressions run in linear time; they know neither look-around nor back-references.
fn check_linear(path: &str) -> Result<(), String> {
    let pattern = format!("^{}", path.replace("?<", "?P<"));
    // Only the syntax matters; to compile a program would cost far more.
    let Err(reason) = regex_syntax::Parser::new().parse(&pattern) else {
        return Ok(());
    };
    // The original shows the failing predicate of the expression that it made of the route.
    let literal = format!("r#\"{pattern}\"#");
    let source = format!("http.path ~ {literal}");
    let column = source.chars().count() - literal.chars().count() + 1;
    let carets = match literal.chars().count() {
        n if n > 2 => format!("^{}^", "-".repeat(n - 2)),
        n => "^".repeat(n),
    };
    let indent = " ".repeat(column - 1);
    Err(format!(
        " --> 1:{column}\n  |\n1 | {source}\n  | {indent}{carets}\n  |\n  = {reason}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_backtracking_is_no_expression() {
        let reason = |path: &str| check_linear(path).err().unwrap_or_default();
        assert_eq!(
            reason("/(?=a)"),
            " --> 1:13\n  |\n1 | http.path ~ r#\"^/(?=a)\"#\n  |             ^----------^\n  |\n  = regex parse error:\n    \
             ^/(?=a)\n      ^^^\nerror: look-around, including look-ahead and look-behind, is not supported"
        );
        assert!(reason("/(a)\\1").ends_with("backreferences are not supported"));
        assert_eq!(reason("/(?<id>\\d+)$"), "");
    }
}
