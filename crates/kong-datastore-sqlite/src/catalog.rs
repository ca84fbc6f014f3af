//! The entities that the store was prepared for, with their tables.

use std::collections::HashMap;
use std::sync::Arc;

use kong_datastore::{Relations, StoreError, StoreResult};
use kong_schema::Schema;

use crate::layout::Layout;

#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    pub(crate) relations: Arc<Relations>,
    layouts: HashMap<String, Arc<Layout>>,
}

impl Catalog {
    /// A catalog of these schemas too.
    pub(crate) fn with(&self, schemas: &[Arc<Schema>]) -> StoreResult<Self> {
        let relations = self.relations.with(schemas)?;
        let table_of = |name: &str| relations.schema(name).map_or(name, |s| s.table()).to_owned();
        let layouts = relations
            .schemas()
            .iter()
            .map(|s| (s.name.clone(), Arc::new(Layout::new(s, table_of))))
            .collect();
        Ok(Self {
            relations: Arc::new(relations),
            layouts,
        })
    }

    pub(crate) fn layout(&self, schema: &Schema) -> StoreResult<&Arc<Layout>> {
        self.layouts
            .get(&schema.name)
            .ok_or_else(|| StoreError::NeedsMigration(format!("the store was not prepared for {}", schema.name)))
    }

    pub(crate) fn layouts(&self) -> impl Iterator<Item = &Arc<Layout>> {
        self.layouts.values()
    }
}
