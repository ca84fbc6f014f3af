//! Validation of whole entities and of single values (entities.md §1.1–1.7).

use std::sync::Arc;

use serde_json::Value;

use crate::value::{is_uuid, is_vault_reference};
use crate::{Condition, Errors, FieldDef, Foreign, Kind, Object, Operation, Record, Schema, Validator};
use crate::{entity_checks, transformation, validator};

pub(crate) const REQUIRED: &str = "required field missing";
const UNKNOWN: &str = "unknown field";
const MISSING_PRIMARY_KEY: &str = "missing primary key";

impl Schema {
    /// Validates a processed entity: variant, fields, unknown members, entity checks.
    ///
    /// `input` is the body as it came. For [`Operation::Update`] call [`validate_update`](Self::validate_update),
    /// which also sees the stored row.
    ///
    /// # Errors
    ///
    /// What is wrong, for [`ErrorObject::schema_violation`](crate::errors::ErrorObject::schema_violation).
    pub fn validate(&self, entity: &Object, op: Operation, input: &Object) -> Result<(), Errors> {
        self.validate_all(entity, op, input, None)
    }

    /// Validates the result of a PATCH; `stored` tells which of the fields that a transformation needs have changed.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub fn validate_update(&self, entity: &Object, input: &Object, stored: &Object) -> Result<(), Errors> {
        self.validate_all(entity, Operation::Update, input, Some(stored))
    }

    fn validate_all(
        &self,
        entity: &Object,
        op: Operation,
        input: &Object,
        stored: Option<&Object>,
    ) -> Result<(), Errors> {
        let variant = match &self.polymorphic {
            Some(polymorphic) => Some(polymorphic.choose_strict(entity)?),
            None => None,
        };
        let mut errors = Errors::new();
        for field in &self.fields {
            let def = variant.and_then(|v| v.field(&field.name)).unwrap_or(&field.def);
            // A row that lacks a member keeps lacking it: only an update can see that.
            let outcome = match entity.get(&field.name) {
                Some(value) => check_value(def, value, op),
                None if def.required && op != Operation::Update => Err(REQUIRED.into()),
                None => Ok(()),
            };
            if let Err(error) = outcome {
                errors.insert(field.name.clone(), error);
            } else if def.immutable && stored.is_some_and(|s| s.get(&field.name) != entity.get(&field.name)) {
                errors.insert(field.name.clone(), "immutable field cannot be updated".into());
            }
        }
        for name in entity.keys() {
            let known = self.field(name).is_some() || (self.storage.ttl && name == "ttl");
            if !known {
                errors.insert(name.clone(), UNKNOWN.into());
            }
        }
        let view = entity_checks::View {
            entity,
            op,
            lookup: &|path| self.def_at(variant.map(Arc::as_ref), path),
        };
        entity_checks::run(&self.entity_checks, &view, &mut errors);
        if let Some(variant) = variant {
            entity_checks::run(&variant.entity_checks, &view, &mut errors);
        }
        let all = self
            .transformations
            .iter()
            .chain(variant.into_iter().flat_map(|v| &v.transformations));
        for transformation in all {
            transformation::check(transformation, entity, op, input, stored, &mut errors);
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Definition at a dotted path, the variant's before the base's.
    fn def_at<'a>(&'a self, variant: Option<&'a Schema>, path: &str) -> Option<&'a FieldDef> {
        let (first, rest) = path
            .split_once('.')
            .map_or((path, None), |(first, rest)| (first, Some(rest)));
        let def = variant.and_then(|v| v.field(first)).or_else(|| self.field(first))?;
        match rest {
            None => Some(def),
            Some(rest) => nested_def(def, rest),
        }
    }

    /// Validates a primary key as it stands in a path.
    ///
    /// # Errors
    ///
    /// For [`ErrorObject::invalid_primary_key`](crate::errors::ErrorObject::invalid_primary_key).
    pub fn validate_primary_key(&self, pk: &Object) -> Result<(), Errors> {
        let mut errors = Errors::new();
        for name in &self.storage.primary_key {
            let outcome = match (pk.get(name), self.field(name)) {
                (None | Some(Value::Null), _) => Err(MISSING_PRIMARY_KEY.into()),
                (Some(value), Some(def)) => check_value(def, value, Operation::Insert),
                (Some(_), None) => Ok(()),
            };
            if let Err(error) = outcome {
                errors.insert(name.clone(), error);
            }
        }
        for name in pk.keys().filter(|name| !self.storage.primary_key.contains(name)) {
            errors.insert(name.clone(), "not a primary key".into());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Validates a unique value as it stands in a path.
    ///
    /// # Errors
    ///
    /// For [`ErrorObject::invalid_unique`](crate::errors::ErrorObject::invalid_unique).
    pub fn validate_unique(&self, field: &str, value: &Value) -> Result<(), Value> {
        match self.field(field) {
            Some(_) if value.is_null() => Err(REQUIRED.into()),
            Some(def) => check_value(def, value, Operation::Insert),
            None => Err(UNKNOWN.into()),
        }
    }

    /// Validates the options of a write: `ttl` of entities that may expire.
    ///
    /// # Errors
    ///
    /// For [`ErrorObject::invalid_options`](crate::errors::ErrorObject::invalid_options).
    pub fn validate_ttl(&self, input: &Object) -> Result<(), Object> {
        let valid = match input.get("ttl") {
            _ if !self.storage.ttl => true,
            None | Some(Value::Null) => true,
            Some(ttl) => ttl
                .as_f64()
                .is_some_and(|n| n.fract() == 0.0 && (0.0..=100_000_000.0).contains(&n)),
        };
        if valid {
            return Ok(());
        }
        let mut options = Object::new();
        options.insert("ttl".into(), "must be an integer between 0 and 100000000".into());
        Err(options)
    }
}

fn nested_def<'a>(def: &'a FieldDef, path: &str) -> Option<&'a FieldDef> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    let inner = match &def.kind {
        Kind::Record(record) => record.fields.iter().find(|f| f.name == first).map(|f| &f.def)?,
        Kind::Map { values, .. } => values,
        _ => return None,
    };
    rest.map_or(Some(inner), |rest| nested_def(inner, rest))
}

