//! Checks across fields, and constructors for them, as they read in a schema:
//!
//! ```
//! use kong_schema::check::{at_least_one_of, when};
//!
//! let checks = vec![
//!     at_least_one_of(&["config.second", "config.minute"]),
//!     when("config.policy").eq("redis").then("config.redis.host").required(),
//!     when("config.tos").one_of(&["a"]).then("config.accepted").eq(true).err("terms must be accepted"),
//! ];
//! assert_eq!(checks.len(), 3);
//! ```

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::{FieldDef, LuaPattern, Object, Validator};

/// A check across fields (entities.md §1.5). Field names may be dotted paths (`config.redis.host`).
#[derive(Debug, Clone, PartialEq)]
pub enum EntityCheck {
    /// Not all empty.
    AtLeastOneOf(Vec<String>),
    /// Exactly one non-empty.
    OnlyOneOf(Vec<String>),
    /// No two non-empty equal.
    Distinct(Vec<String>),
    /// All or none.
    MutuallyRequired(Vec<String>),
    /// One or none.
    MutuallyExclusive(Vec<String>),
    /// Members of one set only.
    MutuallyExclusiveSets(Vec<String>, Vec<String>),
    /// *if_field* matches → *then_field* must match.
    Conditional(Box<Conditional>),
    /// *if_field* matches → not all of the others empty.
    ConditionalAtLeastOneOf(Box<ConditionalAtLeastOneOf>),
    /// A function with a name.
    Custom(CustomCheck),
}

/// See [`EntityCheck::Conditional`].
#[derive(Debug, Clone, PartialEq)]
pub struct Conditional {
    /// Field looked at.
    pub if_field: String,
    /// What it must match for the check to apply.
    pub if_match: Condition,
    /// Field that must match then.
    pub then_field: String,
    /// What it must match.
    pub then_match: Condition,
    /// Text that replaces `failed conditional validation given value of field '…'`.
    pub then_err: Option<String>,
}

/// See [`EntityCheck::ConditionalAtLeastOneOf`].
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionalAtLeastOneOf {
    /// Field looked at.
    pub if_field: String,
    /// What it must match for the check to apply.
    pub if_match: Condition,
    /// Fields of which one must be non-empty then.
    pub then_at_least_one_of: Vec<String>,
    /// Text of the failure, in which `%s` stands for the quoted fields.
    pub then_err: Option<String>,
}

/// Attributes laid over a field's own definition by a [`Conditional`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Condition {
    /// Null does not match.
    pub required: bool,
    /// Replaces the definition of the elements.
    pub elements: Option<Box<FieldDef>>,
    /// Replace the field's validators of the same kind.
    pub validators: Vec<Validator>,
}

/// Function of a [`CustomCheck`]: sees the whole entity; `Err` holds text for `@entity`, or a map of field errors.
pub type CheckFn = dyn Fn(&Object) -> Result<(), CheckError> + Send + Sync;

/// What a [`CustomCheck`] reports.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckError {
    /// Strings for `fields["@entity"]`.
    pub entity: Vec<String>,
    /// Errors of single fields.
    pub fields: Object,
}

/// An entity check written in code.
#[derive(Clone)]
pub struct CustomCheck {
    /// Identifies the function; equality of schemas compares it.
    pub name: String,
    /// Fields it reads, shown as `field_sources` in `/schemas`.
    pub field_sources: Vec<String>,
    /// Runs although some of its fields have errors.
    pub run_with_invalid_fields: bool,
    /// Runs although some of its fields are absent.
    pub run_with_missing_fields: bool,
    /// Not shown in the `/schemas` document.
    pub undocumented: bool,
    /// The check.
    pub check: Arc<CheckFn>,
}

impl PartialEq for CustomCheck {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.field_sources == other.field_sources
    }
}

impl fmt::Debug for CustomCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomCheck({}, {:?})", self.name, self.field_sources)
    }
}

fn names(fields: &[&str]) -> Vec<String> {
    fields.iter().map(|f| (*f).to_owned()).collect()
}

/// Not all empty.
pub fn at_least_one_of(fields: &[&str]) -> EntityCheck {
    EntityCheck::AtLeastOneOf(names(fields))
}

/// Exactly one non-empty.
pub fn only_one_of(fields: &[&str]) -> EntityCheck {
    EntityCheck::OnlyOneOf(names(fields))
}

/// No two non-empty equal.
pub fn distinct(fields: &[&str]) -> EntityCheck {
    EntityCheck::Distinct(names(fields))
}

/// All or none.
pub fn mutually_required(fields: &[&str]) -> EntityCheck {
    EntityCheck::MutuallyRequired(names(fields))
}

/// One or none.
pub fn mutually_exclusive(fields: &[&str]) -> EntityCheck {
    EntityCheck::MutuallyExclusive(names(fields))
}

/// Members of one set only.
pub fn mutually_exclusive_sets(one: &[&str], other: &[&str]) -> EntityCheck {
    EntityCheck::MutuallyExclusiveSets(names(one), names(other))
}

/// A function over the whole entity; it runs when none of the fields it reads has an error.
pub fn custom(
    name: &str,
    field_sources: &[&str],
    check: impl Fn(&Object) -> Result<(), CheckError> + Send + Sync + 'static,
) -> EntityCheck {
    EntityCheck::Custom(CustomCheck {
        name: name.to_owned(),
        field_sources: names(field_sources),
        run_with_invalid_fields: false,
        run_with_missing_fields: false,
        undocumented: false,
        check: Arc::new(check),
    })
}

