//! Validators of single values and their evaluation: order and texts of entities.md §1.4.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::value::{is_uuid, shown};
use crate::{Condition, FieldDef, Kind, LuaPattern};

/// A rule about one value. Order of evaluation and texts: entities.md §1.4.
#[derive(Debug, Clone, PartialEq)]
pub enum Validator {
    /// Equal to the value (`Null` allowed).
    Eq(Value),
    /// Not equal to the value.
    Ne(Value),
    /// One of the values.
    OneOf(Vec<Value>),
    /// None of the values.
    NotOneOf(Vec<Value>),
    /// Strictly greater.
    Gt(f64),
    /// Within the closed interval.
    Between(f64, f64),
    /// Length in bytes (strings) or elements.
    LenEq(usize),
    /// Shortest length.
    LenMin(usize),
    /// Longest length.
    LenMax(usize),
    /// Prefix.
    StartsWith(String),
    /// Matches a pattern of the original's dialect (`%` escapes); the text is shown verbatim in `/schemas`.
    Match(LuaPattern),
    /// Does not match.
    NotMatch(LuaPattern),
    /// Each pattern must match; its own text on failure.
    MatchAll(Vec<Pattern>),
    /// No pattern may match; its own text on failure.
    MatchNone(Vec<Pattern>),
    /// At least one of the patterns must match.
    MatchAny {
        /// The patterns.
        patterns: Vec<LuaPattern>,
        /// Text on failure.
        err: Option<String>,
    },
    /// The list contains the value.
    Contains(Value),
    /// Compiles as a regular expression.
    IsRegex,
    /// Members of at most one of these sets.
    MutuallyExclusiveSubsets(Vec<Vec<String>>),
    /// A function with a name; two are equal when their names are.
    Custom(Custom),
}

/// A pattern with the text of its failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    /// Pattern in the original's dialect.
    pub pattern: LuaPattern,
    /// Text on failure; `None`: `invalid value: <v>`.
    pub err: Option<String>,
}

/// Function of a [`Custom`] validator: `Err` holds the field's error, text or nested.
pub type ValidateFn = dyn Fn(&Value) -> Result<(), Value> + Send + Sync;

/// A validator written in code.
#[derive(Clone)]
pub struct Custom {
    /// Identifies the function; equality of schemas compares it.
    pub name: String,
    /// The check.
    pub check: Arc<ValidateFn>,
}

impl Custom {
    /// A validator of that name.
    pub fn new(name: impl Into<String>, check: impl Fn(&Value) -> Result<(), Value> + Send + Sync + 'static) -> Self {
        Self {
            name: name.into(),
            check: Arc::new(check),
        }
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Custom({})", self.name)
    }
}

/// Position in the order of evaluation. `timestamp` and `uuid` are flags of the field but have their place in it.
const TIMESTAMP: u8 = 5;
const UUID: u8 = 6;
const LEN_MIN: u8 = 10;

impl Validator {
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Eq(_) => 0,
            Self::Ne(_) => 1,
            Self::NotOneOf(_) => 2,
            Self::OneOf(_) => 3,
            Self::Gt(_) => 4,
            Self::IsRegex => 7,
            Self::Between(..) => 8,
            Self::LenEq(_) => 9,
            Self::LenMin(_) => LEN_MIN,
            Self::LenMax(_) => 11,
            Self::StartsWith(_) => 12,
            Self::NotMatch(_) => 13,
            Self::MatchNone(_) => 14,
            Self::Match(_) => 15,
            Self::MatchAll(_) => 16,
            Self::MatchAny { .. } => 17,
            Self::Contains(_) => 18,
            Self::Custom(_) => 19,
            Self::MutuallyExclusiveSubsets(_) => 20,
        }
    }
}

/// One step of the evaluation.
#[derive(Clone, Copy)]
enum Step<'a> {
    Validator(&'a Validator),
    Timestamp,
    Uuid,
    /// Strings are not empty unless their field says so.
    NotEmpty,
}

impl Step<'_> {
    fn rank(self) -> u8 {
        match self {
            Step::Validator(validator) => validator.rank(),
            Step::Timestamp => TIMESTAMP,
            Step::Uuid => UUID,
            Step::NotEmpty => LEN_MIN,
        }
    }
}

/// Runs the validators on a value of the right type. Those of `condition` replace the field's of the same kind.
pub(crate) fn run(def: &FieldDef, condition: Option<&Condition>, value: &Value) -> Result<(), Value> {
    let over = condition.map_or(&[][..], |c| &c.validators);
    if def.validators.is_empty() && over.is_empty() && !def.timestamp && !def.uuid {
        // Most fields have no rule but this one.
        let is_empty_string = def.kind == Kind::String && value.as_str() == Some("");
        return if is_empty_string {
            Err(failure(def, EMPTY.into()))
        } else {
            Ok(())
        };
    }
    let own = def
        .validators
        .iter()
        .filter(|v| !over.iter().any(|o| o.rank() == v.rank()));
    let mut steps: Vec<Step<'_>> = own.chain(over).map(Step::Validator).collect();
    if def.timestamp {
        steps.push(Step::Timestamp);
    }
    if def.uuid {
        steps.push(Step::Uuid);
    }
    if def.kind == Kind::String && !steps.iter().any(|s| s.rank() == LEN_MIN) {
        steps.push(Step::NotEmpty);
    }
    steps.sort_by_key(|step| step.rank());
    for step in steps {
        let outcome = match step {
            Step::Validator(validator) => validator.check(value),
            Step::Timestamp if value.as_f64().is_some_and(|n| n <= 0.0) => Err("expected a valid timestamp".into()),
            Step::Uuid if value.as_str().is_some_and(|text| !is_uuid(text)) => Err("expected a valid UUID".into()),
            Step::NotEmpty if value.as_str() == Some("") => Err(EMPTY.into()),
            _ => Ok(()),
        };
        if let Err(error) = outcome {
            return Err(failure(def, error));
        }
    }
    Ok(())
}