/// Validates a value against its definition.
///
/// # Errors
///
/// The field's error: text or nested.
pub fn check_value(def: &FieldDef, value: &Value, op: Operation) -> Result<(), Value> {
    check_conditioned(def, None, value, op)
}

/// As [`check_value`] with the attributes of a condition laid over the definition.
pub(crate) fn check_conditioned(
    def: &FieldDef,
    condition: Option<&Condition>,
    value: &Value,
    op: Operation,
) -> Result<(), Value> {
    let over = condition.map_or(&[][..], |c| &c.validators);
    let replaced = |v: &Validator| over.iter().any(|o| o.rank() == v.rank());
    let active = || over.iter().chain(def.validators.iter().filter(|v| !replaced(v)));
    let err = |text: String| Value::from(def.err.clone().unwrap_or(text));
    if value.is_null() {
        for validator in active() {
            match validator {
                Validator::Ne(Value::Null) => return Err(err("value must not be null".into())),
                Validator::Eq(wanted) if !wanted.is_null() => {
                    return Err(err(format!("value must be {}", crate::value::shown(wanted))));
                }
                _ => {}
            }
        }
        let required = def.required || def.not_null || condition.is_some_and(|c| c.required);
        return if required { Err(REQUIRED.into()) } else { Ok(()) };
    }
    if active().any(|v| matches!(v, Validator::Eq(Value::Null))) {
        return Err(err("value must be null".into()));
    }
    let elements = condition.and_then(|c| c.elements.as_deref());
    check_type(def, elements, value, op)?;
    if def.referenceable && value.as_str().is_some_and(is_vault_reference) {
        return Ok(());
    }
    validator::run(def, condition, value)
}

fn check_type(def: &FieldDef, elements: Option<&FieldDef>, value: &Value, op: Operation) -> Result<(), Value> {
    let expect = |fits: bool, text: &str| if fits { Ok(()) } else { Err(Value::from(text)) };
    match &def.kind {
        Kind::String => expect(value.is_string(), "expected a string"),
        Kind::Number => expect(value.is_number(), "expected a number"),
        Kind::Integer => {
            let integral = value.as_f64().is_some_and(|n| n.is_finite() && n.fract() == 0.0);
            expect(integral, "expected an integer")
        }
        Kind::Boolean => expect(value.is_boolean(), "expected a boolean"),
        Kind::Array(own) => check_elements(elements.unwrap_or(own), value, "expected an array", op),
        Kind::Set(own) => check_elements(elements.unwrap_or(own), value, "expected a set", op),
        Kind::Map { keys, values } => check_map(keys, values, value, op),
        Kind::Record(record) => check_record(record, value, op),
        Kind::Foreign(foreign) => check_foreign(foreign, value),
        Kind::Json(_) | Kind::Abstract => Ok(()),
    }
}

