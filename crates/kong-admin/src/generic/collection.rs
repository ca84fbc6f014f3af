//! `GET` and `POST` of a collection.

use std::sync::Arc;

use kong_schema::Schema;

use super::page::{Repeat, entity_page, page_request};
use crate::app::Admin;
use crate::error::ApiResult;
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::Routes;

pub(super) fn add(routes: &mut Routes, path: &str, schema: &Arc<Schema>) {
    let (s, p) = (Arc::clone(schema), path.to_owned());
    routes.on("GET", path, move |admin, req| {
        list(admin, req, Arc::clone(&s), p.clone())
    });
    let s = Arc::clone(schema);
    routes.on("POST", path, move |admin, req| create(admin, req, Arc::clone(&s)));
}

pub(crate) async fn list(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>, path: String) -> ApiResult {
    let request = page_request(&req);
    let page = admin.dao.page(&schema, None, &request).await?;
    Ok(entity_page(&admin, &schema, &page, &path, &request, Repeat::Query))
}

async fn create(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let row = admin.dao.insert(&schema, req.entity(&schema)).await?;
    Ok(AdminResponse::json(201, &admin.view(&schema, &row)))
}
