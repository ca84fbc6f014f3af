//! Typed operations over any store: what a client may ask of an entity, with the rules and error objects of the
//! Admin API (entities.md §1.5–1.10 and §2, admin-api.md §3–5).
//!
//! A [`Dao`] is generic over schemas and names no entity. What the reference says about single entities (the protocols
//! of a plugin must match its route's, a CA certificate in use cannot go) is registered as [`EntityRule`]s. A write
//! becomes a batch of the store; once it is committed, the [`ChangeListener`] is awaited, so that the node's own data
//! plane has seen the change before the client gets its answer.
//!
//! Writes are split in two for entities that are written together (a certificate and its SNIs): `prepare_*` does
//! everything up to the write, [`Dao::commit`] writes any number of prepared rows at once.

// An error object is as large as the answer that it becomes, and as rare.
#![allow(clippy::result_large_err)]

mod failure;
mod foreign;
mod key;
mod listener;
mod paging;
mod read;
mod rules;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use kong_schema::Schema;
use uuid::Uuid;

use crate::Datastore;

pub use failure::store_failure;
pub use key::{EntityKey, canonical_uuid};
pub use listener::{ChangeListener, NoListener};
pub use paging::{DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PageRequest, decode_offset, encode_offset, page_size};
pub use read::{EntityPage, TagListPage};
pub use rules::{EntityRule, Proposal};
pub use write::{Prepared, Verb};

/// Operations on entities over one store. Cheap to clone.
#[derive(Clone)]
pub struct Dao {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    store: Arc<dyn Datastore>,
    schemas: Arc<[Arc<Schema>]>,
    by_name: HashMap<String, usize>,
    node_id: Uuid,
    listener: Arc<dyn ChangeListener>,
    rules: HashMap<String, Vec<Arc<dyn EntityRule>>>,
    read_only: bool,
}

impl Dao {
    /// Operations on these entities; changes are announced in the name of `node_id` and to `listener`.
    pub fn new(
        store: Arc<dyn Datastore>,
        schemas: Arc<[Arc<Schema>]>,
        node_id: Uuid,
        listener: Arc<dyn ChangeListener>,
    ) -> Self {
        let by_name = schemas.iter().enumerate().map(|(at, s)| (s.name.clone(), at)).collect();
        let rules = HashMap::new();
        let inner = Inner {
            store,
            schemas,
            by_name,
            node_id,
            listener,
            rules,
            read_only: false,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Adds rules about single entities.
    pub fn with_rules(mut self, rules: impl IntoIterator<Item = Arc<dyn EntityRule>>) -> Self {
        let inner = Arc::make_mut(&mut self.inner);
        for rule in rules {
            inner.rules.entry(rule.entity().to_owned()).or_default().push(rule);
        }
        self
    }

    /// Refuses every write after its validation, as a node without a database does (code 12).
    pub fn read_only(mut self, read_only: bool) -> Self {
        Arc::make_mut(&mut self.inner).read_only = read_only;
        self
    }

    /// Whether writes are refused.
    pub fn is_read_only(&self) -> bool {
        self.inner.read_only
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Datastore> {
        &self.inner.store
    }

    /// Every entity, parents before children.
    pub fn schemas(&self) -> &[Arc<Schema>] {
        &self.inner.schemas
    }

    /// An entity by its schema name.
    pub fn schema(&self, name: &str) -> Option<&Arc<Schema>> {
        self.inner.by_name.get(name).and_then(|at| self.inner.schemas.get(*at))
    }

    fn rules(&self, schema: &Schema) -> &[Arc<dyn EntityRule>] {
        self.inner.rules.get(&schema.name).map_or(&[], Vec::as_slice)
    }
}
