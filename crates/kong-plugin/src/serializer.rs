//! The log entry of a request or a session (plugins-transform-observe.md §3), which every log plugin writes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kong_message::{ConnInfo, HeaderBlock};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{Exchange, PluginError, Source, StreamExchange, Try, arguments};

/// Most header lines that an entry shows.
const MAX_HEADERS: usize = 100;

/// What a [`LogValue`] does when its field is, or is not, there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogMode {
    /// Whether it is there or not.
    #[default]
    Set,
    /// Only when it is absent.
    Add,
    /// Only when it is present.
    Replace,
}

/// A value that a plugin puts into the log entry of the request.
#[derive(Debug, Clone, PartialEq)]
pub struct LogValue {
    /// Where: names separated by dots.
    pub path: String,
    /// The value; null deletes the field.
    pub value: Value,
    /// When.
    pub mode: LogMode,
}

impl LogValue {
    /// Sets a field.
    pub fn set(path: impl Into<String>, value: Value) -> Self {
        LogValue {
            path: path.into(),
            value,
            mode: LogMode::Set,
        }
    }

    /// Applies the value to an entry.
    ///
    /// # Errors
    /// When the path leads through something that is no object.
    pub fn apply(&self, entry: &mut Map<String, Value>) -> Result<(), PluginError> {
        let mut object = entry;
        let mut names = self.path.split('.').peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                let is_present = object.get(name).is_some_and(|value| !value.is_null());
                match self.mode {
                    LogMode::Add if is_present => {}
                    LogMode::Replace if !is_present => {}
                    _ if self.value.is_null() => {
                        object.remove(name);
                    }
                    _ => {
                        object.insert(name.to_owned(), self.value.clone());
                    }
                }
                return Ok(());
            }
            if !object.contains_key(name) {
                if self.mode == LogMode::Replace {
                    return Ok(());
                }
                object.insert(name.to_owned(), Value::Object(Map::new()));
            }
            object = match object.get_mut(name) {
                Some(Value::Object(inner)) => inner,
                other => {
                    return Err(PluginError(format!(
                        "The key '{}' could not be used as a serialize value. Subkey '{name}' is not a table. It's {}",
                        self.path,
                        other.map(|v| v.to_string()).unwrap_or_default()
                    )));
                }
            };
        }
        Ok(())
    }
}

/// The entry of an HTTP request, in the `log` phase. `workspace` is that of the instance that writes it.
///
/// # Errors
/// When a plugin's value cannot be placed.
pub fn http(exchange: &Exchange, workspace: Uuid) -> Result<Map<String, Value>, PluginError> {
    let mut entry = Map::new();
    entry.insert("request".into(), request(exchange));
    entry.insert("upstream_uri".into(), upstream_uri(exchange).into());
    entry.insert("upstream_status".into(), upstream_status(exchange).into());
    let status = if exchange.is_client_gone && exchange.response.is_none() {
        499
    } else {
        exchange.status().unwrap_or(0)
    };
    entry.insert(
        "response".into(),
        json!({
            "status": status,
            "headers": exchange.response.as_ref().map(|head| headers(&head.headers)).unwrap_or_default(),
            "size": exchange.bytes_sent,
        }),
    );
    entry.insert("latencies".into(), latencies(exchange));
    if exchange.upstream.is_some() {
        entry.insert("tries".into(), tries(&exchange.tries));
    }
    if let Some(credential) = &exchange.credential {
        entry.insert("authenticated_entity".into(), json!({ "id": credential.id.as_deref() }));
    }
    if let Some(route) = &exchange.route {
        entry.insert("route".into(), entity(&**route, Some(workspace)));
    }
    if let Some(service) = &exchange.service {
        entry.insert("service".into(), entity(&**service, Some(workspace)));
    }
    if let Some(consumer) = &exchange.consumer {
        entry.insert("consumer".into(), entity(&**consumer, None));
    }
    entry.insert("client_ip".into(), exchange.client.ip.to_string().into());
    entry.insert("started_at".into(), epoch_millis(exchange.timings.wall).into());
    entry.insert(
        "source".into(),
        if exchange.source == Source::Service {
            "upstream"
        } else {
            "kong"
        }
        .into(),
    );
    entry.insert("workspace".into(), workspace.to_string().into());
    entry.insert("workspace_name".into(), "default".into());
    for value in &exchange.log_values {
        value.apply(&mut entry)?;
    }
    Ok(entry)
}

