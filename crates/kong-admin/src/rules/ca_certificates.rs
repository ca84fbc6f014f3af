//! A CA certificate that a service or a plugin lists cannot be deleted (entities.md §4.7, code 19).

use kong_datastore::dao::{Dao, EntityRule, MAX_PAGE_SIZE, store_failure};
use kong_datastore::{BoxFuture, PageQuery, Row};
use kong_schema::errors::ErrorObject;
use serde_json::Value;

const FIELD: &str = "ca_certificates";

/// See the module.
pub(super) struct InUse;

impl EntityRule for InUse {
    fn entity(&self) -> &str {
        FIELD
    }

    fn before_delete<'a>(&'a self, dao: &'a Dao, row: &'a Row) -> BoxFuture<'a, Result<(), ErrorObject>> {
        Box::pin(async move {
            let Some(id) = row.get("id").and_then(Value::as_str) else {
                return Ok(());
            };
            refuse_if_listed(dao, id, "services", |row| row.get(FIELD)).await?;
            refuse_if_listed(dao, id, "plugins", |row| row.get("config")?.get(FIELD)).await
        })
    }
}

async fn refuse_if_listed(
    dao: &Dao,
    id: &str,
    entity: &str,
    list: impl Fn(&Row) -> Option<&Value>,
) -> Result<(), ErrorObject> {
    let Some(schema) = dao.schema(entity) else {
        return Ok(());
    };
    let mut query = PageQuery::all(schema, dao.store().default_workspace(), MAX_PAGE_SIZE);
    loop {
        let page = dao.store().page(&query).await.map_err(|err| store_failure(&err))?;
        let listing = page.rows.iter().find(|row| {
            list(row)
                .and_then(Value::as_array)
                .is_some_and(|ids| ids.iter().any(|listed| listed == id))
        });
        if let Some(row) = listing {
            let by = row.get("id").and_then(Value::as_str).unwrap_or_default();
            return Err(ErrorObject::ca_certificate_in_use(id, entity, by));
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(()),
        }
    }
}
