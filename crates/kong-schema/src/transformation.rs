//! Write-time derivations (entities.md §1.9).

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::entity_checks::{add_entity_error, quoted};
use crate::value::{at, is_empty};
use crate::{Errors, Object, Operation, Schema, TransformError};

/// Function of a [`Transformation`]: the whole entity → members to set.
pub type TransformFn = dyn Fn(&Object) -> Result<Object, String> + Send + Sync;

/// A write-time derivation, e.g. hashing a password (entities.md §1.9).
#[derive(Clone)]
pub struct Transformation {
    /// Identifies the function.
    pub name: String,
    /// Members of the submitted body that trigger it.
    pub input: Vec<String>,
    /// Members of the merged entity it also needs (dotted paths).
    pub needs: Vec<String>,
    /// Computes the members to store.
    pub apply: Arc<TransformFn>,
}

impl PartialEq for Transformation {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.input == other.input && self.needs == other.needs
    }
}

impl fmt::Debug for Transformation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transformation({})", self.name)
    }
}

fn is_set(object: &Object, path: &str) -> bool {
    at(object, path).is_some_and(|v| !is_empty(v))
}

/// An input without what it needs, or the other way round, would leave a derived value that fits neither.
///
/// On an update the body itself must hold all of them: a hash of an old value cannot be told from a new value.
pub(crate) fn check(
    transformation: &Transformation,
    entity: &Object,
    op: Operation,
    input: &Object,
    stored: Option<&Object>,
    errors: &mut Errors,
) {
    let given = transformation.input.iter().any(|name| is_set(input, name));
    let changed = |stored: &Object| {
        transformation
            .needs
            .iter()
            .any(|name| at(entity, name).unwrap_or(&Value::Null) != at(stored, name).unwrap_or(&Value::Null))
    };
    let triggered = given || (op == Operation::Update && stored.is_some_and(changed));
    if !triggered {
        return;
    }
    let source = if op == Operation::Update { input } else { entity };
    let names: Vec<String> = transformation
        .input
        .iter()
        .chain(&transformation.needs)
        .cloned()
        .collect();
    let set = names.iter().filter(|name| is_set(source, name)).count();
    if set != 0 && set != names.len() {
        add_entity_error(
            errors,
            format!("all or none of these fields must be set: {}", quoted(&names)),
        );
    }
}

impl Schema {
    /// Applies the write-time derivations (hashes) to a valid entity, and gives members that an update left absent
    /// their defaults.
    ///
    /// # Errors
    ///
    /// A derivation failed: code 15.
    pub fn transform(&self, entity: &mut Object, input: &Object, op: Operation) -> Result<(), TransformError> {
        let variant = self
            .polymorphic
            .as_ref()
            .and_then(|p| p.choose(entity.get(&p.key)?))
            .cloned();
        if op == Operation::Update {
            self.complete(entity, variant.as_deref());
        }
        let all = self
            .transformations
            .iter()
            .chain(variant.iter().flat_map(|v| &v.transformations));
        for transformation in all {
            let given = match op {
                // A default or an automatic value is transformed too: a generated secret is hashed.
                Operation::Insert | Operation::Upsert => &*entity,
                Operation::Update => input,
            };
            if !transformation.input.iter().any(|name| is_set(given, name)) {
                continue;
            }
            let derived = (transformation.apply)(entity).map_err(|reason| TransformError {
                transformation: transformation.name.clone(),
                reason,
            })?;
            entity.extend(derived);
        }
        Ok(())
    }
}
