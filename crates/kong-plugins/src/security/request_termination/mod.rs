//! `request-termination`: answers instead of the service (plugins-auth-traffic.md §3.5).

use std::sync::Arc;

use bytes::Bytes;
use kong_plugin::context::Access;
use kong_plugin::{
    Action, Exchange, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, PluginResult,
    Step, arguments, body, serializer,
};
use kong_schema::Record;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Configuration of `request-termination`.
#[derive(Debug, Clone, Deserialize, Record)]
#[kong(check = check)]
pub struct Config {
    /// Status of the answer.
    #[kong(required, default = 503, between(100, 599))]
    pub status_code: u16,
    /// Message of the answer, as JSON.
    pub message: Option<String>,
    /// Content type of `body`.
    pub content_type: Option<String>,
    /// Body of the answer, sent as it is.
    pub body: Option<String>,
    /// Answer with a description of the request.
    #[kong(required, default = false)]
    pub echo: bool,
    /// Header or query argument that makes the plugin act; unset: it always does.
    #[kong(kind = "header_name")]
    pub trigger: Option<String>,
}

fn check(config: &Value) -> Result<(), Value> {
    let has = |name: &str| config.get(name).is_some_and(|value| !value.is_null());
    if has("message") && (has("content_type") || has("body")) {
        return Err("message cannot be used with content_type or body".into());
    }
    if has("content_type") && !has("body") {
        return Err("content_type requires a body".into());
    }
    let echo = config.get("echo").and_then(Value::as_bool).unwrap_or(false);
    if echo && (has("content_type") || has("body")) {
        return Err("echo cannot be used with content_type and body".into());
    }
    Ok(())
}

/// See the module.
pub struct RequestTermination {
    config: Config,
    workspace: Uuid,
}

impl PluginDefinition for RequestTermination {
    const NAME: &'static str = "request-termination";
    const PRIORITY: i32 = 2;
    const PHASES: Phases = Phases::ACCESS;

    type Config = Config;
    type State = ();

    fn new(config: Config, instance: Instance, _state: &Arc<()>, _env: &PluginEnv) -> Result<Self, PluginError> {
        Ok(RequestTermination {
            config,
            workspace: instance.ws_id,
        })
    }
}

impl Plugin for RequestTermination {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        if self
            .config
            .trigger
            .as_ref()
            .is_some_and(|trigger| !is_triggered(cx, trigger))
        {
            return Step::CONTINUE;
        }
        if self.config.echo {
            return Step::wait(self.echo(cx));
        }
        Step::respond(self.answer())
    }
}

fn is_triggered(exchange: &Exchange, name: &str) -> bool {
    exchange.headers().contains(name)
        || exchange
            .query
            .as_deref()
            .is_some_and(|query| arguments::arguments(query).any(|argument| *argument.name == *name.as_bytes()))
}

impl RequestTermination {
    fn message(&self) -> Option<&str> {
        self.config.message.as_deref().or(match self.config.status_code {
            401 => Some("Unauthorized"),
            404 => Some("Not found"),
            405 => Some("Method not allowed"),
            500 => Some("An unexpected error occurred"),
            502 => Some("Bad Gateway"),
            503 => Some("Service unavailable"),
            _ => None,
        })
    }

    fn answer(&self) -> LocalResponse {
        let status = self.config.status_code;
        if let Some(body) = &self.config.body {
            let response = LocalResponse::text(status, body.clone());
            return match &self.config.content_type {
                Some(kind) => response.header(Bytes::from_static(b"Content-Type"), kind.clone()),
                None => response,
            };
        }
        match self.message() {
            Some(message) => LocalResponse::message(status, message),
            None => LocalResponse::exit(status),
        }
    }

    async fn echo(&self, cx: &mut Access<'_>) -> PluginResult {
        let raw = cx.read_body().await.map_err(PluginError::new)?;
        let mut answer = Map::new();
        if let Some(message) = self.message() {
            answer.insert("message".into(), message.into());
        }
        let node = &cx.node;
        answer.insert(
            "kong".into(),
            json!({ "node_id": node.id, "worker_pid": std::process::id(), "hostname": node.hostname }),
        );
        answer.insert("request".into(), describe(cx, raw.as_ref()));
        if let Some(route) = &cx.route {
            answer.insert(
                "matched_route".into(),
                serializer::entity(&**route, Some(self.workspace)),
            );
        }
        if let Some(service) = &cx.service {
            answer.insert(
                "matched_service".into(),
                serializer::entity(&**service, Some(self.workspace)),
            );
        }
        Ok(Action::Respond(LocalResponse::json(
            self.config.status_code,
            Value::Object(answer),
        )))
    }
}

