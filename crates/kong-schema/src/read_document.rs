//! A schema from its document: the counterpart of [`Schema::document`].
//!
//! What a document says is what the schema does. Functions (custom validators, custom entity checks, what a shorthand
//! expands to) have no document: the place of a check is kept, and whoever knows the function puts it there, see
//! [`Schema::def_mut`].

use std::sync::Arc;

use serde_json::Value;

use crate::{
    Condition, Conditional, ConditionalAtLeastOneOf, CustomCheck, EntityCheck, Field, FieldDef, Foreign, Kind,
    LuaPattern, Object, OnDelete, Pattern, Record, Schema, Shorthand, Unique, Validator, shorthand,
};

/// A document that describes no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct DocumentError {
    /// Where in the document: `fields.config.fields.host`.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

type Outcome<T> = Result<T, DocumentError>;

/// The schema that a document of the form of `GET /schemas/plugins/{name}` describes.
///
/// # Errors
///
/// The first part of the document that cannot be understood. Attributes that are not known are kept and shown again.
///
/// ```
/// use kong_schema::{Operation, from_document};
/// use serde_json::json;
///
/// let schema = from_document("my-plugin", &json!({
///     "fields": [{"config": {"type": "record", "required": true, "fields": [
///         {"port": {"type": "integer", "between": [0, 65535], "default": 80}},
///     ]}}],
/// }))?;
/// let body = json!({"config": {"port": 70000}});
/// let body = body.as_object().ok_or("no object")?;
/// let row = schema.process(Operation::Insert, body, None, 0.0).map_err(|e| format!("{e:?}"))?;
/// let errors = schema.validate(&row, Operation::Insert, body).err().ok_or("accepted")?;
/// assert_eq!(errors["config"]["port"], "value should be between 0 and 65535");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_document(name: &str, document: &Value) -> Outcome<Schema> {
    let at = Place { parent: None, name };
    let document = object(document, &at)?;
    Ok(Schema {
        name: name.to_owned(),
        fields: fields(document.get("fields").unwrap_or(&Value::Null), &at.in_member("fields"))?,
        entity_checks: match document.get("entity_checks") {
            None => Vec::new(),
            Some(checks) => entity_checks(checks, &at.in_member("entity_checks"))?,
        },
        shorthands: match document.get("shorthand_fields") {
            None => Vec::new(),
            Some(fields) => shorthands(fields, &at.in_member("shorthand_fields"))?,
        },
        ..Schema::default()
    })
}

/// Where the reader is.
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    name: &'a str,
}

impl<'a> Place<'a> {
    fn in_member<'b>(&'b self, name: &'b str) -> Place<'b>
    where
        'a: 'b,
    {
        Place {
            parent: Some(self),
            name,
        }
    }

    fn path(&self) -> String {
        match self.parent {
            None => self.name.to_owned(),
            Some(parent) => format!("{}.{}", parent.path(), self.name),
        }
    }

    fn error(&self, reason: impl Into<String>) -> DocumentError {
        DocumentError {
            path: self.path(),
            reason: reason.into(),
        }
    }
}

fn object<'v>(value: &'v Value, at: &Place<'_>) -> Outcome<&'v Object> {
    value.as_object().ok_or_else(|| at.error("expected an object"))
}

fn list<'v>(value: &'v Value, at: &Place<'_>) -> Outcome<&'v [Value]> {
    match value {
        Value::Array(items) => Ok(items),
        // An empty table has no kind in the original.
        Value::Object(members) if members.is_empty() => Ok(&[]),
        _ => Err(at.error("expected an array")),
    }
}

fn text<'v>(value: &'v Value, at: &Place<'_>) -> Outcome<&'v str> {
    value.as_str().ok_or_else(|| at.error("expected a string"))
}

fn texts(value: &Value, at: &Place<'_>) -> Outcome<Vec<String>> {
    list(value, at)?
        .iter()
        .map(|item| text(item, at).map(str::to_owned))
        .collect()
}

fn boolean(value: &Value, at: &Place<'_>) -> Outcome<bool> {
    value.as_bool().ok_or_else(|| at.error("expected a boolean"))
}

fn number(value: &Value, at: &Place<'_>) -> Outcome<f64> {
    value.as_f64().ok_or_else(|| at.error("expected a number"))
}

fn length(value: &Value, at: &Place<'_>) -> Outcome<usize> {
    value
        .as_u64()
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| at.error("expected a length"))
}

