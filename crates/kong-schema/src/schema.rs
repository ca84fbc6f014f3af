//! The `Schema` value: everything that is known about one entity or one plugin configuration.
//!
//! The derive (`#[derive(Entity)]`) produces exactly this value, and so does code that learns of a schema only at
//! run time (a Lua plugin's `schema.lua`); the engine never looks at a Rust type.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::LuaPattern;

/// A JSON object: an entity, a record inside one, or a plugin configuration.
pub type Object = Map<String, Value>;

/// One entity (`services`, `keyauth_credentials`, …) or, as a sub-schema, one variant of a polymorphic entity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schema {
    /// Schema name, e.g. `keyauth_credentials`.
    pub name: String,
    /// Fields in declaration order.
    pub fields: Vec<Field>,
    /// Checks across fields, in order (entities.md §1.5).
    pub entity_checks: Vec<EntityCheck>,
    /// Write-only aliases (entities.md §1.8).
    pub shorthands: Vec<Shorthand>,
    /// Write-time derivations (entities.md §1.9).
    pub transformations: Vec<Transformation>,
    /// Variants chosen by the value of a field (routes by `protocols`, plugins by `name`).
    pub polymorphic: Option<Polymorphic>,
    /// Normalisation of every row that is read.
    pub on_read: Option<ReadHook>,
    /// How rows are keyed and stored.
    pub storage: Storage,
    /// How the Admin API exposes the entity.
    pub admin: AdminExposure,
}

/// A named field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Member name.
    pub name: String,
    /// Its definition.
    pub def: FieldDef,
}

/// Definition of a field, an array element, a map key or value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldDef {
    /// Type of the value.
    pub kind: Kind,
    /// Null and absence (without default) are errors.
    pub required: bool,
    /// Null is refused as for a required field, but the document does not say so (columns that cannot be null).
    pub not_null: bool,
    /// `required = false` was written out (only matters for the `/schemas` document).
    pub explicitly_optional: bool,
    /// Value used when the member is absent. `Some(Null)` is an explicit null default.
    pub default: Option<Value>,
    /// Filled in by the gateway when absent (ids, secrets, timestamps).
    pub auto: bool,
    /// A UUID in text form.
    pub uuid: bool,
    /// A Unix time, > 0.
    pub timestamp: bool,
    /// Scope in which the value is unique.
    pub unique: Unique,
    /// May hold a `{vault://…}` reference, which bypasses validation.
    pub referenceable: bool,
    /// Marked as encrypted (stored in clear in OSS; a hook is left open).
    pub encrypted: bool,
    /// Not stored and not accepted from clients in some entities: computed when read (`certificates.snis`).
    pub transient: bool,
    /// May not change after insert.
    pub immutable: bool,
    /// Validators in evaluation order.
    pub validators: Vec<Validator>,
    /// Fixed text that replaces any validator's message.
    pub err: Option<String>,
    /// Free text for documents.
    pub description: Option<String>,
    /// Further attributes that only the `/schemas` document shows (`deprecation`, `examples`, `json_schema`).
    pub annotations: Object,
}

/// Field kinds (entities.md §1.1).
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Kind {
    /// UTF-8 text.
    #[default]
    String,
    /// Any JSON number.
    Number,
    /// A number without fraction.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// Ordered list.
    Array(Box<FieldDef>),
    /// List without duplicates; order of first occurrence is kept.
    Set(Box<FieldDef>),
    /// Free-form object.
    Map {
        /// Definition of the keys.
        keys: Box<FieldDef>,
        /// Definition of the values.
        values: Box<FieldDef>,
    },
    /// Object with declared members.
    Record(Box<Record>),
    /// Reference to another entity: `{"id": …}`.
    Foreign(Foreign),
    /// Anything, checked by a JSON schema (filter chains).
    Json(Option<Value>),
    /// Any value; used for the abstract `config` of plugins and vaults before the variant is known.
    Abstract,
}

/// Members of a record.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// Members in declaration order.
    pub fields: Vec<Field>,
    /// Checks across members.
    pub entity_checks: Vec<EntityCheck>,
    /// Write-only or deprecated aliases.
    pub shorthands: Vec<Shorthand>,
    /// Functions that see the whole record once its members are valid; their error is the record's.
    pub checks: Vec<Custom>,
}

/// A foreign key.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// Schema name of the referenced entity.
    pub reference: String,
    /// What happens to this row when the referenced one is deleted.
    pub on_delete: OnDelete,
    /// Schema of the referenced entity, once a registry has linked it: needed only for the error report of an object
    /// that lacks the key.
    pub target: Option<Arc<Schema>>,
}

impl Foreign {
    /// A reference to the entity; its deletion is restricted.
    pub fn to(reference: &str) -> Self {
        Self {
            reference: reference.into(),
            on_delete: OnDelete::Restrict,
            target: None,
        }
    }
}

