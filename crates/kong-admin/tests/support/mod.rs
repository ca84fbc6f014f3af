//! A node for tests.
#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use kong_admin::{AdminContext, NodeInfo, entity_rules};
use kong_datastore::dao::{Dao, NoListener};
use kong_datastore::{BoxFuture, Datastore, MemoryStore};
use kong_model::{RegistryBuilder, RouterFlavor};
use kong_schema::{Object, Schema};
use serde_json::Value;
use tower::ServiceExt;
use uuid::Uuid;

/// A node that remembers being drained.
#[derive(Default)]
pub(crate) struct Node {
    draining: AtomicBool,
}

impl NodeInfo for Node {
    fn node_id(&self) -> Uuid {
        Uuid::nil()
    }

    fn hostname(&self) -> String {
        "test".to_owned()
    }

    fn configuration(&self) -> Object {
        Object::new()
    }

    fn readiness(&self) -> Result<(), String> {
        if self.draining.load(Ordering::Relaxed) {
            Err("draining".to_owned())
        } else {
            Ok(())
        }
    }

    fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn invalidate<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(tokio::time::sleep(std::time::Duration::from_millis(300)))
    }
}

/// An application over an empty in-memory store with the core entities.
pub(crate) fn context() -> AdminContext {
    context_with([])
}

/// As [`context`], with further entities.
pub(crate) fn context_with(entities: impl IntoIterator<Item = Schema>) -> AdminContext {
    let builder = RegistryBuilder::new(RouterFlavor::default());
    let builder = entities
        .into_iter()
        .fold(builder, |builder, schema| builder.entity(Arc::new(schema)));
    let registry = Arc::new(builder.build().unwrap());
    let store = Arc::new(MemoryStore::new());
    futures_util::FutureExt::now_or_never(store.prepare(registry.schemas()))
        .unwrap()
        .unwrap();
    let dao = Dao::new(store, registry.schemas().into(), Uuid::nil(), Arc::new(NoListener)).with_rules(entity_rules());
    AdminContext::new(dao, registry, Arc::new(Node::default()))
}

/// Status and JSON body (null when there is none).
pub(crate) async fn send(app: &Router, request: Request<Body>) -> (u16, Value) {
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// A request with a JSON body, or without a body when it is null.
pub(crate) fn request(method: &str, path: &str, body: &Value) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    if body.is_null() {
        return request.body(Body::empty()).unwrap();
    }
    request
        .header("content-type", "application/json")
        .body(body.to_string().into())
        .unwrap()
}

/// Sends a request with a JSON body (null: none).
pub(crate) async fn call(app: &Router, method: &str, path: &str, body: Value) -> (u16, Value) {
    send(app, request(method, path, &body)).await
}
