//! Page objects (admin-api.md §5.1).

use kong_datastore::dao::{EntityPage, PageRequest};
use kong_schema::Schema;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::app::Admin;
use crate::message::{AdminRequest, AdminResponse};

/// What stays as it is inside a query: RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where a page's `next` link leads, and what of the request it repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// `size` and `tags` (top-level collections).
    Query,
    /// Neither (nested lists).
    Nothing,
}

/// `size`, `offset` and `tags` of a request. A parameter without value counts as empty, and so does a repeated size or
/// offset, which then fail; of repeated tags the first counts.
pub(crate) fn page_request(req: &AdminRequest) -> PageRequest {
    let single = |name: &str| {
        let mut values = req.query_values(name);
        let first = values.next()?;
        let text = if values.next().is_some() { None } else { first };
        Some(String::from_utf8_lossy(text.unwrap_or_default()).into_owned())
    };
    PageRequest {
        size: single("size"),
        offset: single("offset"),
        tags: req.query_values("tags").next().map(|v| v.unwrap_or_default().to_vec()),
    }
}

/// The page of an entity's rows as clients see them.
pub(crate) fn entity_page(
    admin: &Admin,
    schema: &Schema,
    page: &EntityPage,
    path: &str,
    request: &PageRequest,
    repeat: Repeat,
) -> AdminResponse {
    let data = page
        .rows
        .iter()
        .map(|row| Value::Object(admin.view(schema, row)))
        .collect();
    page_of(data, page.offset.as_deref(), path, request, repeat)
}

/// A page of anything.
pub(crate) fn page_of(
    data: Vec<Value>,
    offset: Option<&str>,
    path: &str,
    request: &PageRequest,
    repeat: Repeat,
) -> AdminResponse {
    let Some(offset) = offset else {
        return AdminResponse::json(200, &json!({"data": data, "next": null}));
    };
    let mut next = format!("{path}?offset={}", escape(offset));
    if repeat == Repeat::Query {
        if let Some(tags) = &request.tags {
            next.push_str(&format!("&tags={}", escape(&String::from_utf8_lossy(tags))));
        }
        if let Some(size) = &request.size {
            next.push_str(&format!("&size={}", escape(size)));
        }
    }
    AdminResponse::json(200, &json!({"data": data, "next": next, "offset": offset}))
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