fn pattern(value: &Value, at: &Place<'_>) -> Outcome<LuaPattern> {
    LuaPattern::new(text(value, at)?).map_err(|error| at.error(error.to_string()))
}

/// The only member of an object: `{"host": {…}}`.
fn single<'v>(item: &'v Value, at: &Place<'_>) -> Outcome<(&'v str, &'v Value)> {
    let mut members = object(item, at)?.iter();
    match (members.next(), members.next()) {
        (Some((name, value)), None) => Ok((name, value)),
        _ => Err(at.error("expected an object with one member")),
    }
}

fn fields(value: &Value, at: &Place<'_>) -> Outcome<Vec<Field>> {
    let field = |item| {
        let (name, def) = single(item, at)?;
        Ok(Field {
            name: name.to_owned(),
            def: definition(def, &at.in_member(name))?,
        })
    };
    list(value, at)?.iter().map(field).collect()
}

fn definition(value: &Value, at: &Place<'_>) -> Outcome<FieldDef> {
    let document = object(value, at)?;
    let mut def = FieldDef {
        kind: kind(document, at)?,
        ..FieldDef::default()
    };
    for (name, value) in document {
        let at = at.in_member(name);
        if value == &Value::Bool(false) && name != "required" && name != "default" && !is_validator(name) {
            // Says nothing, but was said.
            def.annotations.insert(name.clone(), value.clone());
            continue;
        }
        match name.as_str() {
            "required" => {
                def.required = boolean(value, &at)?;
                def.explicitly_optional = !def.required;
            }
            "default" => def.default = Some(value.clone()),
            "unique" if def.unique == Unique::No && boolean(value, &at)? => def.unique = Unique::Workspace,
            "unique_across_ws" => {
                boolean(value, &at)?;
                def.unique = Unique::Global;
            }
            "unique" => {}
            "auto" => def.auto = boolean(value, &at)?,
            "uuid" => def.uuid = boolean(value, &at)?,
            "timestamp" => def.timestamp = boolean(value, &at)?,
            "referenceable" => def.referenceable = boolean(value, &at)?,
            "encrypted" => def.encrypted = boolean(value, &at)?,
            "transient" => def.transient = boolean(value, &at)?,
            "immutable" => def.immutable = boolean(value, &at)?,
            "err" => def.err = Some(text(value, &at)?.to_owned()),
            "description" => def.description = Some(text(value, &at)?.to_owned()),
            _ if KIND_ATTRIBUTES.contains(&name.as_str()) => {}
            name => match validator(name, value, &at)? {
                Some(validator) => def.validators.push(validator),
                None => {
                    def.annotations.insert(name.to_owned(), value.clone());
                }
            },
        }
    }
    Ok(def)
}

/// Whether `false` may be what the attribute compares with.
fn is_validator(name: &str) -> bool {
    matches!(name, "eq" | "ne" | "contains")
}

/// Attributes that belong to the kind.
const KIND_ATTRIBUTES: [&str; 11] = [
    "type",
    "elements",
    "keys",
    "values",
    "fields",
    "entity_checks",
    "shorthand_fields",
    "reference",
    "on_delete",
    "json_schema",
    "abstract",
];

fn kind(document: &Object, at: &Place<'_>) -> Outcome<Kind> {
    let inner = |name: &str| -> Outcome<Box<FieldDef>> {
        match document.get(name) {
            Some(def) => definition(def, &at.in_member(name)).map(Box::new),
            None => Err(at.error(format!("{name} are missing"))),
        }
    };
    let member = |name: &str| document.get(name).unwrap_or(&Value::Null);
    Ok(match text(member("type"), &at.in_member("type"))? {
        "string" => Kind::String,
        "number" => Kind::Number,
        "integer" => Kind::Integer,
        "boolean" => Kind::Boolean,
        "array" => Kind::Array(inner("elements")?),
        "set" => Kind::Set(inner("elements")?),
        "map" => Kind::Map {
            keys: inner("keys")?,
            values: inner("values")?,
        },
        "record" if member("abstract") == &Value::Bool(true) => Kind::Abstract,
        "record" => Kind::Record(Box::new(Record {
            fields: fields(member("fields"), &at.in_member("fields"))?,
            entity_checks: match document.get("entity_checks") {
                None => Vec::new(),
                Some(checks) => entity_checks(checks, &at.in_member("entity_checks"))?,
            },
            shorthands: match document.get("shorthand_fields") {
                None => Vec::new(),
                Some(fields) => shorthands(fields, &at.in_member("shorthand_fields"))?,
            },
            checks: Vec::new(),
        })),
        "foreign" => Kind::Foreign(Foreign {
            reference: text(member("reference"), &at.in_member("reference"))?.to_owned(),
            on_delete: match document.get("on_delete").and_then(Value::as_str) {
                Some("cascade") => OnDelete::Cascade,
                Some("null") => OnDelete::Null,
                _ => OnDelete::Restrict,
            },
            target: None,
        }),
        "json" => Kind::Json(document.get("json_schema").cloned()),
        other => return Err(at.error(format!("unknown type '{other}'"))),
    })
}

