//! The language in which entities and plugin configurations are declared: types, defaults, constraints, checks,
//! form coercion, error report, `/schemas` document. Knows no particular entity and does no I/O.
//!
//! A [`Schema`] is a plain value. It is built at run time (a Lua plugin's `schema.lua`), or derived from the struct
//! that also carries the data: `#[derive(Entity)]` for entities, `#[derive(Record)]` for plugin configurations and
//! objects inside them, `#[derive(Choice)]` for enums of strings.
//!
//! # Example
//!
//! The configuration of a plugin, and what becomes of a request to create an instance:
//!
//! ```
//! use kong_schema::errors::ErrorObject;
//! use kong_schema::{ALL_PROTOCOLS, AsRecord, HTTP_PROTOCOLS, Operation, PluginScopes, Record, check, plugin_schema};
//! use serde::Deserialize;
//! use serde_json::{Value, json};
//!
//! #[derive(Deserialize, Record)]
//! struct Config {
//!     /// Where entries are sent.
//!     #[kong(kind = "host", required)]
//!     host: String,
//!     #[kong(kind = "port", required, default = 514)]
//!     port: u16,
//!     #[kong(one_of("info", "debug"), default = "info")]
//!     level: Option<String>,
//!     #[kong(referenceable)]
//!     token: Option<String>,
//!     /// Members are optional unless `required`; records are required unless `optional`.
//!     limits: Limits,
//! }
//!
//! #[derive(Deserialize, Record)]
//! struct Limits {
//!     #[kong(between(1, 100), default = 10)]
//!     entries: Option<u32>,
//! }
//!
//! let checks = vec![check::when("config.level").eq("debug").then("config.token").required()];
//! let schema = plugin_schema("my-log", Config::record(), PluginScopes::ALL, ALL_PROTOCOLS, HTTP_PROTOCOLS, checks);
//! let object = |value: Value| value.as_object().cloned().unwrap_or_default();
//!
//! let body = object(json!({"config": {"host": "logs.internal"}}));
//! let row = schema.process(Operation::Insert, &body, None, 1_700_000_000.0).map_err(ErrorObject::schema_violation)?;
//! schema.validate(&row, Operation::Insert, &body).map_err(ErrorObject::schema_violation)?;
//! let config: Config = serde_json::from_value(row["config"].clone())?;
//! assert_eq!((config.port, config.limits.entries), (514, Some(10)));
//!
//! let body = object(json!({"config": {"host": "logs.internal:1", "level": "debug"}}));
//! let row = schema.process(Operation::Insert, &body, None, 1_700_000_000.0).map_err(ErrorObject::schema_violation)?;
//! let errors = schema.validate(&row, Operation::Insert, &body).err().unwrap_or_default();
//! assert_eq!(
//!     ErrorObject::schema_violation(errors).message,
//!     "3 schema violations (failed conditional validation given value of field 'config.level'; \
//!      config.host: must not have a port; config.token: required field missing)"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Attributes
//!
//! On the struct, `#[kong(…)]`:
//!
//! | Attribute | Meaning |
//! |---|---|
//! | `name = "consumers"` | schema name (entities; required) |
//! | `table = "sm_vaults"` | table name where it differs |
//! | `primary_key("id")`, `cache_key("name", "route")` | fields of the keys; `primary_key` defaults to `id` |
//! | `cache_key_form = "Short"` | a variant of [`CacheKeyForm`] |
//! | `endpoint_key = "username"` | unique field that may stand in a URL |
//! | `global` | rows belong to no workspace (default: they belong to one) |
//! | `ttl`, `core_cache`, `hidden` | rows expire; lives in the core cache; has no endpoints |
//! | `collection = "key-auths"`, `nested = "key-auth"` | path segments |
//! | `checks = path()` | entity checks: an expression of type `Vec<EntityCheck>`, see [`check`] |
//! | `shorthands = path()` | write-only and deprecated aliases: `Vec<Shorthand>`, see [`shorthand`] |
//! | `transformations = path()` | entities only: `Vec<Transformation>` |
//! | `on_read = path()` | entities only: a `ReadHook` |
//! | `check = path` | records only, repeatable: `fn(&Value) -> Result<(), Value>` that sees the valid record; its error is the record's (`config: …`) |
//!
//! On a field, `#[kong(…)]`; the kind comes from the Rust type (`String`, integers, floats, `bool`, `Uuid`, `Vec<T>` = array,
//! `BTreeMap`/`HashMap` = map, another record, a `Choice`; `Option<T>` as `T`), the name from the field (`#[serde(rename)]` and `r#type` are
//! understood), the description from the doc comment:
//!
//! | Attribute | Meaning |
//! |---|---|
//! | `required`, `optional` | null is an error; `required: false` is spelt out. Records are required unless `optional` |
//! | `default = 5` | any JSON: `"x"`, `[1, 2]`, `null`, `{ "a": 1 }`, or `default = (expression)` |
//! | `kind = "host"` | a reusable type of [`types`]; `kind = path()` any expression of type `FieldDef` |
//! | `set` | the `Vec` is a set |
//! | `foreign = "services"`, `on_delete = "cascade"` or `"null"` | reference to another entity |
//! | `json`, `any` | the kinds `json` and abstract |
//! | `auto`, `uuid`, `timestamp`, `unique`, `unique = "global"` | as in entities.md §1 |
//! | `referenceable`, `encrypted`, `transient`, `immutable`, `not_null` | flags; `not_null` refuses null without saying so in the document |
//! | `one_of("a", "b")`, `not_one_of(…)`, `eq = x`, `ne = x`, `gt = 0`, `between(0, 10)` | validators |
//! | `len_eq = 1`, `len_min = 0`, `len_max = 5`, `starts_with = "/"`, `contains = "x"`, `is_regex` | validators |
//! | `matches = "^%u+$"`, `not_matches = "…"` | patterns of the original's dialect |
//! | `match_all(("pattern", "error"))`, `match_none(…)`, `match_any("a", "b")` with `match_any_err = "…"` | pattern lists |
//! | `subsets(("a", "b"), ("c"))` | mutually exclusive subsets |
//! | `custom = path` | `fn(&Value) -> Result<(), Value>` |
//! | `err = "…"` | replaces the text of any failure |
//! | `elements(…)`, `keys(…)`, `values(…)` | the same attributes for what the field holds |
//! | `annotate("deprecation", { "message": "…" })` | attribute that only the document shows, repeatable |
//! | `skip`, `flatten` | not part of the schema (give it `#[serde(default)]`); the members of another record stand here (with `#[serde(flatten)]`) |

