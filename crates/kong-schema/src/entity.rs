//! From Rust types to schemas: the traits that the derives implement.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::{FieldDef, Kind, Object, Record, Schema};

/// A struct that is an entity. Implemented by `#[derive(Entity)]`.
pub trait Entity {
    /// Its schema, built once.
    fn schema() -> Arc<Schema>;
}

/// A struct that is a record: a plugin's `config`, or an object inside one. Implemented by `#[derive(Record)]`.
pub trait AsRecord {
    /// Its members and checks.
    fn record() -> Record;
}

/// A Rust type that can stand in a declared struct.
pub trait FieldType {
    /// Definition of a field of this type, before the attributes of the field.
    fn def() -> FieldDef;
}

/// Implements [`FieldType`] for a record: required, as records are unless declared otherwise.
pub fn record_def<T: AsRecord>() -> FieldDef {
    FieldDef {
        kind: Kind::Record(Box::new(T::record())),
        required: true,
        ..FieldDef::default()
    }
}

fn of(kind: Kind) -> FieldDef {
    FieldDef {
        kind,
        ..FieldDef::default()
    }
}

macro_rules! field_types {
    ($($kind:expr => $($ty:ty),+;)+) => {
        $($(impl FieldType for $ty {
            fn def() -> FieldDef {
                of($kind)
            }
        })+)+
    };
}

field_types! {
    Kind::String => String, Arc<str>, Box<str>;
    Kind::Boolean => bool;
    Kind::Integer => i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
    Kind::Number => f32, f64;
    Kind::Abstract => Value, Object;
}

impl FieldType for Uuid {
    fn def() -> FieldDef {
        FieldDef {
            uuid: true,
            ..FieldDef::default()
        }
    }
}

impl<T: FieldType> FieldType for Option<T> {
    fn def() -> FieldDef {
        T::def()
    }
}

impl<T: FieldType> FieldType for Box<T> {
    fn def() -> FieldDef {
        T::def()
    }
}

/// Elements, keys and values are always required, so their definitions do not say so.
fn inner<T: FieldType>() -> Box<FieldDef> {
    Box::new(FieldDef {
        required: false,
        ..T::def()
    })
}

impl<T: FieldType> FieldType for Vec<T> {
    fn def() -> FieldDef {
        of(Kind::Array(inner::<T>()))
    }
}

impl<K: FieldType, V: FieldType> FieldType for BTreeMap<K, V> {
    fn def() -> FieldDef {
        of(Kind::Map {
            keys: inner::<K>(),
            values: inner::<V>(),
        })
    }
}

impl<K: FieldType, V: FieldType, S> FieldType for HashMap<K, V, S> {
    fn def() -> FieldDef {
        of(Kind::Map {
            keys: inner::<K>(),
            values: inner::<V>(),
        })
    }
}

/// An enum whose variants are strings. Implemented by `#[derive(Choice)]`.
pub trait Choices {
    /// Names of the variants, in order.
    const CHOICES: &'static [&'static str];
}

/// What the code that the derives generate calls.
#[doc(hidden)]
pub mod derive {
    use super::{FieldDef, Kind};
    use crate::{OnDelete, Validator};

    pub fn make_set(def: &mut FieldDef) {
        if let Kind::Array(elements) = std::mem::take(&mut def.kind) {
            def.kind = Kind::Set(elements);
        }
    }

    pub fn set_on_delete(def: &mut FieldDef, on_delete: OnDelete) {
        if let Kind::Foreign(foreign) = &mut def.kind {
            foreign.on_delete = on_delete;
        }
    }

    pub fn set_match_any_err(def: &mut FieldDef, text: &str) {
        if let Some(Validator::MatchAny { err, .. }) = def.validators.last_mut() {
            *err = Some(text.into());
        }
    }

    pub fn elements(def: &mut FieldDef) -> &mut FieldDef {
        if !matches!(def.kind, Kind::Array(_) | Kind::Set(_)) {
            def.kind = Kind::Array(Box::default());
        }
        match &mut def.kind {
            Kind::Array(elements) | Kind::Set(elements) => elements,
            _ => unreachable!("made an array above"),
        }
    }

    pub fn keys(def: &mut FieldDef) -> &mut FieldDef {
        map(def).0
    }

    pub fn values(def: &mut FieldDef) -> &mut FieldDef {
        map(def).1
    }

    fn map(def: &mut FieldDef) -> (&mut FieldDef, &mut FieldDef) {
        if !matches!(def.kind, Kind::Map { .. }) {
            def.kind = Kind::Map {
                keys: Box::default(),
                values: Box::default(),
            };
        }
        match &mut def.kind {
            Kind::Map { keys, values } => (keys, values),
            _ => unreachable!("made a map above"),
        }
    }
}
