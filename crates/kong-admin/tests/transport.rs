//! What holds for every endpoint: headers, methods, limits, bodies.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::sync::Arc;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use kong_admin::{AdminApp, AdminResponse, HeaderOptions, PluginRoute, status_app};
use serde_json::{Value, json};
use support::{context, send};
use tower::ServiceExt;

#[tokio::test]
async fn answers_carry_their_length_and_no_other_headers_than_documented() {
    let response = AdminApp::new(context()).oneshot(get("/nowhere")).await.unwrap();
    let mut names: Vec<_> = response.headers().keys().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "access-control-allow-credentials",
            "access-control-allow-origin",
            "content-length",
            "content-type",
            "server",
            "x-kong-admin-latency",
        ]
    );
    assert_eq!(response.headers()["server"], "kong/3.9.3");
    assert_eq!(response.headers()["content-length"], "23");
}

#[tokio::test]
async fn the_gateways_own_headers_can_be_turned_off() {
    let mut context = context();
    context.headers = HeaderOptions::from_names(["x-kong-request-id"]);
    let response = AdminApp::new(context).oneshot(get("/status")).await.unwrap();
    assert!(!response.headers().contains_key("server") && !response.headers().contains_key("x-kong-admin-latency"));
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let app = AdminApp::new(context());
    for (path, status) in [("/status", 200), ("/nowhere", 404), ("/cache", 405)] {
        let request = Request::builder().method("HEAD").uri(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_ne!(response.headers()["content-length"], "0");
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}

#[tokio::test]
async fn large_bodies_are_refused_whether_announced_or_not() {
    let mut context = context();
    context.max_body = 1000;
    let app = AdminApp::new(context);
    for announced in [true, false] {
        let body = Body::from_stream(futures_util::stream::iter(
            (0..11).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 100])),
        ));
        let mut request = Request::builder()
            .method("POST")
            .uri("/tags")
            .header("content-type", "application/json");
        request = match announced {
            true => request.header("content-length", 1100),
            false => request.header("transfer-encoding", "chunked"),
        };
        let response = app.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(response.headers()["content-type"], "text/html; charset=UTF-8");
    }
}

#[tokio::test]
async fn a_thousand_arguments_are_enough() {
    let app = AdminApp::new(context());
    let (status, body) = send(&app, get(&format!("/status?{}", "a=1&".repeat(1001)))).await;
    assert_eq!((status, body), (400, json!({"message": "Too many arguments"})));
    let request = Request::builder()
        .method("POST")
        .uri("/tags")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("a=1&".repeat(1001).into())
        .unwrap();
    assert_eq!(
        send(&app, request).await,
        (400, json!({"message": "Too many arguments"}))
    );
}

#[tokio::test]
async fn plugins_add_routes_of_their_own() {
    let mut context = context();
    context.plugin_routes.push(PluginRoute {
        method: "GET".to_owned(),
        path: "/proxy-cache/{cache_key}".to_owned(),
        handler: Arc::new(|req| Box::pin(async move { AdminResponse::json(200, &req.raw_param(0)) })),
    });
    let app = AdminApp::new(context);
    assert_eq!(send(&app, get("/proxy-cache/a%20b/")).await, (200, json!("a%20b")));
    let (_, endpoints) = send(&app, get("/endpoints")).await;
    assert!(
        endpoints["data"]
            .as_array()
            .unwrap()
            .contains(&json!("/proxy-cache/{cache_key}"))
    );
}

#[tokio::test]
async fn the_status_api_knows_readiness_and_nothing_of_entities() {
    let context = context();
    let app = status_app(context);
    assert_eq!(
        send(&app, get("/status/ready")).await,
        (200, json!({"message": "ready"}))
    );
    assert_eq!(
        send(&app, get("/services")).await,
        (404, json!({"message": "Not found"}))
    );
    assert_eq!(
        send(&app, get("/status")).await.1["database"],
        json!({"reachable": true})
    );
    let post = |body: &str| {
        let request = Request::builder()
            .method("POST")
            .uri("/status/ready")
            .header("content-type", "application/json");
        request.body(Body::from(body.to_owned())).unwrap()
    };
    assert_eq!(send(&app, post("{\"status\":\"up\"}")).await.0, 400);
    assert_eq!(send(&app, get("/status/ready")).await.0, 200);
    assert_eq!(send(&app, post("{\"status\":\"draining\"}")).await, (204, Value::Null));
    assert_eq!(
        send(&app, get("/status/ready")).await,
        (503, json!({"message": "draining"}))
    );
    assert_eq!(send(&app, get("/status")).await.0, 200);
}

fn get(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}