// The derives name this crate; so do its own tests.
extern crate self as kong_schema;

pub mod address;
mod cache_key;
pub mod check;
mod coerce;
mod document;
mod entity;
mod entity_checks;
pub mod errors;
pub mod form;
mod message;
mod operation;
mod pattern;
mod plugin;
mod process;
mod read_document;
pub mod regex;
mod response;
mod schema;
pub mod shorthand;
pub mod table;
mod transformation;
pub mod types;
pub mod url;
mod validate;
mod validator;
mod value;
mod variant;

pub use check::{CheckError, CheckFn, Condition, Conditional, ConditionalAtLeastOneOf, CustomCheck, EntityCheck};
#[doc(hidden)]
pub use entity::derive;
pub use entity::{AsRecord, Choices, Entity, FieldType, record_def};
pub use kong_schema_derive::{Choice, Entity, Record};
pub use operation::{Errors, Operation, TransformError};
pub use pattern::{LuaPattern, PatternError};
pub use plugin::{ALL_PROTOCOLS, HTTP_PROTOCOLS, PluginScopes, plugin_schema};
pub use process::random_secret;
pub use read_document::{DocumentError, from_document};
pub use response::{ReadFn, ReadHook};
pub use schema::{
    AdminExposure, CacheKeyForm, Field, FieldDef, Foreign, Kind, Object, OnDelete, Record, Schema, Storage, Unique,
};
pub use shorthand::{ExpandFn, Shorthand};
pub use transformation::{TransformFn, Transformation};
pub use validate::check_value;
pub use validator::{Custom, Pattern, ValidateFn, Validator};
pub use variant::{Polymorphic, UnknownFn};

/// For the derives.
#[doc(hidden)]
pub use serde_json::json;
