//! The read-only view of all tags (admin-api.md §7.7).

use std::sync::Arc;

use kong_datastore::dao::TagListPage;
use kong_model::Registry;
use kong_schema::errors::ErrorObject;
use serde_json::{Value, json};

use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::generic::page::{Repeat, page_of, page_request};
use crate::message::AdminRequest;
use crate::routes::Routes;

const REFUSAL: &str = "does not support insert/upsert/update/delete operations";

pub(super) fn add(routes: &mut Routes, _: &Registry) {
    routes.on("GET", "/tags", list);
    routes.on("POST", "/tags", |_, _| async {
        Err(ErrorObject::field_violation("tags", REFUSAL).into())
    });
    routes.on("GET", "/tags/{tags}", list_one);
    for method in ["PUT", "PATCH", "DELETE"] {
        routes.on(method, "/tags/{tags}", |_, _| async { Err(ApiError::MethodNotAllowed) });
    }
}

async fn list(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let request = page_request(&req);
    let page = admin.dao.tags(None, &request).await?;
    Ok(page_of(
        rows(&page),
        page.offset.as_deref(),
        "/tags",
        &request,
        Repeat::Query,
    ))
}

async fn list_one(admin: Arc<Admin>, req: AdminRequest) -> ApiResult {
    let tag = req.param(0).to_owned();
    if let Some(schema) = admin.registry.schema("tags") {
        let value = Value::String(tag.clone());
        schema
            .validate_unique("tag", &value)
            .map_err(|err| ErrorObject::invalid_unique("tag", &err))?;
    }
    let request = page_request(&req);
    let page = admin.dao.tags(Some(tag), &request).await?;
    let path = format!("/tags/{}", req.raw_param(0));
    Ok(page_of(
        rows(&page),
        page.offset.as_deref(),
        &path,
        &request,
        Repeat::Nothing,
    ))
}

fn rows(page: &TagListPage) -> Vec<Value> {
    let row =
        |r: &kong_datastore::TagRow| json!({"tag": r.tag, "entity_name": r.entity_name, "entity_id": r.entity_id});
    page.rows.iter().map(row).collect()
}
