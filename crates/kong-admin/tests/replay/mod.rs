//! Replays files of recorded exchanges against the application, one fresh gateway a case.

mod compare;
mod gateway;
mod needs;

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use tower::ServiceExt;

use compare::{differences, substitute, unordered};
use gateway::gateway;
use needs::missing_plugins;

/// Headers that are volatile, as in the recording.
const SKIPPED_HEADERS: [&str; 8] = [
    "date",
    "server",
    "connection",
    "transfer-encoding",
    "content-length",
    "keep-alive",
    "x-kong-admin-latency",
    "vary",
];

/// What became of one case.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) differences: Vec<String>,
    /// Bundled plugins that the case uses and that are not there yet.
    pub(crate) missing_plugins: Vec<String>,
}

/// Replays the cases of a file that the filter picks.
pub(crate) async fn replay_file(file: &Path, pick: impl Fn(&str) -> bool) -> Vec<Outcome> {
    let text = std::fs::read_to_string(file).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap().iter();
    let picked = cases.filter(|case| pick(case["name"].as_str().unwrap()));
    let replays = picked.map(|case| async {
        Outcome {
            name: case["name"].as_str().unwrap().to_owned(),
            differences: replay_case(case, &file["env"]).await,
            missing_plugins: missing_plugins(case),
        }
    });
    futures_util::future::join_all(replays).await
}

async fn replay_case(case: &Value, env: &Value) -> Vec<String> {
    let app = gateway(env, &case["env"]).await;
    let mut known = case["vars"].as_object().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for (index, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        if let Some(seconds) = step["sleep"].as_f64() {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
            continue;
        }
        // Nothing here ever waits for I/O: let the other cases and the gateways' timers have their turn.
        tokio::task::yield_now().await;
        let send = substitute(&step["send"], &known);
        let to = send["to"].as_str().unwrap_or("admin");
        if to != "admin" {
            found.push(format!("step {} goes to the {to}", index + 1));
            continue;
        }
        let response = app.clone().oneshot(request(&send)).await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let text = String::from_utf8_lossy(&body).into_owned();
        for (name, path) in step["save"].as_object().into_iter().flatten() {
            let value = path
                .as_str()
                .unwrap()
                .split('.')
                .fold(json.clone().unwrap_or_default(), |value, part| {
                    match part.parse::<usize>() {
                        Ok(at) => value[at].clone(),
                        Err(_) => value[part].clone(),
                    }
                });
            known.insert(name.clone(), value);
        }
        let want = substitute(&step["expect"], &known);
        let at = format!(
            "step {} {} {}",
            index + 1,
            send["method"].as_str().unwrap(),
            send["path"].as_str().unwrap()
        );
        if let Some(expected) = want["status"].as_u64().filter(|s| *s != u64::from(status)) {
            found.push(format!("{at}: status {status}, expected {expected}: {:.400}", text));
            continue;
        }
        for (name, value) in want["headers"].as_object().into_iter().flatten() {
            let got = headers.get(name).filter(|_| !SKIPPED_HEADERS.contains(&name.as_str()));
            let got = got.map_or(Value::Null, |v| {
                Value::from(String::from_utf8_lossy(v.as_bytes()).into_owned())
            });
            found.extend(
                differences(value, &got, name)
                    .into_iter()
                    .map(|d| format!("{at}: header {d}")),
            );
        }
        if let Some(value) = want.get("json") {
            let got = json.map_or(Value::Null, unordered);
            found.extend(
                differences(&unordered(value.clone()), &got, "")
                    .into_iter()
                    .map(|d| format!("{at}: body{d}")),
            );
        } else if let Some(value) = want.get("body") {
            found.extend(
                differences(value, &Value::from(text), "")
                    .into_iter()
                    .map(|d| format!("{at}: body{d}")),
            );
        }
    }
    found
}

/// The request that a step describes, built as the recording client builds it.
fn request(send: &Value) -> http::Request<axum::body::Body> {
    let method = send["method"].as_str().unwrap();
    let mut headers: Vec<(String, String)> = Vec::new();
    for header in send["headers"].as_array().into_iter().flatten() {
        headers.push((
            header[0].as_str().unwrap().to_owned(),
            header[1].as_str().unwrap().to_owned(),
        ));
    }
    let typed = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let mut default_type = |content_type: &str| {
        if !typed {
            headers.push(("Content-Type".to_owned(), content_type.to_owned()));
        }
    };
    let body = if let Some(json) = send.get("json") {
        default_type("application/json");
        json.to_string().into_bytes()
    } else if let Some(form) = send.get("form") {
        default_type("application/x-www-form-urlencoded");
        form_body(form)
    } else if let Some(body) = send.get("body") {
        body.as_str().unwrap().as_bytes().to_vec()
    } else if let Some(body) = send.get("body_b64") {
        base64::engine::general_purpose::STANDARD
            .decode(body.as_str().unwrap())
            .unwrap()
    } else {
        Vec::new()
    };
    let mut request = http::Request::builder()
        .method(method)
        .uri(send["path"].as_str().unwrap());
    for (name, value) in &headers {
        request = request.header(name, value);
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        request = request.header("content-length", body.len());
    }
    request.body(body.into()).unwrap()
}

fn form_body(form: &Value) -> Vec<u8> {
    let escape = |text: &str, safe: &[u8]| -> String {
        text.bytes()
            .map(|b| match b {
                b' ' => "+".to_owned(),
                b if b.is_ascii_alphanumeric() || b"_.-~".contains(&b) || safe.contains(&b) => {
                    char::from(b).to_string()
                }
                b => format!("%{b:02X}"),
            })
            .collect()
    };
    let pair = |pair: &Value| {
        format!(
            "{}={}",
            escape(pair[0].as_str().unwrap(), b"[]."),
            escape(pair[1].as_str().unwrap(), b"/")
        )
    };
    form.as_array()
        .unwrap()
        .iter()
        .map(pair)
        .collect::<Vec<_>>()
        .join("&")
        .into_bytes()
}

/// Values by name.
pub(crate) type Known = Map<String, Value>;