/// Elements, keys and values are required whatever their definition says.
fn check_inner(def: &FieldDef, value: &Value, op: Operation) -> Result<(), Value> {
    if value.is_null() {
        Err(REQUIRED.into())
    } else {
        check_value(def, value, op)
    }
}

fn check_elements(def: &FieldDef, value: &Value, wrong_type: &str, op: Operation) -> Result<(), Value> {
    let items = match value {
        Value::Array(items) => items,
        // One kind of table stands for both in the original.
        Value::Object(members) if members.is_empty() => return Ok(()),
        _ => return Err(wrong_type.into()),
    };
    let mut errors = Vec::new();
    for (i, item) in items.iter().enumerate() {
        if let Err(error) = check_inner(def, item, op) {
            errors.resize(i, Value::Null);
            errors.push(error);
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Value::Array(errors))
    }
}

fn check_map(keys: &FieldDef, values: &FieldDef, value: &Value, op: Operation) -> Result<(), Value> {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                check_inner(keys, &Value::from(key.as_str()), op)?;
                check_inner(values, value, op)?;
            }
            Ok(())
        }
        Value::Array(items) => match items.first() {
            None => Ok(()),
            // Positions are keys, and those are numbers.
            Some(first) => {
                check_inner(keys, &Value::from(1), op)?;
                check_inner(values, first, op)
            }
        },
        _ => Err("expected a map".into()),
    }
}

fn check_record(record: &Record, value: &Value, op: Operation) -> Result<(), Value> {
    let empty = Object::new();
    let (members, items) = match value {
        Value::Object(members) => (members, &[][..]),
        Value::Array(items) => (&empty, items.as_slice()),
        _ => return Err("expected a record".into()),
    };
    let mut errors = Errors::new();
    for field in &record.fields {
        let outcome = match members.get(&field.name) {
            Some(value) => check_value(&field.def, value, op),
            // Only in updates: the default will be filled in before the row is stored.
            None if field.def.required && field.def.default.is_none() && !is_record(&field.def) => Err(REQUIRED.into()),
            None => Ok(()),
        };
        if let Err(error) = outcome {
            errors.insert(field.name.clone(), error);
        }
    }
    for name in members.keys() {
        if !record.fields.iter().any(|f| &f.name == name) {
            errors.insert(name.clone(), UNKNOWN.into());
        }
    }
    let view = entity_checks::View {
        entity: members,
        op,
        lookup: &|path| {
            let (first, rest) = path
                .split_once('.')
                .map_or((path, None), |(first, rest)| (first, Some(rest)));
            let def = record.fields.iter().find(|f| f.name == first).map(|f| &f.def)?;
            rest.map_or(Some(def), |rest| nested_def(def, rest))
        },
    };
    entity_checks::run(&record.entity_checks, &view, &mut errors);
    if !items.is_empty() {
        let positions = items.iter().map(|_| Value::from(UNKNOWN));
        if errors.is_empty() {
            return Err(Value::Array(positions.collect()));
        }
        errors.extend(positions.enumerate().map(|(i, error)| ((i + 1).to_string(), error)));
    }
    if !errors.is_empty() {
        return Err(Value::Object(errors));
    }
    record.checks.iter().try_for_each(|check| (check.check)(value))
}

fn is_record(def: &FieldDef) -> bool {
    matches!(def.kind, Kind::Record(_))
}

/// The key decides; other members only matter for the report when it is missing.
fn check_foreign(foreign: &Foreign, value: &Value) -> Result<(), Value> {
    let id = value.get("id");
    if id.and_then(Value::as_str).is_some_and(is_uuid) {
        return Ok(());
    }
    let mut errors = Errors::new();
    let target = foreign.target.as_deref();
    if let Some(polymorphic) = target.and_then(|t| t.polymorphic.as_ref()) {
        errors.insert(polymorphic.key.clone(), REQUIRED.into());
        return Err(Value::Object(errors));
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let outcome = match target.map(|t| t.field(name)) {
            Some(Some(def)) => check_value(def, value, Operation::Update),
            Some(None) => Err(UNKNOWN.into()),
            None if name == "id" && !value.is_null() => Err("expected a valid UUID".into()),
            None => Ok(()),
        };
        if let Err(error) = outcome {
            errors.insert(name.clone(), error);
        }
    }
    if errors.is_empty() {
        errors.insert("id".into(), MISSING_PRIMARY_KEY.into());
    }
    Err(Value::Object(errors))
}
