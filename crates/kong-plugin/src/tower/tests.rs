#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use kong_message::{Body, ResponseHead};
use kong_schema::{HTTP_PROTOCOLS, PluginScopes, Record, plugin_schema};
use serde_json::json;
use tower::limit::ConcurrencyLimitLayer;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::validate_request::ValidateRequestHeaderLayer;

use super::{Gate, LayerPlugin, layer_kind};
use crate::pipeline::{self, Flow};
use crate::testing::TestNode;
use crate::{Action, Exchange, Plan, PluginKind};

macro_rules! node {
    ($layer:expr) => {{
        let schema = plugin_schema(
            "layer",
            Record::default(),
            PluginScopes::ALL,
            HTTP_PROTOCOLS,
            HTTP_PROTOCOLS,
            Vec::new(),
        );
        let kind: Arc<dyn PluginKind> = layer_kind("layer", 500, schema.into(), |_| Ok($layer));
        TestNode::new(vec![kind])
    }};
}

fn plan(node: &TestNode) -> Arc<Plan> {
    node.plan_of(&[("layer", json!({}))])
}

const GET: &str = "GET /a?b=1 HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\nX-Odd-Case: 1\r\n\r\n";

fn response() -> ResponseHead {
    let mut head = ResponseHead::new(200);
    head.headers.append("Content-Type", "text/plain");
    head.headers.append("X-Kept-Case", "1");
    head
}

/// Runs a test with tokio's clock stopped.
fn paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(test);
}

#[test]
fn compression_changes_body_and_headers() {
    let node = node!(CompressionLayer::new());
    let text = "all work and no play ".repeat(100);
    let mut head = response();
    head.headers.append("Content-Length", text.len().to_string());
    let answer = node.run(&plan(&node), GET).finish(head, text.clone());
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("vary"), Some("accept-encoding"));
    let names: Vec<_> = answer
        .exchange
        .response
        .as_ref()
        .unwrap()
        .headers
        .iter()
        .map(|(name, _)| name)
        .collect();
    assert!(names.contains(&&b"X-Kept-Case"[..]));
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&*answer.body)
        .read_to_string(&mut plain)
        .unwrap();
    assert_eq!(plain, text);

    let plain_request = GET.replace("gzip", "identity");
    let answer = node.run(&plan(&node), &plain_request).finish(response(), text.clone());
    assert_eq!(
        (answer.header("content-encoding"), &*answer.body),
        (None, text.as_bytes())
    );
}

#[test]
fn a_layer_may_answer_instead_of_the_service() {
    let node = node!(ValidateRequestHeaderLayer::accept("application/json"));
    let plan = plan(&node);
    let with = |accept: &str| GET.replace("X-Odd-Case: 1", &format!("Accept: {accept}"));
    let refused = node.run(&plan, &with("text/html"));
    assert_eq!((refused.status(), refused.is_proxied()), (406, false));
    assert_eq!(refused.finish(response(), "").status(), 406);
    let passed = node.run(&plan, &with("application/json"));
    assert!(passed.is_proxied());
    let answer = passed.finish(response(), "body");
    assert_eq!((answer.status(), &*answer.body), (200, &b"body"[..]));
}

#[test]
fn requests_pass_unchanged_through_a_layer_that_changes_nothing() {
    let node = node!(tower_layer::Identity::new());
    let run = node.run(
        &plan(&node),
        &GET.replace("GET", "POST").replace("\r\n\r\n", "\r\n\r\nthe body"),
    );
    let lines: Vec<_> = run
        .exchange
        .head
        .headers
        .iter()
        .map(|(name, _)| name.to_vec())
        .collect();
    assert_eq!(lines, [&b"Host"[..], b"Accept-Encoding", b"X-Odd-Case"]);
    assert_eq!(run.exchange.query.as_deref(), Some(&b"b=1"[..]));
    assert!(matches!(&run.exchange.body, Body::Memory(bytes) if bytes == "the body"));
}

async fn enter(node: &TestNode, plan: &Arc<Plan>) -> (Exchange, Flow) {
    let mut exchange = node.exchange(GET);
    exchange.plan = plan.clone();
    let flow = pipeline::access(&mut exchange).await;
    (exchange, flow)
}

