//! Replays the routing decisions of the recorded exchanges in `tests/conformance`: who answered, and which path the upstream
//! saw.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use kong_model::Route;
use kong_router::uri::{PathHandling, StrippedPath, normalize, upstream_path};
use kong_router::{Flavor, RequestQuery, RouteChange, Router, Scheme, validate_expression};
use serde_json::Value;
use uuid::Uuid;

const PROXY: &str = "127.0.0.1:29800";
const PROXY_SSL: &str = "127.0.0.1:29801";

/// The service of a route: its name and path.
#[derive(Debug)]
struct Service {
    name: String,
    path: String,
}

#[derive(Default)]
struct Report {
    checked: usize,
    failures: Vec<String>,
}

fn replay(file: &str) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/conformance/cases/proxy")
        .join(file);
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let flavor = document["env"]["KONG_ROUTER_FLAVOR"]
        .as_str()
        .unwrap_or("traditional_compatible")
        .parse()
        .unwrap();
    let mut report = Report::default();
    for case in document["cases"].as_array().unwrap() {
        let router = router(flavor, &case["config"]);
        for step in case["steps"].as_array().unwrap() {
            check(&router, flavor, step, &mut report, case["name"].as_str().unwrap());
        }
    }
    assert!(
        report.failures.is_empty(),
        "{} of {}:\n{}",
        report.failures.len(),
        report.checked,
        report.failures.join("\n")
    );
    report.checked
}

fn router(flavor: Flavor, config: &Value) -> Router<Option<Service>> {
    let mut changes = Vec::new();
    let mut add = |fields: &Value, service| {
        let mut route = serde_json::json!({
            "id": Uuid::from_u128(u128::MAX / 2 - changes.len() as u128), "created_at": 0, "updated_at": 0,
            "protocols": ["http", "https"], "https_redirect_status_code": 426, "strip_path": true,
            "preserve_host": false, "request_buffering": true, "response_buffering": true,
        });
        let text = fields.to_string().replace("{{proxy_port}}", "29800");
        let fields: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
        route.as_object_mut().unwrap().extend(fields);
        let route: Route = serde_json::from_value(route).unwrap();
        changes.push(RouteChange::upsert(Arc::new(route), service));
    };
    for service in config["services"].as_array().into_iter().flatten() {
        if service["enabled"] == false {
            continue;
        }
        let path = service["url"]
            .as_str()
            .unwrap()
            .splitn(4, '/')
            .nth(3)
            .map_or(String::new(), |path| format!("/{path}"));
        for route in service["routes"].as_array().into_iter().flatten() {
            let name = service["name"].as_str().unwrap().to_owned();
            add(
                route,
                Some(Service {
                    name,
                    path: path.clone(),
                }),
            );
        }
    }
    for route in config["routes"].as_array().into_iter().flatten() {
        add(route, None);
    }
    let (router, errors) = Router::empty(flavor).apply(changes);
    assert!(errors.is_empty(), "{errors}");
    router
}

fn check(router: &Router<Option<Service>>, flavor: Flavor, step: &Value, report: &mut Report, case: &str) {
    let send = &step["send"];
    let (Some(target), Some(status)) = (send["path"].as_str(), step["expect"]["status"].as_u64()) else {
        return;
    };
    let is_tls = match send["to"].as_str() {
        None | Some("proxy") => false,
        Some("proxy_ssl") => true,
        Some(_) => return,
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    for header in send["headers"].as_array().into_iter().flatten() {
        headers.push((
            header[0].as_str().unwrap().into(),
            header[1].as_str().unwrap().replace("{{proxy_port}}", "29800"),
        ));
    }
    let host = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.clone());
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let path = normalize(path.as_bytes());
    let request = RequestQuery {
        host: Some(host.as_bytes()),
        query: query.map(str::as_bytes),
        scheme: if is_tls { Scheme::Https } else { Scheme::Http },
        sni: send["sni"].as_str().filter(|sni| !sni.is_empty()),
        source: Some("127.0.0.1:40000".parse().unwrap()),
        destination: Some(if is_tls { PROXY_SSL } else { PROXY }.parse().unwrap()),
        ..RequestQuery::http(send["method"].as_str().unwrap(), &path, &headers)
    };
    let found = router.find(&request);
    let mut expect = |expected: String, got: String| {
        report.checked += 1;
        if expected != got {
            report
                .failures
                .push(format!("{case}: {send}: expected {expected}, got {got}"));
        }
    };
    let service = found
        .as_ref()
        .map(|found| found.payload().as_ref().map_or("", |service| &service.name));
    if status == 404 {
        expect("None".into(), format!("{service:?}"));
    } else if let Some(won) = step["expect"]["headers"]["x-won"].as_str() {
        let path = found
            .as_ref()
            .and_then(|found| found.payload().as_ref())
            .map_or("no route", |service| &service.path);
        expect(format!("/set/X-Won/{won}"), path.into());
    } else if status != 400 {
        expect(
            "a route".into(),
            if found.is_some() { "a route" } else { "no route" }.into(),
        );
    }
    if let (Some(uri), Some(found)) = (step["expect"]["json"]["uri"].as_str(), found) {
        let matched = found.matched_path();
        let stripped = StrippedPath::new(found.route().strip_path, matched.as_deref());
        let handling = PathHandling::of(found.route(), flavor);
        let service_path = found.payload().as_ref().map_or("", |service| &service.path);
        let path: Cow<'_, [u8]> = upstream_path(handling, service_path.as_bytes(), &path, stripped);
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        expect(uri.into(), format!("{}{query}", String::from_utf8_lossy(&path)));
    }
}

#[test]
fn hosts() {
    assert!(replay("routing_hosts.json") > 55);
}

#[test]
fn paths() {
    assert!(replay("routing_paths.json") > 80);
}

#[test]
fn methods_and_headers() {
    assert!(replay("routing_methods_headers.json") > 50);
}

#[test]
fn priority() {
    assert!(replay("routing_priority.json") > 30);
}

#[test]
fn protocols() {
    assert!(replay("routing_protocols.json") > 30);
}

#[test]
fn tables() {
    assert!(replay("routing_tables.json") > 200);
}

#[test]
fn path_handling() {
    assert!(replay("path_handling.json") > 100);
}

#[test]
fn query_strings() {
    assert!(replay("query_strings.json") > 10);
}

#[test]
fn traditional() {
    assert!(replay("traditional.json") > 100);
}

#[test]
fn expressions() {
    assert!(replay("expressions.json") > 100);
}

#[test]
fn verdicts_on_expressions() {
    const PREFIX: &str = "Router Expression failed validation: ";
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/cases/proxy/expressions_validation.json");
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut checked = 0;
    for step in document["cases"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|case| case["steps"].as_array().unwrap())
    {
        let body = &step["send"]["json"];
        let Some(source) = body["expression"].as_str().filter(|source| !source.is_empty()) else {
            continue;
        };
        let is_http = body["protocols"].is_null();
        let errors = &step["expect"]["json"]["fields"]["@entity"];
        let expected = errors[0].as_str().and_then(|error| error.strip_prefix(PREFIX));
        if expected.is_some_and(|error| error.contains("simultaneously")) || body["priority"].is_i64() {
            continue;
        }
        checked += 1;
        assert_eq!(
            validate_expression(source, is_http).err().as_deref(),
            expected,
            "{source}"
        );
    }
    assert!(checked > 25, "{checked}");
}
