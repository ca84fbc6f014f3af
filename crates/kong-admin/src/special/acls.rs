//! Below a consumer a membership may be addressed by its group (admin-api.md §7.6).

use std::sync::Arc;

use http::header;
use kong_datastore::dao::{EntityKey, canonical_uuid};
use kong_datastore::{Key, Row};
use kong_model::Registry;
use serde_json::Value;
use uuid::Uuid;

use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::generic::Relation;
use crate::generic::nested::{delete_child, id_key, parent_id, patch_child, put_child, row_id};
use crate::message::{AdminRequest, AdminResponse, Input};
use crate::routes::{Handler, Routes};

const GROUP: &str = "group";

pub(super) fn add(routes: &mut Routes, registry: &Registry) {
    let (Some(child), Some(parent)) = (registry.schema("acls"), registry.schema("consumers")) else {
        return;
    };
    let relation = Arc::new(Relation {
        parent: Arc::clone(parent),
        child: Arc::clone(child),
        field: "consumer".to_owned(),
    });
    routes.wrap(
        "/consumers/{consumers}/acls/{acls}",
        move |admin, req, inner: Handler| {
            let relation = Arc::clone(&relation);
            async move {
                if canonical_uuid(req.param(1)).is_some() {
                    return inner(admin, req).await;
                }
                by_group(&admin, req, &relation).await
            }
        },
    );
}

async fn by_group(admin: &Admin, mut req: AdminRequest, relation: &Relation) -> ApiResult {
    let parent = match parent_id(admin, &relation.parent, req.param(0)).await {
        Err(ApiError::NotFound) => return Ok(not_found(&req)),
        other => other?,
    };
    let group = req.param(1).to_owned();
    let row = membership(admin, relation, &parent, &group).await?;
    match (req.method.as_str(), row) {
        ("PUT", row) => {
            // The body may name another group.
            match &mut req.input {
                Input::Json(body) => {
                    body.entry(GROUP).or_insert(Value::String(group));
                }
                Input::Form(fields) if fields.iter().any(|(name, _)| name == GROUP) => {}
                Input::Form(fields) => fields.push((GROUP.to_owned(), group)),
                other => *other = Input::Form(vec![(GROUP.to_owned(), group)]),
            }
            let id = match &row {
                Some(row) => row_id(row)?,
                None => Uuid::new_v4().to_string(),
            };
            put_child(admin, &req, relation, parent, &EntityKey::Id(id)).await
        }
        (_, None) => Ok(not_found(&req)),
        ("GET", Some(row)) => Ok(admin.shown(&relation.child, &row)),
        ("PATCH", Some(row)) => patch_child(admin, &req, relation, parent, &id_key(&row)?, &row).await,
        ("DELETE", Some(row)) => delete_child(admin, relation, &id_key(&row)?).await,
        _ => Err(ApiError::MethodNotAllowed),
    }
}

async fn membership(admin: &Admin, relation: &Relation, parent: &str, group: &str) -> Result<Option<Row>, ApiError> {
    let fields = &relation.child.storage.cache_key;
    let part = |field: &String| Value::from(if *field == relation.field { parent } else { group });
    Ok(admin
        .dao
        .select_row(&relation.child, &Key::Cache(fields.iter().map(part).collect()))
        .await?)
}

/// This one 404 comes from the original's error page: it carries a request id and honours `Accept`.
fn not_found(req: &AdminRequest) -> AdminResponse {
    let accept = req
        .headers
        .get(header::ACCEPT)
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    if accept.contains("text/html") {
        return AdminResponse::page(404, "Not found");
    }
    let id = Uuid::new_v4().simple();
    let body = format!("{{\n  \"message\":\"Not found\",\n  \"request_id\":\"{id}\"\n}}");
    AdminResponse::with_body(404, crate::message::JSON, body)
}