impl PartialEq for Foreign {
    fn eq(&self, other: &Self) -> bool {
        self.reference == other.reference && self.on_delete == other.on_delete
    }
}

/// Reaction of a child row to the deletion of its parent (entities.md §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDelete {
    /// The parent cannot be deleted while the child exists (error code 4).
    #[default]
    Restrict,
    /// The child is deleted too.
    Cascade,
    /// The child's field becomes null.
    Null,
}

/// Scope of a uniqueness constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unique {
    /// Not unique.
    #[default]
    No,
    /// Unique within a workspace.
    Workspace,
    /// Unique in the whole store.
    Global,
}

/// How rows of the entity are keyed and stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Storage {
    /// Table name when it differs from the schema name (`vaults` → `sm_vaults`).
    pub table: Option<String>,
    /// Primary key fields, `["id"]` for nearly all entities.
    pub primary_key: Vec<String>,
    /// Unique field that may stand in a URL in place of the id.
    pub endpoint_key: Option<String>,
    /// Fields of the composite cache key, which is also a uniqueness constraint (plugins, targets, acls, keys).
    pub cache_key: Vec<String>,
    /// Rows belong to a workspace.
    pub workspaceable: bool,
    /// Rows may expire.
    pub ttl: bool,
    /// The entity lives in Kong's core cache: its invalidations go to `invalidations_kong_core_db_cache` (services,
    /// routes, plugins, certificates, snis, upstreams, targets, ca_certificates, vaults, keys, key_sets), those of
    /// other entities to `invalidations` (node.md §9).
    pub core_cache: bool,
    /// Form of the cache key.
    pub cache_key_form: CacheKeyForm,
}

/// Forms of cache keys (entities.md §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheKeyForm {
    /// Entity, five values, workspace.
    #[default]
    Regular,
    /// The last part stays empty although the entity belongs to a workspace (vaults).
    WithoutWorkspace,
    /// Entity and the declared values only (keys).
    Short,
    /// Entity and the SHA-1 of the regular key (oauth2_tokens).
    Hashed,
}

/// How the Admin API exposes the entity (entities.md §5, admin-api.md §6).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AdminExposure {
    /// Path segment of the top-level collection (`key-auths`); `None`: no top-level endpoints.
    pub collection: Option<String>,
    /// Path segment below a parent (`key-auth`); `None`: the schema name is used where nesting exists.
    pub nested: Option<String>,
    /// No endpoints at all (`ratelimiting_metrics`).
    pub hidden: bool,
}

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

/// Function of a [`Shorthand`]: value of the alias → members to set (nested objects merge).
pub type ExpandFn = dyn Fn(&Value) -> Object + Send + Sync;

/// A write-only or deprecated alias (entities.md §1.8).
#[derive(Clone)]
pub struct Shorthand {
    /// Name of the alias.
    pub name: String,
    /// Its own definition, checked first.
    pub def: FieldDef,
    /// Computes the members it stands for.
    pub expand: Arc<ExpandFn>,
    /// Set for a deprecated alias: path of the member that replaces it (the alias is then echoed in responses).
    pub replaced_with: Option<Vec<String>>,
    /// Deprecation text and version, shown in `/schemas`.
    pub deprecation: Option<Value>,
}

impl PartialEq for Shorthand {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.def == other.def && self.replaced_with == other.replaced_with
    }
}

impl fmt::Debug for Shorthand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shorthand({})", self.name)
    }
}

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

/// Function of a [`ReadHook`].
pub type ReadFn = dyn Fn(&mut Object) + Send + Sync;

/// Normalisation of a row when it is read (upstreams, targets).
#[derive(Clone)]
pub struct ReadHook {
    /// Identifies the function.
    pub name: String,
    /// Changes the row.
    pub apply: Arc<ReadFn>,
}

impl PartialEq for ReadHook {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for ReadHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadHook({})", self.name)
    }
}

/// Variants of an entity, chosen by the value of a field.
#[derive(Clone)]
pub struct Polymorphic {
    /// Field whose value chooses (`name`, `protocols`; for a set the first known element).
    pub key: String,
    /// Value → variant. A variant's fields override or complete the base fields of the same name.
    pub variants: Vec<(String, Arc<Schema>)>,
    /// Text for an unknown value, `None`: `unknown type: <v>`.
    pub unknown: Option<Arc<dyn Fn(&str) -> String + Send + Sync>>,
}

impl PartialEq for Polymorphic {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.variants == other.variants
    }
}

impl fmt::Debug for Polymorphic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polymorphic")
            .field("key", &self.key)
            .field("variants", &self.variants.len())
            .finish()
    }
}

impl Schema {
    /// Field of that name.
    pub fn field(&self, name: &str) -> Option<&FieldDef> {
        self.fields.iter().find(|f| f.name == name).map(|f| &f.def)
    }

    /// Name of the table that stores the rows.
    pub fn table(&self) -> &str {
        self.storage.table.as_deref().unwrap_or(&self.name)
    }
}
