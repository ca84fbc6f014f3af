//! The `Schema` value: everything that is known about one entity or one plugin configuration.
//!
//! The derive (`#[derive(Entity)]`) produces exactly this value, and so does code that learns of a schema only at
//! run time (a Lua plugin's `schema.lua`); the engine never looks at a Rust type.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{Custom, EntityCheck, Polymorphic, ReadHook, Shorthand, Transformation, Validator};

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