/// The entry of an L4 session.
///
/// # Errors
/// When a plugin's value cannot be placed.
pub fn stream(exchange: &StreamExchange, workspace: Uuid) -> Result<Map<String, Value>, PluginError> {
    let mut entry = Map::new();
    let mut session = json!({
        "received": exchange.bytes_received,
        "sent": exchange.bytes_sent,
        "status": exchange.status,
        "server_port": exchange.conn.local.port(),
    });
    if let (Some(tls), Value::Object(session)) = (tls(&exchange.conn), &mut session) {
        session.insert("tls".into(), tls);
    }
    entry.insert("session".into(), session);
    entry.insert(
        "upstream".into(),
        json!({ "received": exchange.bytes_sent, "sent": exchange.bytes_received }),
    );
    entry.insert(
        "latencies".into(),
        json!({ "kong": 0, "session": millis(exchange.started_at.elapsed()) }),
    );
    if exchange.service.is_some() {
        entry.insert("tries".into(), Value::Array(Vec::new()));
    }
    if let Some(route) = &exchange.route {
        entry.insert("route".into(), entity(&**route, Some(workspace)));
    }
    if let Some(service) = &exchange.service {
        entry.insert("service".into(), entity(&**service, Some(workspace)));
    }
    if let Some(consumer) = &exchange.consumer {
        entry.insert("consumer".into(), entity(&**consumer, None));
    }
    entry.insert("client_ip".into(), exchange.client.ip.to_string().into());
    entry.insert("started_at".into(), epoch_millis(exchange.started).into());
    entry.insert("workspace".into(), workspace.to_string().into());
    entry.insert("workspace_name".into(), "default".into());
    for value in &exchange.log_values {
        value.apply(&mut entry)?;
    }
    Ok(entry)
}

fn request(exchange: &Exchange) -> Value {
    let uri = String::from_utf8_lossy(exchange.head.target_parts().path_and_query()).into_owned();
    let host = exchange.host_name().unwrap_or_default();
    let mut request = json!({
        "id": exchange.request_id(),
        "url": format!("{}://{host}:{}{uri}", exchange.scheme, exchange.host_port),
        "uri": uri,
        "querystring": exchange.query.as_deref().map(arguments::to_object).unwrap_or_default(),
        "method": exchange.method(),
        "headers": request_headers(&exchange.head.headers),
        "size": exchange.bytes_received,
    });
    if let (Some(tls), Value::Object(request)) = (tls(&exchange.conn), &mut request) {
        request.insert("tls".into(), tls);
    }
    request
}

fn tls(conn: &ConnInfo) -> Option<Value> {
    let tls = conn.tls.as_ref()?;
    Some(json!({ "version": tls.version, "cipher": tls.cipher, "client_verify": "NONE" }))
}

fn request_headers(block: &HeaderBlock) -> Map<String, Value> {
    let mut object = headers(block);
    for name in ["authorization", "proxy-authorization"] {
        if let Some(value) = object.get_mut(name) {
            *value = "REDACTED".into();
        }
    }
    object
}

/// Header lines as an object: lower-case names, repeated ones as arrays.
pub fn headers(block: &HeaderBlock) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in block.iter().take(MAX_HEADERS) {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        arguments::push(&mut object, name, String::from_utf8_lossy(value).into_owned().into());
    }
    object
}

fn upstream_uri(exchange: &Exchange) -> String {
    let Some(upstream) = &exchange.upstream else {
        return String::new();
    };
    let mut uri = upstream.path.clone();
    if let Some(query) = exchange.query.as_ref().filter(|_| !uri.contains('?')) {
        uri.push('?');
        uri.push_str(&String::from_utf8_lossy(query));
    }
    uri
}

