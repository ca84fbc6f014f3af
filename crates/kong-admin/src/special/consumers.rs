//! `GET /consumers?custom_id=…` finds one consumer (admin-api.md §7.5).

use std::sync::Arc;

use kong_datastore::Key;
use kong_model::Registry;
use kong_schema::Schema;
use serde_json::{Value, json};

use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::generic::{collection, collection_path};
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

const FIELD: &str = "custom_id";

pub(super) fn add(routes: &mut Routes, registry: &Registry) {
    let Some(schema) = registry.schema("consumers") else {
        return;
    };
    let Some(path) = collection_path(schema) else { return };
    let (schema, template) = (Arc::clone(schema), path.clone());
    routes.on("GET", &template, move |admin, req| {
        list(admin, req, Arc::clone(&schema), path.clone())
    });
}

async fn list(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>, path: String) -> ApiResult {
    let values: Vec<Option<&[u8]>> = req.query_values(FIELD).collect();
    let value = match values.as_slice() {
        [] => return collection::list(admin, req, schema, path).await,
        [Some(value)] if !value.is_empty() => String::from_utf8_lossy(value).into_owned(),
        _ => return Err(ApiError::message(400, "custom_id must be an unempty string")),
    };
    let row = admin.dao.select_row(&schema, &Key::unique(FIELD, value)).await?;
    let data: Vec<Value> = row.iter().map(|row| Value::Object(admin.view(&schema, row))).collect();
    Ok(AdminResponse::json(200, &json!({"data": data, "next": null})))
}