impl CheckError {
    /// An error of the entity as a whole.
    pub fn entity(text: impl Into<String>) -> Self {
        Self {
            entity: vec![text.into()],
            fields: Object::new(),
        }
    }

    /// An error of one field.
    pub fn field(field: &str, error: impl Into<Value>) -> Self {
        let mut fields = Object::new();
        fields.insert(field.to_owned(), error.into());
        Self {
            entity: Vec::new(),
            fields,
        }
    }
}

/// Begins a conditional: when the field …
pub fn when(field: &str) -> When {
    When {
        field: field.to_owned(),
    }
}

/// See [`when`].
#[derive(Debug, Clone)]
pub struct When {
    field: String,
}

/// … matches this …
#[derive(Debug, Clone)]
pub struct If {
    field: String,
    condition: Condition,
}

/// … then that field …
#[derive(Debug, Clone)]
pub struct Then {
    if_field: String,
    if_match: Condition,
    then_field: String,
}

fn validated(validator: Validator) -> Condition {
    Condition {
        validators: vec![validator],
        ..Condition::default()
    }
}

fn list(values: &[&str]) -> Vec<Value> {
    values.iter().map(|v| (*v).into()).collect()
}

impl When {
    /// … satisfies the condition.
    pub fn matches(self, condition: Condition) -> If {
        If {
            field: self.field,
            condition,
        }
    }

    /// … equals the value.
    pub fn eq(self, value: impl Into<Value>) -> If {
        self.matches(validated(Validator::Eq(value.into())))
    }

    /// … is one of the values.
    pub fn one_of(self, values: &[&str]) -> If {
        self.matches(validated(Validator::OneOf(list(values))))
    }

    /// … is none of the values.
    pub fn not_one_of(self, values: &[&str]) -> If {
        self.matches(validated(Validator::NotOneOf(list(values))))
    }

    /// … is greater.
    pub fn gt(self, bound: f64) -> If {
        self.matches(validated(Validator::Gt(bound)))
    }

    /// … matches the pattern.
    pub fn pattern(self, pattern: &str) -> If {
        self.matches(validated(Validator::Match(LuaPattern::from(pattern))))
    }

    /// … matches one of the patterns.
    pub fn any_pattern(self, patterns: &[&str]) -> If {
        self.matches(validated(Validator::MatchAny {
            patterns: patterns.iter().map(|p| LuaPattern::from(*p)).collect(),
            err: None,
        }))
    }

    /// … has elements of this kind.
    pub fn elements(self, elements: FieldDef) -> If {
        self.matches(Condition {
            elements: Some(Box::new(elements)),
            ..Condition::default()
        })
    }
}

impl If {
    /// Then this field …
    pub fn then(self, field: &str) -> Then {
        Then {
            if_field: self.field,
            if_match: self.condition,
            then_field: field.to_owned(),
        }
    }
}

impl Then {
    /// … must satisfy the condition.
    pub fn matches(self, condition: Condition) -> EntityCheck {
        EntityCheck::Conditional(Box::new(Conditional {
            if_field: self.if_field,
            if_match: self.if_match,
            then_field: self.then_field,
            then_match: condition,
            then_err: None,
        }))
    }

    /// … must not be null.
    pub fn required(self) -> EntityCheck {
        self.matches(Condition {
            required: true,
            ..Condition::default()
        })
    }

    /// … must equal the value (`Value::Null` too).
    pub fn eq(self, value: impl Into<Value>) -> EntityCheck {
        self.matches(validated(Validator::Eq(value.into())))
    }

    /// … must be one of the values.
    pub fn one_of(self, values: &[&str]) -> EntityCheck {
        self.matches(validated(Validator::OneOf(list(values))))
    }

    /// … must contain the value.
    pub fn contains(self, value: impl Into<Value>) -> EntityCheck {
        self.matches(validated(Validator::Contains(value.into())))
    }

    /// … must have this length.
    pub fn len_eq(self, len: usize) -> EntityCheck {
        self.matches(validated(Validator::LenEq(len)))
    }
}

impl EntityCheck {
    /// Sets the text that a conditional reports for the entity.
    #[must_use]
    pub fn err(mut self, text: &str) -> Self {
        if let Self::Conditional(conditional) = &mut self {
            conditional.then_err = Some(text.to_owned());
        }
        self
    }

    /// Runs a custom check although some of its fields are absent.
    #[must_use]
    pub fn with_missing_fields(mut self) -> Self {
        if let Self::Custom(custom) = &mut self {
            custom.run_with_missing_fields = true;
        }
        self
    }

    /// Runs a custom check although some of its fields have errors.
    #[must_use]
    pub fn with_invalid_fields(mut self) -> Self {
        if let Self::Custom(custom) = &mut self {
            custom.run_with_invalid_fields = true;
        }
        self
    }

    /// Keeps a custom check out of the `/schemas` document.
    #[must_use]
    pub fn undocumented(mut self) -> Self {
        if let Self::Custom(custom) = &mut self {
            custom.undocumented = true;
        }
        self
    }
}
