//! A node inside another program: with plugins of its own, beside a runtime of its own, as a tower service.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use kong_config::{Config, LoadOptions};
use kong_node::Node;
use kong_plugin::context::{Access, BodyFilter, HeaderFilter, Log, Response};
use kong_plugin::{Action, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, Step};
use kong_schema::Record;
use serde::Deserialize;
use serde_json::{Value, json};
use tower_service::Service;

/// Configuration of the test's plugin.
#[derive(Deserialize, Record)]
struct Trouble {
    /// Phase in which to panic.
    panic_in: Option<String>,
    /// Wait before panicking.
    #[kong(required, default = false)]
    late: bool,
}

impl Trouble {
    fn panic_if(&self, phase: &str) {
        assert!(self.panic_in.as_deref() != Some(phase), "trouble in {phase}");
    }
}

impl Plugin for Trouble {
    fn access<'a>(&'a self, _cx: &'a mut Access<'_>) -> Step<'a> {
        if self.late {
            return Step::wait(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.panic_if("access");
                Ok(Action::Continue)
            });
        }
        self.panic_if("access");
        Step::CONTINUE
    }

    fn header_filter<'a>(&'a self, cx: &'a mut HeaderFilter<'_>) -> Step<'a> {
        cx.set_header("X-Trouble", "seen");
        self.panic_if("header_filter");
        Step::CONTINUE
    }

    fn body_filter(&self, _cx: &mut BodyFilter<'_>, chunk: &mut Bytes, _last: bool) -> Result<(), PluginError> {
        self.panic_if("body_filter");
        *chunk = Bytes::from(chunk.to_ascii_uppercase());
        Ok(())
    }

    fn log(&self, _cx: &mut Log<'_>) -> Result<(), PluginError> {
        self.panic_if("log");
        Ok(())
    }
}

impl PluginDefinition for Trouble {
    const NAME: &'static str = "trouble";
    const PRIORITY: i32 = 1;
    const PHASES: Phases = Phases::ACCESS
        .with(Phases::HEADER_FILTER)
        .with(Phases::BODY_FILTER)
        .with(Phases::LOG);
    type Config = Self;
    type State = ();

    fn new(config: Self, _: Instance, _: &Arc<()>, _: &PluginEnv) -> Result<Self, PluginError> {
        Ok(config)
    }
}

/// A plugin with a `response` phase: it sees the whole answer of the service.
#[derive(Deserialize, Record)]
struct Whole {}

impl Plugin for Whole {
    fn response<'a>(&'a self, cx: &'a mut Response<'_>) -> Step<'a> {
        let body = cx.body();
        if body.is_empty() {
            return Step::respond(LocalResponse::message(502, "nothing came"));
        }
        cx.set_header("X-Length", body.len().to_string());
        cx.set_body(format!("[{}]", String::from_utf8_lossy(&body)));
        Step::CONTINUE
    }
}

impl PluginDefinition for Whole {
    const NAME: &'static str = "whole";
    const PRIORITY: i32 = 2;
    const PHASES: Phases = Phases::RESPONSE;
    type Config = Self;
    type State = ();

    fn new(config: Self, _: Instance, _: &Arc<()>, _: &PluginEnv) -> Result<Self, PluginError> {
        Ok(config)
    }
}

struct Fixture {
    node: Node,
    _prefix: tempfile::TempDir,
    origin: SocketAddr,
}

fn start() -> Fixture {
    let prefix = tempfile::tempdir().unwrap();
    let port = || {
        std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    };
    let env = [
        ("KONG_PREFIX", prefix.path().to_str().unwrap().to_owned()),
        ("KONG_PROXY_LISTEN", format!("127.0.0.1:{}", port())),
        ("KONG_ADMIN_LISTEN", format!("127.0.0.1:{}", port())),
        ("KONG_STATUS_LISTEN", "off".to_owned()),
        ("KONG_NGINX_WORKER_PROCESSES", "2".to_owned()),
    ];
    let options = LoadOptions::new(env.map(|(name, value)| (name.to_owned(), value)));
    let config = Config::load(&options).unwrap();
    let node = Node::builder(config)
        .plugin::<Trouble>()
        .plugin::<Whole>()
        .start()
        .unwrap();
    Fixture {
        node,
        _prefix: prefix,
        origin: origin(),
    }
}

/// Answers every request with `hello`, one connection at a time.
fn origin() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|n| n > 0) {
                    if stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                        .is_err()
                    {
                        break;
                    }
                }
            });
        }
    });
    address
}

