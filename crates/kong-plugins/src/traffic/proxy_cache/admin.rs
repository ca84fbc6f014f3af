//! Endpoints of the Admin API.

use std::sync::Arc;

use bytes::Bytes;
use kong_plugin::{AdminHandler, AdminRequest, AdminResponse, AdminRoute, Surface};
use uuid::Uuid;

use super::Store;

const NOT_FOUND: &str = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n\
                         <center><h1>404 Not Found</h1></center>\r\n</body>\r\n</html>\r\n";

fn not_found() -> AdminResponse {
    AdminResponse {
        status: 404,
        content_type: Some("text/html; charset=UTF-8".to_owned()),
        body: Bytes::from_static(NOT_FOUND.as_bytes()),
    }
}

fn empty() -> AdminResponse {
    AdminResponse {
        status: 204,
        content_type: None,
        body: Bytes::new(),
    }
}

/// Instance and key of `/proxy-cache/{key}` or `/proxy-cache/{id}/caches/{key}`; `None`: the id is none.
fn address(request: &AdminRequest) -> Option<(Option<Uuid>, &str)> {
    match request.parameters.as_slice() {
        [key] => Some((None, key)),
        [id, key] => Some((Some(Uuid::try_parse(id).ok()?), key)),
        _ => None,
    }
}

fn get(store: &Store, request: &AdminRequest) -> Option<AdminResponse> {
    let (instance, key) = address(request)?;
    let part = store.part_with(instance, key)?;
    let document = store.get(&part, key)?.document();
    Some(AdminResponse {
        status: 200,
        content_type: Some("application/json; charset=utf-8".to_owned()),
        body: Bytes::from(document.to_string()),
    })
}

fn delete(store: &Store, request: &AdminRequest) -> Option<AdminResponse> {
    if request.parameters.is_empty() {
        store.clear();
        return Some(empty());
    }
    let (instance, key) = address(request)?;
    let part = store.part_with(instance, key)?;
    store.remove(&part, key);
    Some(empty())
}

/// All endpoints.
pub(super) fn routes(store: &Arc<Store>) -> Vec<AdminRoute> {
    type Handler = fn(&Store, &AdminRequest) -> Option<AdminResponse>;
    let route = |method: &'static str, path: &str, handler: Handler| {
        let store = store.clone();
        let handler: AdminHandler = Arc::new(move |request| {
            let answer = handler(&store, &request).unwrap_or_else(not_found);
            Box::pin(std::future::ready(answer))
        });
        AdminRoute {
            surface: Surface::Admin,
            method,
            path: path.to_owned(),
            handler,
        }
    };
    vec![
        route("DELETE", "/proxy-cache", delete),
        route("GET", "/proxy-cache/{cache_key}", get),
        route("DELETE", "/proxy-cache/{cache_key}", delete),
        route("GET", "/proxy-cache/{plugin_id}/caches/{cache_key}", get),
        route("DELETE", "/proxy-cache/{plugin_id}/caches/{cache_key}", delete),
    ]
}
