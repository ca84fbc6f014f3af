//! Evaluation of entity checks (entities.md §1.5).

use serde_json::Value;

use crate::validate::check_conditioned;
use crate::value::{at, is_empty, is_vault_reference, set_error};
use crate::{
    CheckError, Conditional, ConditionalAtLeastOneOf, CustomCheck, EntityCheck, Errors, FieldDef, Object, Operation,
};

const ABSENT: &str = "field required for entity check when updating";

/// What the checks of an entity or a record see.
pub(crate) struct View<'a> {
    pub(crate) entity: &'a Object,
    pub(crate) op: Operation,
    pub(crate) lookup: &'a dyn Fn(&str) -> Option<&'a FieldDef>,
}

impl View<'_> {
    fn value(&self, path: &str) -> Option<&Value> {
        at(self.entity, path)
    }

    fn is_set(&self, path: &str) -> bool {
        self.value(path).is_some_and(|v| !is_empty(v))
    }

    /// Whether a field holds a reference into a vault: what a check would say of it is not known.
    fn is_reference(&self, path: &str) -> bool {
        let text = self.value(path).and_then(Value::as_str);
        text.is_some_and(is_vault_reference) && (self.lookup)(path).is_some_and(|def| def.referenceable)
    }
}

/// `'a', 'b'`.
pub(crate) fn quoted(names: &[String]) -> String {
    names
        .iter()
        .map(|name| format!("'{name}'"))
        .collect::<Vec<_>>()
        .join(", ")
}

pub(crate) fn run(checks: &[EntityCheck], view: &View<'_>, errors: &mut Errors) {
    for check in checks {
        let text = match check {
            EntityCheck::AtLeastOneOf(names) => at_least_one_of(names, view),
            EntityCheck::Conditional(conditional) => run_conditional(conditional, view, errors),
            EntityCheck::ConditionalAtLeastOneOf(conditional) => conditional_at_least_one_of(conditional, view),
            EntityCheck::Custom(custom) => {
                run_custom(custom, view, errors);
                None
            }
            listed => run_listed(listed, view, errors),
        };
        if let Some(text) = text {
            add_entity_error(errors, text);
        }
    }
}

/// Appends to `fields["@entity"]`.
pub(crate) fn add_entity_error(errors: &mut Errors, text: String) {
    let list = errors.entry("@entity").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(texts) = list {
        texts.push(text.into());
    }
}

fn at_least_one_of(names: &[String], view: &View<'_>) -> Option<String> {
    if names.iter().any(|name| view.is_set(name)) || names.iter().any(|name| view.is_reference(name)) {
        return None;
    }
    let prefix = if view.op == Operation::Update {
        "when updating, "
    } else {
        ""
    };
    Some(format!(
        "{prefix}at least one of these fields must be non-empty: {}",
        quoted(names)
    ))
}

/// The checks that are nothing but a list of fields.
fn run_listed(check: &EntityCheck, view: &View<'_>, errors: &mut Errors) -> Option<String> {
    let (lists, with_invalid): (Vec<&Vec<String>>, bool) = match check {
        EntityCheck::OnlyOneOf(names) | EntityCheck::Distinct(names) => (vec![names], true),
        EntityCheck::MutuallyRequired(names) | EntityCheck::MutuallyExclusive(names) => (vec![names], false),
        EntityCheck::MutuallyExclusiveSets(one, other) => (vec![one, other], false),
        _ => return None,
    };
    let names = || lists.iter().copied().flatten();
    if names().any(|name| view.is_reference(name)) || (!with_invalid && names().any(|n| at(errors, n).is_some())) {
        return None;
    }
    let absent: Vec<&String> = names().filter(|name| view.value(name).is_none()).collect();
    if !absent.is_empty() {
        if absent.len() < names().count() {
            for name in absent {
                set_error(errors, name, ABSENT.into());
            }
        }
        return None;
    }
    let set = names().filter(|name| view.is_set(name)).count();
    match check {
        EntityCheck::OnlyOneOf(names) if set != 1 => Some(format!(
            "exactly one of these fields must be non-empty: {}",
            quoted(names)
        )),
        EntityCheck::Distinct(names) => {
            let values: Vec<&Value> = names
                .iter()
                .filter(|n| view.is_set(n))
                .filter_map(|name| view.value(name))
                .collect();
            let repeated = values.iter().enumerate().any(|(i, value)| values[..i].contains(value));
            repeated.then(|| format!("values of these fields must be distinct: {}", quoted(names)))
        }
        EntityCheck::MutuallyRequired(names) if set != 0 && set != names.len() => {
            Some(format!("all or none of these fields must be set: {}", quoted(names)))
        }
        EntityCheck::MutuallyExclusive(names) if set > 1 => Some(format!(
            "only one or none of these fields must be set: {}",
            quoted(names)
        )),
        EntityCheck::MutuallyExclusiveSets(one, other) => {
            let both = one.iter().any(|n| view.is_set(n)) && other.iter().any(|n| view.is_set(n));
            both.then(|| {
                format!(
                    "these sets are mutually exclusive: ({}), ({})",
                    quoted(one),
                    quoted(other)
                )
            })
        }
        _ => None,
    }
}

fn run_conditional(check: &Conditional, view: &View<'_>, errors: &mut Errors) -> Option<String> {
    if view.is_reference(&check.if_field) || view.is_reference(&check.then_field) {
        return None;
    }
    let if_value = view.value(&check.if_field)?;
    let if_def = (view.lookup)(&check.if_field)?;
    let then_def = (view.lookup)(&check.then_field)?;
    check_conditioned(if_def, Some(&check.if_match), if_value, view.op).ok()?;
    let then_value = view.value(&check.then_field).unwrap_or(&Value::Null);
    let error = check_conditioned(then_def, Some(&check.then_match), then_value, view.op).err()?;
    set_error(errors, &check.then_field, error);
    Some(match &check.then_err {
        Some(text) => text.clone(),
        None => format!(
            "failed conditional validation given value of field '{}'",
            check.if_field
        ),
    })
}

fn conditional_at_least_one_of(check: &ConditionalAtLeastOneOf, view: &View<'_>) -> Option<String> {
    let names = &check.then_at_least_one_of;
    if view.is_reference(&check.if_field) || names.iter().any(|name| view.is_reference(name)) {
        return None;
    }
    let if_value = view.value(&check.if_field)?;
    let if_def = (view.lookup)(&check.if_field)?;
    check_conditioned(if_def, Some(&check.if_match), if_value, view.op).ok()?;
    if names.iter().any(|name| view.is_set(name)) {
        return None;
    }
    let text = match &check.then_err {
        Some(text) => text.replace("%s", &quoted(names)),
        None => format!("at least one of these fields must be non-empty: {}", quoted(names)),
    };
    Some(text)
}

fn run_custom(check: &CustomCheck, view: &View<'_>, errors: &mut Errors) {
    let sources = &check.field_sources;
    if sources.iter().any(|name| view.is_reference(name))
        || (!check.run_with_invalid_fields && sources.iter().any(|name| at(errors, name).is_some()))
        || (!check.run_with_missing_fields && sources.iter().any(|name| view.value(name).is_none()))
    {
        return;
    }
    if let Err(CheckError { entity, fields }) = (check.check)(view.entity) {
        for text in entity {
            add_entity_error(errors, text);
        }
        for (name, error) in fields {
            set_error(errors, &name, error);
        }
    }
}