#[test]
#[allow(deprecated)]
fn a_timeout_abandons_the_service() {
    let node = node!(TimeoutLayer::new(Duration::from_secs(5)));
    let plan = plan(&node);
    paused(async {
        let (mut exchange, flow) = enter(&node, &plan).await;
        assert!(flow.is_continue());
        // What the proxy does while it waits for the service, which never answers here.
        let guard = exchange.guards.pop().unwrap();
        let before = tokio::time::Instant::now();
        let (head, _) = guard.await;
        assert_eq!((head.status, before.elapsed()), (408, Duration::from_secs(5)));
        // The answer is not led through the layer a second time.
        exchange.response = Some(head);
        pipeline::header_filter(&mut exchange).await;
        assert_eq!(exchange.status(), Some(408));
    });
    paused(async {
        // A service that answers in time is not disturbed.
        let (mut exchange, _) = enter(&node, &plan).await;
        let mut guard = exchange.guards.pop().unwrap();
        let answered = tokio::time::timeout(Duration::from_secs(4), &mut guard).await;
        assert!(answered.is_err());
        drop(guard);
        exchange.response = Some(response());
        pipeline::header_filter(&mut exchange).await;
        assert_eq!(exchange.status(), Some(200));
    });
}

#[test]
fn a_concurrency_limit_makes_requests_wait() {
    let node = node!(ConcurrencyLimitLayer::new(2));
    let plan = plan(&node);
    paused(async {
        let (mut first, _) = enter(&node, &plan).await;
        let (second, _) = enter(&node, &plan).await;
        let waited = tokio::time::timeout(Duration::from_secs(1), enter(&node, &plan)).await;
        assert!(waited.is_err(), "a third request waits for one of the two");
        // The first gets its response: its place is free.
        first.guards.clear();
        first.response = Some(response());
        pipeline::header_filter(&mut first).await;
        let (third, flow) = tokio::time::timeout(Duration::from_secs(1), enter(&node, &plan))
            .await
            .unwrap();
        assert!(flow.is_continue());
        // The others go away without a response: their places are free too.
        drop((second, third));
        for _ in 0..5 {
            let (_, flow) = tokio::time::timeout(Duration::from_secs(1), enter(&node, &plan))
                .await
                .unwrap();
            assert!(flow.is_continue());
        }
    });
}

#[derive(Clone)]
struct Edit<S>(S);

impl<S> tower_service::Service<http::Request<Body>> for Edit<S>
where
    S: tower_service::Service<http::Request<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> S::Future {
        *request.uri_mut() = "/other?c=2".parse().unwrap();
        *request.method_mut() = http::Method::PUT;
        request.headers_mut().remove("x-odd-case");
        request
            .headers_mut()
            .insert("x-new", http::HeaderValue::from_static("1"));
        self.0.call(request)
    }
}

#[test]
fn edits_of_the_request_reach_the_service() {
    let node = node!(tower_layer::layer_fn(Edit::<Gate>));
    let run = node.run(&plan(&node), GET);
    assert!(run.is_proxied());
    assert_eq!(run.exchange.method(), "PUT");
    assert_eq!(run.exchange.query.as_deref(), Some(&b"c=2"[..]));
    assert_eq!(run.exchange.upstream.as_ref().unwrap().path, "/other");
    assert_eq!(
        (run.exchange.header("x-odd-case"), run.exchange.header("x-new")),
        (None, Some("1"))
    );
}

#[test]
fn a_plugin_that_answers_later_is_led_through_the_layer_too() {
    let node = node!(CompressionLayer::new());
    let mut exchange = node.exchange(GET);
    exchange.plan = plan(&node);
    crate::testing::block_on(async {
        assert!(matches!(pipeline::access(&mut exchange).await, Flow::Continue));
        exchange.response = Some(response());
        exchange.response_body = Body::from_bytes("x".repeat(1000));
        pipeline::header_filter(&mut exchange).await;
    });
    assert_eq!(
        exchange.response.unwrap().headers.get_str("content-encoding"),
        Some("gzip")
    );
}

#[test]
fn plugins_of_layers_can_be_made_without_a_kind() {
    let plugin: Arc<dyn crate::Plugin> = Arc::new(LayerPlugin::new(tower_layer::Identity::new()));
    let node = node!(tower_layer::Identity::new());
    let mut exchange = node.exchange(GET);
    let mut cx = crate::context::Access::new(&mut exchange);
    let action = crate::testing::block_on(async {
        match plugin.access(&mut cx) {
            crate::Step::Wait(future) => future.await,
            crate::Step::Ready(result) => result,
        }
    });
    assert!(matches!(action, Ok(Action::Continue)));
}