/// The validator of an attribute; `None` if it is none.
fn validator(name: &str, value: &Value, at: &Place<'_>) -> Outcome<Option<Validator>> {
    Ok(Some(match name {
        "eq" => Validator::Eq(value.clone()),
        "ne" => Validator::Ne(value.clone()),
        "one_of" => Validator::OneOf(list(value, at)?.to_vec()),
        "not_one_of" => Validator::NotOneOf(list(value, at)?.to_vec()),
        "gt" => Validator::Gt(number(value, at)?),
        "between" => match list(value, at)? {
            [low, high] => Validator::Between(number(low, at)?, number(high, at)?),
            _ => return Err(at.error("expected two numbers")),
        },
        "len_eq" => Validator::LenEq(length(value, at)?),
        "len_min" => Validator::LenMin(length(value, at)?),
        "len_max" => Validator::LenMax(length(value, at)?),
        "starts_with" => Validator::StartsWith(text(value, at)?.to_owned()),
        "match" => Validator::Match(pattern(value, at)?),
        "not_match" => Validator::NotMatch(pattern(value, at)?),
        "match_all" => Validator::MatchAll(patterns(value, at)?),
        "match_none" => Validator::MatchNone(patterns(value, at)?),
        "match_any" => {
            let any = object(value, at)?;
            let listed = list(any.get("patterns").unwrap_or(&Value::Null), at)?;
            Validator::MatchAny {
                patterns: listed
                    .iter()
                    .map(|item| pattern(item, at))
                    .collect::<Outcome<Vec<_>>>()?,
                err: any.get("err").map(|err| text(err, at).map(str::to_owned)).transpose()?,
            }
        }
        "contains" => Validator::Contains(value.clone()),
        "is_regex" if boolean(value, at)? => Validator::IsRegex,
        "mutually_exclusive_subsets" => {
            let subsets = list(value, at)?.iter().map(|subset| texts(subset, at));
            Validator::MutuallyExclusiveSubsets(subsets.collect::<Outcome<_>>()?)
        }
        _ => return Ok(None),
    }))
}

fn patterns(value: &Value, at: &Place<'_>) -> Outcome<Vec<Pattern>> {
    let read = |item| {
        let members = object(item, at)?;
        Ok(Pattern {
            pattern: pattern(members.get("pattern").unwrap_or(&Value::Null), at)?,
            err: members
                .get("err")
                .map(|err| text(err, at).map(str::to_owned))
                .transpose()?,
        })
    };
    list(value, at)?.iter().map(read).collect()
}

fn condition(value: Option<&Value>, at: &Place<'_>) -> Outcome<Condition> {
    let mut condition = Condition::default();
    for (name, value) in object(value.unwrap_or(&Value::Null), at)? {
        let at = at.in_member(name);
        match name.as_str() {
            "required" => condition.required = boolean(value, &at)?,
            "elements" => condition.elements = Some(Box::new(definition(value, &at)?)),
            name => match validator(name, value, &at)? {
                Some(validator) => condition.validators.push(validator),
                None => return Err(at.error("unknown attribute of a condition")),
            },
        }
    }
    Ok(condition)
}

fn entity_checks(value: &Value, at: &Place<'_>) -> Outcome<Vec<EntityCheck>> {
    let check = |item| {
        let (name, value) = single(item, at)?;
        entity_check(name, value, &at.in_member(name))
    };
    list(value, at)?.iter().map(check).collect()
}