/// Statuses of all tries, e.g. `502, 200`.
fn upstream_status(exchange: &Exchange) -> String {
    let failed = exchange
        .tries
        .iter()
        .filter(|attempt| attempt.state.is_some())
        .filter_map(|attempt| attempt.code);
    let last = (exchange.source == Source::Service)
        .then(|| exchange.status())
        .flatten();
    failed
        .chain(last)
        .map(|status| status.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn latencies(exchange: &Exchange) -> Value {
    let summary = exchange.latencies();
    let timings = &exchange.timings;
    let receive = timings
        .upstream_head
        .zip(timings.finished)
        .map_or(0, |(head, end)| millis(end.saturating_duration_since(head)));
    let is_proxied = exchange.source == Source::Service;
    json!({
        "kong": if is_proxied { summary.proxy.unwrap_or(0) } else { summary.total },
        "proxy": summary.upstream.map_or(json!(-1), Value::from),
        "request": summary.total,
        "receive": receive,
    })
}

fn tries(tries: &[Try]) -> Value {
    tries
        .iter()
        .map(|attempt| {
            let start = attempt.started.duration_since(UNIX_EPOCH).unwrap_or_default();
            let mut object = Map::new();
            object.insert("balancer_start".into(), millis(start).into());
            object.insert("balancer_start_ns".into(), (start.as_nanos() as f64).into());
            object.insert("balancer_latency".into(), millis(attempt.balancer).into());
            object.insert(
                "balancer_latency_ns".into(),
                (attempt.balancer.as_nanos() as f64).into(),
            );
            object.insert("ip".into(), attempt.address.ip().to_string().into());
            object.insert("port".into(), attempt.address.port().into());
            if let Some(state) = attempt.state {
                object.insert("state".into(), state.into());
            }
            if let Some(code) = attempt.code {
                object.insert("code".into(), code.into());
            }
            Value::Object(object)
        })
        .collect()
}

/// An entity without its nulls.
pub fn entity(value: &impl Serialize, workspace: Option<Uuid>) -> Value {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    if let Value::Object(object) = &mut value {
        object.retain(|_, member| !member.is_null());
        if let Some(workspace) = workspace {
            object.insert("ws_id".into(), workspace.to_string().into());
        }
    }
    value
}

fn epoch_millis(at: SystemTime) -> u64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::testing;

    #[test]
    fn values_are_placed_by_mode() {
        let rows = [
            ("a", json!(1), LogMode::Set, json!({"a": 1, "o": {"x": 1}})),
            ("o.x", json!(2), LogMode::Set, json!({"o": {"x": 2}})),
            ("o.y.z", json!(2), LogMode::Set, json!({"o": {"x": 1, "y": {"z": 2}}})),
            ("o.x", json!(2), LogMode::Add, json!({"o": {"x": 1}})),
            ("o.y", json!(2), LogMode::Add, json!({"o": {"x": 1, "y": 2}})),
            ("o.x", json!(2), LogMode::Replace, json!({"o": {"x": 2}})),
            ("o.y", json!(2), LogMode::Replace, json!({"o": {"x": 1}})),
            ("p.y", json!(2), LogMode::Replace, json!({"o": {"x": 1}})),
            ("o", Value::Null, LogMode::Set, json!({})),
        ];
        for (path, value, mode, expected) in rows {
            let Value::Object(mut entry) = json!({"o": {"x": 1}}) else {
                unreachable!()
            };
            LogValue {
                path: path.into(),
                value,
                mode,
            }
            .apply(&mut entry)
            .unwrap();
            assert_eq!(Value::Object(entry), expected, "{path} {mode:?}");
        }
        let Value::Object(mut entry) = json!({"o": {"x": 1}}) else {
            unreachable!()
        };
        let error = LogValue::set("o.x.y", json!(1)).apply(&mut entry).unwrap_err();
        assert_eq!(
            error.0,
            "The key 'o.x.y' could not be used as a serialize value. Subkey 'x' is not a table. It's 1"
        );
    }

    #[test]
    fn an_entry_tells_of_request_response_and_entities() {
        let node = testing::TestNode::new(Vec::new());
        let mut exchange = node.exchange(
            "GET /orders/7?expand=lines&a&a=2 HTTP/1.1\r\nHost: Shop.example:9\r\nAccept: text/html\r\nAccept: */*\r\n\
             Authorization: Basic eA==\r\n\r\n",
        );
        exchange.response = Some(kong_message::ResponseHead::new(404));
        exchange.log_values.push(LogValue::set("correlation_id", json!("c")));
        let entry = Value::Object(http(&exchange, Uuid::nil()).unwrap());
        for (pointer, expected) in [
            ("/request/uri", json!("/orders/7?expand=lines&a&a=2")),
            (
                "/request/url",
                json!("http://shop.example:8000/orders/7?expand=lines&a&a=2"),
            ),
            ("/request/querystring", json!({"expand": "lines", "a": [true, "2"]})),
            ("/request/headers/accept", json!(["text/html", "*/*"])),
            ("/request/headers/authorization", json!("REDACTED")),
            ("/response/status", json!(404)),
            ("/latencies/proxy", json!(-1)),
            ("/latencies/receive", json!(0)),
            ("/tries", json!([])),
            ("/upstream_uri", json!("/orders/7?expand=lines&a&a=2")),
            ("/upstream_status", json!("")),
            ("/source", json!("kong")),
            ("/client_ip", json!("127.0.0.1")),
            ("/correlation_id", json!("c")),
            ("/workspace_name", json!("default")),
        ] {
            assert_eq!(entry.pointer(pointer), Some(&expected), "{pointer}");
        }
        assert!(entry.pointer("/route/id").is_some() && entry.pointer("/route/tags").is_none());
        assert!(entry.pointer("/consumer").is_none() && entry.pointer("/authenticated_entity").is_none());
    }
}