impl Fixture {
    fn call(&self, to: SocketAddr, method: &str, path: &str, body: Option<Value>) -> (u16, String, String) {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let content = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/json\r\n"
        };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: test\r\n{content}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    }

    fn admin(&self, method: &str, path: &str, body: Value) {
        let (status, _, text) = self.call(self.node.admin_addresses()[0], method, path, Some(body));
        assert!((200..300).contains(&status), "{method} {path}: {status} {text}");
    }

    fn proxy(&self, path: &str) -> (u16, String, String) {
        self.call(self.node.proxy_addresses()[0], "GET", path, None)
    }

    /// A route `/name` with a plugin.
    fn route(&self, name: &str, plugin: &str, config: Value) {
        let url = format!("http://{}", self.origin);
        self.admin("POST", "/services", json!({"name": name, "url": url}));
        self.admin(
            "POST",
            &format!("/services/{name}/routes"),
            json!({"name": name, "paths": [format!("/{name}")]}),
        );
        self.admin(
            "POST",
            &format!("/routes/{name}/plugins"),
            json!({"name": plugin, "config": config}),
        );
    }
}

#[test]
fn a_panicking_plugin_costs_its_own_request_a_500_and_nothing_else() {
    let fixture = start();
    fixture.route("calm", "trouble", json!({}));
    fixture.route("at-once", "trouble", json!({"panic_in": "access"}));
    fixture.route("later", "trouble", json!({"panic_in": "access", "late": true}));
    fixture.route("head", "trouble", json!({"panic_in": "header_filter"}));
    fixture.route("body", "trouble", json!({"panic_in": "body_filter"}));
    fixture.route("log", "trouble", json!({"panic_in": "log"}));
    for path in ["/at-once", "/later"] {
        let (status, _, body) = fixture.proxy(path);
        assert_eq!(status, 500, "{path}");
        // The plugin's own `body_filter` runs on the answer too, and writes capitals.
        assert!(body.contains("AN UNEXPECTED ERROR OCCURRED"), "{body}");
    }
    for path in ["/head", "/body", "/log", "/calm"] {
        let (status, head, _) = fixture.proxy(path);
        assert_eq!(status, 200, "{path}");
        assert!(head.contains("X-Trouble: seen"), "{head}");
    }
    assert!(fixture.proxy("/calm").2.contains("HELLO"));
}

#[test]
fn a_plugin_may_wait_for_the_whole_response() {
    let fixture = start();
    fixture.route("whole", "whole", json!({}));
    let (status, head, body) = fixture.proxy("/whole");
    assert_eq!(status, 200);
    assert!(head.contains("X-Length: 5"), "{head}");
    assert_eq!(body, "[hello]");
}

#[test]
fn a_node_is_a_tower_service_beside_any_runtime() {
    let fixture = start();
    fixture.route("calm", "trouble", json!({}));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut calls = Vec::new();
        for _ in 0..8 {
            let mut service = fixture.node.service();
            calls.push(tokio::spawn(async move {
                let request = http::Request::post("http://test/calm")
                    .body(Full::new(Bytes::from("x")))
                    .unwrap();
                let response = service.call(request).await.unwrap();
                let status = response.status().as_u16();
                let via = response.headers().contains_key("via");
                (status, via, response.into_body().collect().await.unwrap().to_bytes())
            }));
        }
        for call in calls {
            assert_eq!(call.await.unwrap(), (200, true, Bytes::from("HELLO")));
        }
    });
    fixture.node.stop();
    let mut service = fixture.node.service();
    let request = http::Request::get("http://test/calm")
        .body(Full::new(Bytes::new()))
        .unwrap();
    assert!(
        runtime.block_on(service.call(request)).is_err(),
        "a stopped node answers with an error"
    );
}

#[test]
fn a_node_is_mounted_in_axum() {
    let fixture = start();
    fixture.route("calm", "trouble", json!({}));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let service = fixture.node.service();
    let text = runtime.block_on(async move {
        let gateway = tower::service_fn(move |request: axum::extract::Request| {
            let mut service = service.clone();
            async move {
                let response = service.call(request).await.unwrap();
                Ok::<_, std::convert::Infallible>(response.map(axum::body::Body::new))
            }
        });
        let app = axum::Router::new()
            .route("/own", axum::routing::get(|| async { "own" }))
            .fallback_service(gateway);
        let ask = |path: &'static str| {
            let mut app = app.clone();
            async move {
                let request = axum::extract::Request::get(path)
                    .body(axum::body::Body::empty())
                    .unwrap();
                let response = app.call(request).await.unwrap();
                response.into_body().collect().await.unwrap().to_bytes()
            }
        };
        (ask("/own").await, ask("/calm").await)
    });
    assert_eq!(text, (Bytes::from("own"), Bytes::from("HELLO")));
}