fn describe(exchange: &Exchange, raw: Option<&Bytes>) -> Value {
    let (mut named, mut unnamed) = (Map::new(), Vec::new());
    for (name, value) in &exchange.captures {
        match name.parse::<usize>() {
            // The whole match.
            Ok(0) => {}
            Ok(_) => unnamed.push(Value::from(value.clone())),
            Err(_) => {
                named.insert(name.clone(), value.clone().into());
            }
        }
    }
    let mut request = json!({
        "scheme": exchange.scheme,
        "host": exchange.host_name(),
        "port": exchange.host_port,
        "headers": serializer::headers(&exchange.head.headers),
        "query": exchange.query.as_deref().map(arguments::to_object).unwrap_or_default(),
        "method": exchange.method(),
        "path": String::from_utf8_lossy(&exchange.path),
        "uri_captures": { "named": named, "unnamed": unnamed },
    });
    let content_type = exchange.header("content-type").unwrap_or_default();
    if let (Some(raw), Value::Object(request)) = (raw, &mut request) {
        request.insert("raw_body".into(), String::from_utf8_lossy(raw).into());
        if let Some(parsed) = body::parameters(content_type, raw) {
            request.insert("body".into(), Value::Object(parsed));
        }
    }
    request
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use kong_plugin::testing::TestNode;
    use kong_plugin::{LocalBody, kind};

    fn node() -> TestNode {
        TestNode::new(vec![kind::<RequestTermination>()])
    }

    fn answer(config: Value, request: &str) -> Option<LocalResponse> {
        let node = node();
        let plan = node.plan_of(&[("request-termination", config)]);
        node.run(&plan, request).local().cloned()
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

    #[test]
    fn statuses_have_default_messages_or_none() {
        for (status, message) in [
            (401, Some("Unauthorized")),
            (404, Some("Not found")),
            (405, Some("Method not allowed")),
            (500, Some("An unexpected error occurred")),
            (502, Some("Bad Gateway")),
            (503, Some("Service unavailable")),
            (200, None),
            (204, None),
            (403, None),
            (429, None),
        ] {
            let local = answer(json!({"status_code": status}), GET).unwrap();
            assert_eq!(local.status, status);
            match (local.body, message) {
                (LocalBody::Json(body), Some(message)) => assert_eq!(body, json!({"message": message})),
                (LocalBody::Empty, None) => {}
                (body, _) => panic!("{status}: {body:?}"),
            }
        }
    }

    #[test]
    fn a_body_is_sent_as_it_is() {
        let local = answer(
            json!({"status_code": 418, "body": "<b>", "content_type": "text/html"}),
            GET,
        )
        .unwrap();
        assert!(matches!(&local.body, LocalBody::Text(text) if text == "<b>"));
        assert_eq!(local.headers, [(Bytes::from("Content-Type"), Bytes::from("text/html"))]);
        assert!(answer(json!({"body": "x"}), GET).unwrap().headers.is_empty());
    }

    #[test]
    fn a_trigger_is_a_header_or_a_query_argument() {
        for (target, lines, acts) in [
            ("/", "", false),
            ("/", "X-Stop: \r\n", true),
            ("/?x-stop", "", true),
            ("/?x-stop=0", "", true),
            ("/?X-Stop=1", "", false),
            ("/?x_stop=1", "", false),
            ("/x-stop", "", false),
        ] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n");
            assert_eq!(
                answer(json!({"trigger": "x-stop"}), &request).is_some(),
                acts,
                "{target} {lines}"
            );
        }
    }

    #[test]
    fn echo_describes_the_request() {
        let request =
            "POST /f?x=1&y&x=2 HTTP/1.1\r\nHost: A.test:8000\r\nContent-Type: application/json\r\n\r\n{\"k\": [1]}";
        let local = answer(json!({"echo": true, "status_code": 404, "message": "mine"}), request).unwrap();
        let LocalBody::Json(body) = local.body else {
            panic!("no JSON")
        };
        assert_eq!(body["message"], "mine");
        assert_eq!(body["kong"]["hostname"], "node.test");
        assert_eq!(body["matched_service"]["host"], "upstream.test");
        assert_eq!(body["matched_route"]["name"], "route");
        assert_eq!(
            body["request"],
            json!({
                "scheme": "http", "host": "a.test", "port": 8000, "method": "POST", "path": "/f",
                "query": {"x": ["1", "2"], "y": true},
                "headers": {"host": "A.test:8000", "content-type": "application/json"},
                "raw_body": "{\"k\": [1]}", "body": {"k": [1]},
                "uri_captures": {"named": {}, "unnamed": []},
            })
        );
        let local = answer(
            json!({"echo": true}),
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n\r\nraw",
        );
        let LocalBody::Json(body) = local.unwrap().body else {
            panic!("no JSON")
        };
        assert_eq!(
            (&body["request"]["raw_body"], body["request"].get("body")),
            (&json!("raw"), None)
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let node = node();
        let message = "message cannot be used with content_type or body";
        for (config, expected) in [
            (
                json!({"status_code": 99}),
                json!({"status_code": "value should be between 100 and 599"}),
            ),
            (
                json!({"status_code": null}),
                json!({"status_code": "required field missing"}),
            ),
            (json!({"message": "a", "body": "b"}), json!(message)),
            (json!({"message": "a", "content_type": "b"}), json!(message)),
            (json!({"content_type": "b"}), json!("content_type requires a body")),
            (
                json!({"echo": true, "body": "b"}),
                json!("echo cannot be used with content_type and body"),
            ),
        ] {
            let errors = node.configuration("request-termination", config.clone()).unwrap_err();
            assert_eq!(errors, json!({ "config": expected }), "{config}");
        }
    }
}
