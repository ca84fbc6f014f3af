//! The documents of `GET /schemas/…` (admin-api.md §8.4).

use serde_json::{Number, Value, json};

use crate::value::normalised;
use crate::{
    Condition, EntityCheck, Field, FieldDef, Foreign, Kind, Object, OnDelete, Pattern, Schema, Shorthand, Unique,
    Validator,
};

impl Schema {
    /// The document of `GET /schemas/{entity}`, or of a plugin or vault for a sub-schema.
    pub fn document(&self) -> Value {
        json!({
            "fields": fields(&self.fields),
            "entity_checks": checks(&self.entity_checks),
        })
    }
}

fn single(name: &str, value: Value) -> Value {
    let mut object = Object::new();
    object.insert(name.to_owned(), value);
    Value::Object(object)
}

fn fields(fields: &[Field]) -> Value {
    fields
        .iter()
        .map(|field| single(&field.name, Value::Object(definition(&field.def))))
        .collect()
}

fn shorthands(shorthands: &[Shorthand]) -> Value {
    let document = |shorthand: &Shorthand| {
        let mut def = definition(&shorthand.def);
        if let Some(deprecation) = &shorthand.deprecation {
            def.insert("deprecation".into(), deprecation.clone());
        }
        single(&shorthand.name, Value::Object(def))
    };
    shorthands.iter().map(document).collect()
}

fn number(float: f64) -> Value {
    Number::from_f64(float).map_or_else(|| float.to_string().into(), |n| normalised(&n).unwrap_or(n).into())
}

fn definition(def: &FieldDef) -> Object {
    let mut out = Object::new();
    kind(&def.kind, &mut out);
    let mut set = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    if def.required {
        set("required", true.into());
    } else if def.explicitly_optional {
        set("required", false.into());
    }
    if let Some(default) = &def.default {
        set("default", default.clone());
    }
    if def.unique != Unique::No {
        set("unique", true.into());
    }
    for (name, flag) in [
        ("unique_across_ws", def.unique == Unique::Global),
        ("auto", def.auto),
        ("uuid", def.uuid),
        ("timestamp", def.timestamp),
        ("referenceable", def.referenceable),
        ("encrypted", def.encrypted),
        ("transient", def.transient),
        ("immutable", def.immutable),
    ] {
        if flag {
            set(name, true.into());
        }
    }
    if let Some(err) = &def.err {
        set("err", err.as_str().into());
    }
    if let Some(description) = &def.description {
        set("description", description.as_str().into());
    }
    validators(&def.validators, &mut out);
    out.extend(def.annotations.clone());
    out
}

fn kind(kind: &Kind, out: &mut Object) {
    let name = match kind {
        Kind::String => "string",
        Kind::Number => "number",
        Kind::Integer => "integer",
        Kind::Boolean => "boolean",
        Kind::Array(_) => "array",
        Kind::Set(_) => "set",
        Kind::Map { .. } => "map",
        Kind::Record(_) | Kind::Abstract => "record",
        Kind::Foreign(_) => "foreign",
        Kind::Json(_) => "json",
    };
    out.insert("type".into(), name.into());
    match kind {
        Kind::Array(elements) | Kind::Set(elements) => {
            out.insert("elements".into(), Value::Object(definition(elements)));
        }
        Kind::Map { keys, values } => {
            out.insert("keys".into(), Value::Object(definition(keys)));
            out.insert("values".into(), Value::Object(definition(values)));
        }
        Kind::Record(record) => {
            out.insert("fields".into(), fields(&record.fields));
            if !record.entity_checks.is_empty() {
                out.insert("entity_checks".into(), checks(&record.entity_checks));
            }
            if !record.shorthands.is_empty() {
                out.insert("shorthand_fields".into(), shorthands(&record.shorthands));
            }
        }
        Kind::Foreign(Foreign {
            reference, on_delete, ..
        }) => {
            out.insert("reference".into(), reference.as_str().into());
            let action = match on_delete {
                OnDelete::Restrict => None,
                OnDelete::Cascade => Some("cascade"),
                OnDelete::Null => Some("null"),
            };
            if let Some(action) = action {
                out.insert("on_delete".into(), action.into());
            }
        }
        Kind::Json(Some(schema)) => {
            out.insert("json_schema".into(), schema.clone());
        }
        Kind::Abstract => {
            out.insert("abstract".into(), true.into());
        }
        _ => {}
    }
}

