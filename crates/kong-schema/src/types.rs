//! Reusable field types (entities.md §3). Each is a function that returns a fresh definition; the derives name them
//! (`#[kong(kind = "host")]`).

use crate::{FieldDef, Validator};

/// A string that is one of the choices.
pub fn one_of(choices: &[&str]) -> FieldDef {
    FieldDef {
        validators: vec![Validator::OneOf(choices.iter().map(|c| (*c).into()).collect())],
        ..FieldDef::default()
    }
}