const EMPTY: &str = "length must be at least 1";

/// A field may word all of its failures itself.
fn failure(def: &FieldDef, error: Value) -> Value {
    def.err.as_deref().map_or(error, Value::from)
}

fn len(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => 0,
    }
}

fn list(values: &[Value]) -> String {
    values.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// Numbers are equal by value: `5` and `5.0`.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

impl Validator {
    fn check(&self, value: &Value) -> Result<(), Value> {
        let fail = |failed: bool, text: &dyn Fn() -> String| if failed { Err(text().into()) } else { Ok(()) };
        let number = value.as_f64();
        let text = value.as_str();
        match self {
            Self::Eq(wanted) => fail(!same(value, wanted), &|| format!("value must be {}", shown(wanted))),
            Self::Ne(unwanted) => fail(same(value, unwanted), &|| {
                format!("value must not be {}", shown(unwanted))
            }),
            Self::NotOneOf(values) => fail(values.iter().any(|v| same(v, value)), &|| {
                format!("must not be one of: {}", list(values))
            }),
            Self::OneOf(values) => fail(!values.iter().any(|v| same(v, value)), &|| {
                format!("expected one of: {}", list(values))
            }),
            Self::Gt(bound) => fail(number.is_some_and(|n| n <= *bound), &|| {
                format!("value must be greater than {bound}")
            }),
            Self::Between(low, high) => fail(number.is_some_and(|n| n < *low || n > *high), &|| {
                // The original prints whole numbers.
                format!("value should be between {} and {}", low.trunc(), high.trunc())
            }),
            Self::IsRegex => fail(text.is_some_and(|t| crate::regex::compile(t).is_err()), &|| {
                format!("not a valid regex: {}", shown(value))
            }),
            Self::LenEq(n) => fail(len(value) != *n, &|| format!("length must be {n}")),
            Self::LenMin(n) => fail(len(value) < *n, &|| format!("length must be at least {n}")),
            Self::LenMax(n) => fail(len(value) > *n, &|| format!("length must be at most {n}")),
            Self::StartsWith(prefix) => fail(text.is_some_and(|t| !t.starts_with(prefix)), &|| {
                format!("should start with: {prefix}")
            }),
            Self::NotMatch(pattern) => fail(text.is_some_and(|t| pattern.matches(t)), &|| invalid(value)),
            Self::Match(pattern) => fail(text.is_some_and(|t| !pattern.matches(t)), &|| invalid(value)),
            Self::MatchNone(patterns) => {
                let hit = text.and_then(|t| patterns.iter().find(|p| p.pattern.matches(t)));
                hit.map_or(Ok(()), |p| Err(p.err.clone().unwrap_or_else(|| invalid(value)).into()))
            }
            Self::MatchAll(patterns) => {
                let miss = text.and_then(|t| patterns.iter().find(|p| !p.pattern.matches(t)));
                miss.map_or(Ok(()), |p| Err(p.err.clone().unwrap_or_else(|| invalid(value)).into()))
            }
            Self::MatchAny { patterns, err } => {
                fail(text.is_some_and(|t| !patterns.iter().any(|p| p.matches(t))), &|| {
                    err.clone().unwrap_or_else(|| invalid(value))
                })
            }
            Self::Contains(wanted) => {
                let present = value
                    .as_array()
                    .is_none_or(|items| items.iter().any(|v| same(v, wanted)));
                fail(!present, &|| format!("expected to contain: {}", shown(wanted)))
            }
            Self::Custom(custom) => (custom.check)(value),
            Self::MutuallyExclusiveSubsets(subsets) => exclusive(subsets, value),
        }
    }
}

fn invalid(value: &Value) -> String {
    format!("invalid value: {}", shown(value))
}

/// The sets are named in the order in which the value touches them.
fn exclusive(subsets: &[Vec<String>], value: &Value) -> Result<(), Value> {
    let mut touched: Vec<&Vec<String>> = Vec::new();
    for element in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let subset = subsets.iter().find(|s| s.iter().any(|member| member == element));
        if let Some(subset) = subset
            && !touched.contains(&subset)
        {
            touched.push(subset);
        }
    }
    if touched.len() < 2 {
        return Ok(());
    }
    let sets: Vec<String> = touched
        .iter()
        .map(|set| format!("({})", crate::entity_checks::quoted(set)))
        .collect();
    Err(format!("these sets are mutually exclusive: {}", sets.join(", ")).into())
}
