//! Values of expressions.

use std::cell::OnceCell;

use kong_plugin::{Exchange, arguments, serializer};
use serde_json::{Map, Value};

use super::expression::{Expression, number};

/// What templates of one request see. Each table is made when it is first used and stays as it was then.
#[derive(Default)]
pub(super) struct Environment {
    headers: OnceCell<Value>,
    query_params: OnceCell<Value>,
    uri_captures: OnceCell<Value>,
    shared: OnceCell<Value>,
}

impl Environment {
    fn table(&self, name: &str, exchange: &Exchange) -> Option<&Value> {
        Some(match name {
            "headers" => self
                .headers
                .get_or_init(|| Value::Object(serializer::headers(exchange.headers()))),
            "query_params" => self
                .query_params
                .get_or_init(|| Value::Object(exchange.query.as_deref().map(arguments::to_object).unwrap_or_default())),
            "uri_captures" => self.uri_captures.get_or_init(|| {
                let captures = exchange
                    .captures
                    .iter()
                    .map(|(name, value)| (name.clone(), value.clone().into()));
                Value::Object(captures.collect())
            }),
            "shared" => self.shared.get_or_init(|| Value::Object(exchange.shared.clone())),
            _ => return None,
        })
    }

    /// Value of an expression; null is nil.
    pub(super) fn evaluate(&self, expression: &Expression, exchange: &Exchange) -> Result<Value, String> {
        match expression {
            Expression::Literal(value) => Ok(value.clone()),
            Expression::Name(name) => Ok(self.table(name, exchange).cloned().unwrap_or(Value::Null)),
            Expression::Index(base, index) => {
                let index = self.evaluate(index, exchange)?;
                if let Expression::Name(name) = &**base
                    && let Some(Value::Object(table)) = self.table(name, exchange)
                {
                    return Ok(member(table, &index, name == "headers"));
                }
                match self.evaluate(base, exchange)? {
                    Value::Object(table) => Ok(member(&table, &index, false)),
                    Value::Array(list) => {
                        // Lists count from 1.
                        let at = index.as_f64().filter(|n| *n >= 1.0).map(|n| n as usize - 1);
                        Ok(at.and_then(|at| list.get(at)).cloned().unwrap_or(Value::Null))
                    }
                    other => Err(format!("attempt to index a {} value", type_name(&other))),
                }
            }
            Expression::Call(function, arguments) => match (&**function, arguments.as_slice()) {
                (Expression::Name(name), [argument]) if name == "type" => {
                    Ok(type_name(&self.evaluate(argument, exchange)?).into())
                }
                (Expression::Name(name), []) if name == "type" => Err("bad argument #1 to 'type'".to_owned()),
                (function, _) => {
                    let value = self.evaluate(function, exchange)?;
                    Err(format!("attempt to call a {} value", type_name(&value)))
                }
            },
            Expression::Unary(operator, operand) => {
                let value = self.evaluate(operand, exchange)?;
                match (*operator, &value) {
                    ("not", value) => Ok((!is_true(value)).into()),
                    ("#", Value::String(text)) => Ok(text.len().into()),
                    ("#", Value::Array(list)) => Ok(list.len().into()),
                    ("#", Value::Object(_)) => Ok(0.into()),
                    ("#", value) => Err(format!("attempt to get length of a {} value", type_name(value))),
                    (_, value) => Ok((-arithmetic_operand(value)?).into()),
                }
            }
            Expression::Binary(operator, left, right) => self.binary(operator, left, right, exchange),
        }
    }

    fn binary(
        &self,
        operator: &str,
        left: &Expression,
        right: &Expression,
        exchange: &Exchange,
    ) -> Result<Value, String> {
        let a = self.evaluate(left, exchange)?;
        match operator {
            "and" if !is_true(&a) => return Ok(a),
            "or" if is_true(&a) => return Ok(a),
            "and" | "or" => return self.evaluate(right, exchange),
            _ => {}
        }
        let b = self.evaluate(right, exchange)?;
        Ok(match operator {
            "==" => equal(&a, &b).into(),
            "~=" => (!equal(&a, &b)).into(),
            ".." => {
                let part = |value: &Value| match value {
                    Value::String(_) | Value::Number(_) => Ok(to_text(value)),
                    other => Err(format!("attempt to concatenate a {} value", type_name(other))),
                };
                (part(&a)? + &part(&b)?).into()
            }
            "<" | ">" | "<=" | ">=" => compare(operator, &a, &b)?.into(),
            _ => {
                let (a, b) = (arithmetic_operand(&a)?, arithmetic_operand(&b)?);
                match operator {
                    "+" => a + b,
                    "-" => a - b,
                    "*" => a * b,
                    "/" => a / b,
                    "%" => a - (a / b).floor() * b,
                    _ => a.powf(b),
                }
                .into()
            }
        })
    }
}

fn member(table: &Map<String, Value>, index: &Value, is_headers: bool) -> Value {
    let name = to_text(index);
    if !is_headers {
        return table.get(&name).cloned().unwrap_or(Value::Null);
    }
    // Names of headers are case-insensitive, and `_` also stands for `-`.
    let name = name.to_ascii_lowercase();
    table
        .get(&name)
        .or_else(|| table.get(&name.replace('_', "-")))
        .cloned()
        .unwrap_or(Value::Null)
}

fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn compare(operator: &str, a: &Value, b: &Value) -> Result<bool, String> {
    let ordering = match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Number(_), Value::Number(_)) => a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
        _ => return Err(format!("attempt to compare {} with {}", type_name(a), type_name(b))),
    };
    Ok(ordering.is_some_and(|ordering| match operator {
        "<" => ordering.is_lt(),
        ">" => ordering.is_gt(),
        "<=" => ordering.is_le(),
        _ => ordering.is_ge(),
    }))
}

fn arithmetic_operand(value: &Value) -> Result<f64, String> {
    let found = match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => number(text),
        _ => None,
    };
    found.ok_or_else(|| format!("attempt to perform arithmetic on a {} value", type_name(value)))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) | Value::Object(_) => "table",
    }
}

/// `tostring(value or '')`.
pub(super) fn to_text(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::Bool(true) => "true".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(n) => match n.as_f64() {
            Some(n) if n.fract() == 0.0 && n.abs() < 1e15 => format!("{n:.0}"),
            Some(n) => n.to_string(),
            None => n.to_string(),
        },
        Value::Array(_) | Value::Object(_) => "table".to_owned(),
    }
}
