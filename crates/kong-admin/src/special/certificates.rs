//! Certificates are addressed by id or by a name, and written together with their names (admin-api.md §7.1).

use std::sync::Arc;

use kong_datastore::dao::{EntityKey, Verb, canonical_uuid};
use kong_datastore::{Row, Write};
use kong_model::Registry;
use kong_schema::{Kind, Object, Schema};
use serde_json::Value;
use uuid::Uuid;

use super::sni_names::SniNames;
use crate::app::Admin;
use crate::error::{ApiError, ApiResult};
use crate::generic::collection_path;
use crate::generic::page::{Repeat, page_of, page_request};
use crate::generic::singleton::{Reference, link, referring, target_key};
use crate::message::{AdminRequest, AdminResponse};
use crate::routes::{Handler, Routes};

const SNIS: &str = "snis";

pub(super) fn add(routes: &mut Routes, registry: &Registry) {
    let Some(schema) = registry.schema("certificates") else {
        return;
    };
    if registry.schema(SNIS).is_none() {
        return;
    }
    let s = Arc::clone(schema);
    routes.on("GET", "/certificates", move |admin, req| {
        list(admin, req, Arc::clone(&s))
    });
    let s = Arc::clone(schema);
    routes.on("POST", "/certificates", move |admin, req| {
        create(admin, req, Arc::clone(&s))
    });
    let path = "/certificates/{certificates}";
    let s = Arc::clone(schema);
    routes.on("GET", path, move |admin, req| get(admin, req, Arc::clone(&s)));
    let s = Arc::clone(schema);
    routes.on("PUT", path, move |admin, req| put(admin, req, Arc::clone(&s)));
    let s = Arc::clone(schema);
    routes.on("PATCH", path, move |admin, req| patch(admin, req, Arc::clone(&s)));
    let s = Arc::clone(schema);
    routes.on("DELETE", path, move |admin, req| delete(admin, req, Arc::clone(&s)));
    routes.wrap("/certificates/{certificates}/snis", with_certificate_id);
    routes.wrap("/certificates/{certificates}/snis/{snis}", with_certificate_id);
    routes.hide("/snis/{snis}/certificate", &["GET", "PUT", "PATCH", "DELETE"]);
    add_references(routes, registry, schema);
}

/// PUT of the certificate that another entity refers to takes and shows names too.
fn add_references(routes: &mut Routes, registry: &Registry, certificates: &Arc<Schema>) {
    for schema in registry.schemas().iter().filter(|s| s.name != SNIS && !s.admin.hidden) {
        let Some(path) = collection_path(schema) else { continue };
        for field in &schema.fields {
            let Kind::Foreign(foreign) = &field.def.kind else {
                continue;
            };
            if foreign.reference != certificates.name {
                continue;
            }
            let reference = Arc::new(Reference {
                schema: Arc::clone(schema),
                field: field.name.clone(),
                target: Arc::clone(certificates),
            });
            let template = format!("{path}/{{{}}}/{}", schema.name, field.name);
            routes.on("PUT", &template, move |admin, req| {
                put_referenced(admin, req, Arc::clone(&reference))
            });
        }
    }
}

async fn list(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let request = page_request(&req);
    let page = admin.dao.page(&schema, None, &request).await?;
    let names = SniNames::new(&admin)?;
    let mut data = Vec::with_capacity(page.rows.len());
    for row in &page.rows {
        data.push(Value::Object(with_names(
            &admin,
            &schema,
            row,
            names.of(id_of(row)).await?,
        )));
    }
    Ok(page_of(
        data,
        page.offset.as_deref(),
        "/certificates",
        &request,
        Repeat::Query,
    ))
}

async fn create(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let names = SniNames::new(&admin)?;
    let input = req.entity(&schema);
    let wanted = sent_names(&input);
    names.check(&wanted, None).await?;
    let certificate = admin.dao.prepare_insert(&schema, input).await?;
    admin.dao.writable(Verb::Create, &schema, None)?;
    let mut writes = vec![certificate.write];
    writes.extend(names.replace(id_of(&certificate.row), &wanted).await?);
    admin.dao.commit(writes).await?;
    Ok(AdminResponse::json(
        201,
        &with_names(&admin, &schema, &certificate.row, wanted),
    ))
}

async fn get(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let names = SniNames::new(&admin)?;
    let id = names.certificate_of(req.param(0)).await?.ok_or_else(no_such_name)?;
    let row = admin.dao.select(&schema, &EntityKey::Id(id.clone())).await?;
    // Unlike elsewhere, a certificate that is not there is answered with the error object.
    let row = row.ok_or_else(|| kong_schema::errors::ErrorObject::not_found(EntityKey::Id(id.clone()).to_object()))?;
    Ok(AdminResponse::json(
        200,
        &with_names(&admin, &schema, &row, names.of(&id).await?),
    ))
}