fn patterns(patterns: &[Pattern]) -> Value {
    let document = |pattern: &Pattern| {
        let mut out = Object::new();
        out.insert("pattern".into(), pattern.pattern.as_str().into());
        if let Some(err) = &pattern.err {
            out.insert("err".into(), err.as_str().into());
        }
        Value::Object(out)
    };
    patterns.iter().map(document).collect()
}

fn validators(validators: &[Validator], out: &mut Object) {
    for validator in validators {
        let (name, value) = match validator {
            Validator::Eq(value) => ("eq", value.clone()),
            Validator::Ne(value) => ("ne", value.clone()),
            Validator::OneOf(values) => ("one_of", values.clone().into()),
            Validator::NotOneOf(values) => ("not_one_of", values.clone().into()),
            Validator::Gt(bound) => ("gt", number(*bound)),
            Validator::Between(low, high) => ("between", vec![number(*low), number(*high)].into()),
            Validator::LenEq(n) => ("len_eq", (*n).into()),
            Validator::LenMin(n) => ("len_min", (*n).into()),
            Validator::LenMax(n) => ("len_max", (*n).into()),
            Validator::StartsWith(prefix) => ("starts_with", prefix.as_str().into()),
            Validator::Match(pattern) => ("match", pattern.as_str().into()),
            Validator::NotMatch(pattern) => ("not_match", pattern.as_str().into()),
            Validator::MatchAll(all) => ("match_all", patterns(all)),
            Validator::MatchNone(none) => ("match_none", patterns(none)),
            Validator::MatchAny { patterns, err } => {
                let texts: Vec<&str> = patterns.iter().map(|p| p.as_str()).collect();
                let mut any = Object::new();
                any.insert("patterns".into(), texts.into());
                if let Some(err) = err {
                    any.insert("err".into(), err.as_str().into());
                }
                ("match_any", Value::Object(any))
            }
            Validator::Contains(value) => ("contains", value.clone()),
            Validator::IsRegex => ("is_regex", true.into()),
            Validator::MutuallyExclusiveSubsets(subsets) => ("mutually_exclusive_subsets", subsets.clone().into()),
            // Functions have no document.
            Validator::Custom(_) => continue,
        };
        out.insert(name.to_owned(), value);
    }
}

fn condition(condition: &Condition) -> Value {
    let mut out = Object::new();
    if condition.required {
        out.insert("required".into(), true.into());
    }
    if let Some(elements) = &condition.elements {
        out.insert("elements".into(), Value::Object(definition(elements)));
    }
    validators(&condition.validators, &mut out);
    Value::Object(out)
}

fn checks(checks: &[EntityCheck]) -> Value {
    checks.iter().filter_map(check).collect()
}

fn check(check: &EntityCheck) -> Option<Value> {
    Some(match check {
        EntityCheck::AtLeastOneOf(names) => single("at_least_one_of", names.clone().into()),
        EntityCheck::OnlyOneOf(names) => single("only_one_of", names.clone().into()),
        EntityCheck::Distinct(names) => single("distinct", names.clone().into()),
        EntityCheck::MutuallyRequired(names) => single("mutually_required", names.clone().into()),
        EntityCheck::MutuallyExclusive(names) => single("mutually_exclusive", names.clone().into()),
        EntityCheck::MutuallyExclusiveSets(one, other) => {
            single("mutually_exclusive_sets", json!({"set1": one, "set2": other}))
        }
        EntityCheck::Conditional(conditional) => {
            let mut out = json!({
                "if_field": conditional.if_field,
                "if_match": condition(&conditional.if_match),
                "then_field": conditional.then_field,
                "then_match": condition(&conditional.then_match),
            });
            if let Some(err) = &conditional.then_err {
                out["then_err"] = err.as_str().into();
            }
            single("conditional", out)
        }
        EntityCheck::ConditionalAtLeastOneOf(conditional) => {
            let mut out = json!({
                "if_field": conditional.if_field,
                "if_match": condition(&conditional.if_match),
                "then_at_least_one_of": conditional.then_at_least_one_of,
            });
            if let Some(err) = &conditional.then_err {
                out["then_err"] = err.as_str().into();
            }
            single("conditional_at_least_one_of", out)
        }
        EntityCheck::Custom(custom) if custom.undocumented => return None,
        EntityCheck::Custom(custom) => {
            let mut out = json!({"field_sources": custom.field_sources});
            if custom.run_with_missing_fields {
                out["run_with_missing_fields"] = true.into();
            }
            if custom.run_with_invalid_fields {
                out["run_with_invalid_fields"] = true.into();
            }
            single("custom_entity_check", out)
        }
    })
}
