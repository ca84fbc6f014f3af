//! The names of a certificate are rows of `snis`: reading, checking and replacing the list.

use std::collections::HashSet;
use std::sync::Arc;

use kong_datastore::dao::canonical_uuid;
use kong_datastore::{Row, Write};
use kong_schema::errors::ErrorObject;
use kong_schema::{Object, Schema};
use serde_json::{Value, json};

use crate::app::Admin;
use crate::error::ApiError;
use crate::generic::nested::row_id;

/// Foreign field of an SNI.
pub(super) const CERTIFICATE: &str = "certificate";

/// Operations on the names of certificates.
pub(super) struct SniNames<'a> {
    admin: &'a Admin,
    schema: Arc<Schema>,
}

impl<'a> SniNames<'a> {
    pub(super) fn new(admin: &'a Admin) -> Result<Self, ApiError> {
        let schema = admin.registry.schema("snis").ok_or(ApiError::NotFound)?;
        Ok(Self {
            admin,
            schema: Arc::clone(schema),
        })
    }

    /// Id of the certificate that a path segment names, by id or by one of its names; `None`: no such name.
    pub(super) async fn certificate_of(&self, segment: &str) -> Result<Option<String>, ApiError> {
        match canonical_uuid(segment) {
            Some(id) => Ok(Some(id)),
            None => Ok(self.find(segment).await?.as_ref().and_then(owner)),
        }
    }

    /// Names of a certificate, sorted.
    pub(super) async fn of(&self, certificate: &str) -> Result<Vec<String>, ApiError> {
        let rows = self.admin.dao.children(&self.schema, CERTIFICATE, certificate).await?;
        let mut names: Vec<String> = rows.iter().filter_map(name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Refuses a list with a repeated, malformed or taken name.
    pub(super) async fn check(&self, names: &[String], certificate: Option<&str>) -> Result<(), ApiError> {
        let mut seen = HashSet::new();
        for name in names {
            if !seen.insert(name) {
                return Err(ErrorObject::field_violation("snis", format!("{name} is duplicated")).into());
            }
            if let Some(owner) = self.find(name).await?.as_ref().and_then(owner)
                && Some(owner.as_str()) != certificate
            {
                let text = format!("{name} already associated with existing certificate '{owner}'");
                return Err(ErrorObject::field_violation("snis", text).into());
            }
        }
        Ok(())
    }

    /// The writes that make these the names of a certificate.
    pub(super) async fn replace(&self, certificate: &str, names: &[String]) -> Result<Vec<Write>, ApiError> {
        let mut writes = Vec::new();
        let mut present = HashSet::new();
        for row in self.admin.dao.children(&self.schema, CERTIFICATE, certificate).await? {
            match name(&row) {
                Some(name) if names.contains(&name) => {
                    present.insert(name);
                }
                _ => writes.push(self.admin.dao.prepare_delete(&self.schema, &row).await?),
            }
        }
        for name in names.iter().filter(|n| !present.contains(*n)) {
            let input = Object::from_iter([
                ("name".to_owned(), Value::String(name.clone())),
                (CERTIFICATE.to_owned(), json!({ "id": certificate })),
            ]);
            writes.push(self.admin.dao.prepare_insert(&self.schema, input).await?.write);
        }
        Ok(writes)
    }

    async fn find(&self, name: &str) -> Result<Option<Row>, ApiError> {
        let dao = &self.admin.dao;
        let key = dao.key(&self.schema, name)?;
        Ok(dao.select(&self.schema, &key).await?)
    }
}

fn name(row: &Row) -> Option<String> {
    Some(row.get("name")?.as_str()?.to_owned())
}

fn owner(row: &Row) -> Option<String> {
    row.get(CERTIFICATE)?.as_object().and_then(|c| row_id(c).ok())
}