async fn put(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let names = SniNames::new(&admin)?;
    let segment = req.param(0);
    let id = names.certificate_of(segment).await?;
    let named = canonical_uuid(segment).is_none();
    let mut input = req.entity(&schema);
    list_of_one(&mut input);
    if let Some(Value::Array(list)) = input.get_mut(SNIS).filter(|_| named)
        && !list.iter().any(|name| name == segment)
    {
        list.push(Value::String(segment.to_owned()));
    }
    let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
    let (writes, row, wanted) = upsert(&admin, &schema, &id, input).await?;
    admin.dao.writable(Verb::Upsert, &schema, None)?;
    admin.dao.commit(writes).await?;
    Ok(AdminResponse::json(200, &with_names(&admin, &schema, &row, wanted)))
}

async fn patch(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let names = SniNames::new(&admin)?;
    let id = names.certificate_of(req.param(0)).await?.ok_or_else(no_such_name)?;
    let mut input = req.entity(&schema);
    list_of_one(&mut input);
    let replaced = input.contains_key(SNIS).then(|| sent_names(&input));
    if let Some(wanted) = &replaced {
        names.check(wanted, Some(&id)).await?;
    }
    let certificate = admin
        .dao
        .prepare_update(&schema, &EntityKey::Id(id.clone()), input)
        .await?;
    admin.dao.writable(Verb::Update, &schema, None)?;
    let mut writes = vec![certificate.write];
    if let Some(wanted) = &replaced {
        writes.extend(names.replace(&id, wanted).await?);
    }
    admin.dao.commit(writes).await?;
    Ok(AdminResponse::json(
        200,
        &with_names(&admin, &schema, &certificate.row, names.of(&id).await?),
    ))
}

async fn delete(admin: Arc<Admin>, req: AdminRequest, schema: Arc<Schema>) -> ApiResult {
    let names = SniNames::new(&admin)?;
    let id = names.certificate_of(req.param(0)).await?.ok_or_else(no_such_name)?;
    let Some(row) = admin.dao.select(&schema, &EntityKey::Id(id.clone())).await? else {
        return Ok(AdminResponse::empty(204));
    };
    admin.dao.writable(Verb::Remove, &schema, None)?;
    let mut writes = names.replace(&id, &[]).await?;
    writes.push(admin.dao.prepare_delete(&schema, &row).await?);
    admin.dao.commit(writes).await?;
    Ok(AdminResponse::empty(204))
}

async fn put_referenced(admin: Arc<Admin>, req: AdminRequest, reference: Arc<Reference>) -> ApiResult {
    let schema = &reference.target;
    let referring = referring(&admin, &req, &reference).await?;
    let mut input = req.entity(schema);
    list_of_one(&mut input);
    let linked = target_key(&referring, &reference.field);
    let id = match &linked {
        Some(EntityKey::Id(id)) => id.clone(),
        _ => Uuid::new_v4().to_string(),
    };
    let (mut writes, row, wanted) = upsert(&admin, schema, &id, input).await?;
    admin.dao.writable(Verb::Upsert, schema, None)?;
    if linked.is_none() {
        writes.push(link(&admin, &reference, referring, &id).await?);
    }
    admin.dao.commit(writes).await?;
    Ok(AdminResponse::json(200, &with_names(&admin, schema, &row, wanted)))
}

/// The writes of a full replacement, the certificate's row and its names.
async fn upsert(
    admin: &Admin,
    schema: &Arc<Schema>,
    id: &str,
    input: Object,
) -> Result<(Vec<Write>, Row, Vec<String>), ApiError> {
    let names = SniNames::new(admin)?;
    let wanted = sent_names(&input);
    names.check(&wanted, Some(id)).await?;
    let certificate = admin
        .dao
        .prepare_upsert(schema, &EntityKey::Id(id.to_owned()), input)
        .await?;
    let mut writes = vec![certificate.write];
    writes.extend(names.replace(id, &wanted).await?);
    Ok((writes, certificate.row, wanted))
}

/// Replaces a name in the path by the id of its certificate.
async fn with_certificate_id(admin: Arc<Admin>, mut req: AdminRequest, inner: Handler) -> ApiResult {
    let id = SniNames::new(&admin)?
        .certificate_of(req.param(0))
        .await?
        .ok_or_else(no_such_name)?;
    if let Some(param) = req.params.first_mut() {
        param.value = id;
    }
    inner(admin, req).await
}

fn no_such_name() -> ApiError {
    ApiError::message(404, "SNI not found")
}

/// PUT and PATCH take one name as text.
fn list_of_one(input: &mut Object) {
    if let Some(name @ Value::String(_)) = input.get_mut(SNIS) {
        *name = Value::Array(vec![name.take()]);
    }
}

/// The names of a body, as far as they are text; validation sees the others.
fn sent_names(input: &Object) -> Vec<String> {
    let list = input.get(SNIS).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

fn with_names(admin: &Admin, schema: &Schema, row: &Row, mut names: Vec<String>) -> Object {
    names.sort_unstable();
    let mut shown = admin.view(schema, row);
    shown.insert(SNIS.to_owned(), names.into());
    shown
}

fn id_of(row: &Row) -> &str {
    row.get("id").and_then(Value::as_str).unwrap_or_default()
}
