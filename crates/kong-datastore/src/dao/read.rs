//! Reading entities.

use std::sync::Arc;

use kong_schema::Schema;
use kong_schema::errors::ErrorObject;
use serde_json::Value;

use super::paging::{decode_offset, encode_offset, page_size, tag_filter};
use super::{Dao, EntityKey, PageRequest, store_failure};
use crate::{Key, PageQuery, Row, TagQuery, TagRow};

/// A page of entities.
#[derive(Debug, Clone, Default)]
pub struct EntityPage {
    /// The rows, as stored.
    pub rows: Vec<Row>,
    /// Offset of the next page, as clients see it.
    pub offset: Option<String>,
}

/// A page of the tags view.
#[derive(Debug, Clone, Default)]
pub struct TagListPage {
    /// The rows.
    pub rows: Vec<TagRow>,
    /// Offset of the next page.
    pub offset: Option<String>,
}

impl Dao {
    /// The row under a key.
    pub async fn select(&self, schema: &Arc<Schema>, key: &EntityKey) -> Result<Option<Row>, ErrorObject> {
        self.select_row(schema, &key.to_store_key()).await
    }

    /// The row under any key a store understands.
    pub async fn select_row(&self, schema: &Arc<Schema>, key: &Key) -> Result<Option<Row>, ErrorObject> {
        let store = self.store();
        store
            .select(schema, store.default_workspace(), key)
            .await
            .map_err(|err| store_failure(&err))
    }

    /// A page of a collection, or of those of its rows that reference a parent: `(foreign field, parent id)`.
    pub async fn page(
        &self,
        schema: &Arc<Schema>,
        parent: Option<(String, String)>,
        request: &PageRequest,
    ) -> Result<EntityPage, ErrorObject> {
        let size = page_size(request.size.as_deref())?;
        let tags = match &request.tags {
            Some(tags) if schema.field("tags").is_some() => Some(tag_filter(tags)?),
            _ => None,
        };
        let parts = schema.storage.primary_key.len();
        let after = request
            .offset
            .as_deref()
            .map(|offset| decode_offset(offset, parts))
            .transpose()?;
        let ws = self.store().default_workspace();
        let query = PageQuery {
            schema: Arc::clone(schema),
            ws,
            by_foreign: parent,
            tags,
            size,
            after,
        };
        let page = self.store().page(&query).await.map_err(|err| store_failure(&err))?;
        let offset = page.next.map(|token| encode_offset(&token));
        Ok(EntityPage {
            rows: page.rows,
            offset,
        })
    }

    /// Every row of a collection that references a parent. For the few children of one entity only.
    pub async fn children(&self, schema: &Arc<Schema>, field: &str, parent: &str) -> Result<Vec<Row>, ErrorObject> {
        let mut query = PageQuery::all(schema, self.store().default_workspace(), super::MAX_PAGE_SIZE);
        query.by_foreign = Some((field.to_owned(), parent.to_owned()));
        let mut rows = Vec::new();
        loop {
            let page = self.store().page(&query).await.map_err(|err| store_failure(&err))?;
            rows.extend(page.rows);
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(rows),
            }
        }
    }

    /// A page of the tags view, of all tags or of one.
    pub async fn tags(&self, tag: Option<String>, request: &PageRequest) -> Result<TagListPage, ErrorObject> {
        let size = page_size(request.size.as_deref())?;
        let after = match request.offset.as_deref() {
            None => None,
            Some(offset) => match <[Value; 2]>::try_from(decode_offset(offset, 2)?) {
                Ok([Value::String(id), Value::String(tag)]) => Some((id, tag)),
                _ => return Err(ErrorObject::invalid_offset(offset, "bad json encoding")),
            },
        };
        let query = TagQuery {
            ws: self.store().default_workspace(),
            tag,
            size,
            after,
        };
        let page = self.store().tags(&query).await.map_err(|err| store_failure(&err))?;
        let offset = page
            .next
            .map(|(id, tag)| encode_offset(&[Value::String(id), Value::String(tag)]));
        Ok(TagListPage {
            rows: page.rows,
            offset,
        })
    }
}