fn entity_check(name: &str, value: &Value, at: &Place<'_>) -> Outcome<EntityCheck> {
    let member = |name: &str| value.get(name).unwrap_or(&Value::Null);
    let optional_text = |name: &str| value.get(name).map(|err| text(err, at).map(str::to_owned)).transpose();
    Ok(match name {
        "at_least_one_of" => EntityCheck::AtLeastOneOf(texts(value, at)?),
        "only_one_of" => EntityCheck::OnlyOneOf(texts(value, at)?),
        "distinct" => EntityCheck::Distinct(texts(value, at)?),
        "mutually_required" => EntityCheck::MutuallyRequired(texts(value, at)?),
        "mutually_exclusive" => EntityCheck::MutuallyExclusive(texts(value, at)?),
        "mutually_exclusive_sets" => {
            EntityCheck::MutuallyExclusiveSets(texts(member("set1"), at)?, texts(member("set2"), at)?)
        }
        "conditional" => EntityCheck::Conditional(Box::new(Conditional {
            if_field: text(member("if_field"), at)?.to_owned(),
            if_match: condition(value.get("if_match"), &at.in_member("if_match"))?,
            then_field: text(member("then_field"), at)?.to_owned(),
            then_match: condition(value.get("then_match"), &at.in_member("then_match"))?,
            then_err: optional_text("then_err")?,
        })),
        "conditional_at_least_one_of" => EntityCheck::ConditionalAtLeastOneOf(Box::new(ConditionalAtLeastOneOf {
            if_field: text(member("if_field"), at)?.to_owned(),
            if_match: condition(value.get("if_match"), &at.in_member("if_match"))?,
            then_at_least_one_of: texts(member("then_at_least_one_of"), at)?,
            then_err: optional_text("then_err")?,
        })),
        "custom_entity_check" => {
            let flag = |name: &str| value.get(name).is_some_and(|flag| flag == &Value::Bool(true));
            EntityCheck::Custom(CustomCheck {
                name: String::new(),
                field_sources: texts(member("field_sources"), at)?,
                run_with_missing_fields: flag("run_with_missing_fields"),
                run_with_invalid_fields: flag("run_with_invalid_fields"),
                undocumented: false,
                check: Arc::new(|_| Ok(())),
            })
        }
        _ => return Err(at.error("unknown entity check")),
    })
}

fn shorthands(value: &Value, at: &Place<'_>) -> Outcome<Vec<Shorthand>> {
    let read = |item| {
        let (name, value) = single(item, at)?;
        let at = at.in_member(name);
        let mut def = definition(value, &at)?;
        let Some(deprecation) = def.annotations.remove("deprecation") else {
            return Ok(shorthand::plain(name, def, |_| Object::new()));
        };
        let replacement = deprecation.pointer("/replaced_with/0/path");
        let shorthand = match replacement {
            None => shorthand::plain(name, def, |_| Object::new()),
            Some(path) => {
                let path = texts(path, &at)?;
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                shorthand::renamed(name, def, &path, "")
            }
        };
        Ok(shorthand.deprecated(deprecation))
    };
    list(value, at)?.iter().map(read).collect()
}

impl Schema {
    /// The definition at a dotted path, to add what a document does not say: `config.redis.host`. `*` stands for the
    /// elements of a list or the values of a map, `@keys` for the keys of a map.
    pub fn def_mut(&mut self, path: &str) -> Option<&mut FieldDef> {
        let (first, rest) = path
            .split_once('.')
            .map_or((path, None), |(first, rest)| (first, Some(rest)));
        let field = self.fields.iter_mut().find(|field| field.name == first)?;
        inner_mut(&mut field.def, rest)
    }

    /// The record at a dotted path, see [`def_mut`](Self::def_mut).
    pub fn record_mut(&mut self, path: &str) -> Option<&mut Record> {
        match &mut self.def_mut(path)?.kind {
            Kind::Record(record) => Some(record),
            _ => None,
        }
    }
}

fn inner_mut<'d>(def: &'d mut FieldDef, path: Option<&str>) -> Option<&'d mut FieldDef> {
    let Some(path) = path else { return Some(def) };
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    let inner = match (&mut def.kind, first) {
        (Kind::Array(elements) | Kind::Set(elements), "*") => elements.as_mut(),
        (Kind::Map { values, .. }, "*") => values.as_mut(),
        (Kind::Map { keys, .. }, "@keys") => keys.as_mut(),
        (Kind::Record(record), name) => &mut record.fields.iter_mut().find(|field| field.name == name)?.def,
        _ => return None,
    };
    inner_mut(inner, rest)
}
