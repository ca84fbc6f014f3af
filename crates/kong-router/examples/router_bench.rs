//! Figures for the router: instructions and time per match and per change.
//!
//! `cargo run --release -p kong-router --example router_bench` prints times. For instructions run one scenario under
//! callgrind, with and without requests, and divide the difference by their number:
//! `valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/router_bench random 100000 find 1000`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use kong_model::Route;
use kong_router::{Flavor, RequestQuery, RouteChange, Router};
use uuid::Uuid;

struct Request {
    method: &'static str,
    host: String,
    path: String,
    headers: Vec<(String, String)>,
}

fn route(random: &mut fastrand::Rng, fields: serde_json::Value) -> Arc<Route> {
    let mut value = serde_json::json!({
        "id": Uuid::from_u128(random.u128(..)), "created_at": 0, "updated_at": 0,
        "protocols": ["http", "https"], "https_redirect_status_code": 426, "strip_path": true,
        "preserve_host": false, "request_buffering": true, "response_buffering": true,
    });
    value
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    Arc::new(serde_json::from_value(value).unwrap())
}

fn scenario(name: &str, count: usize) -> (Vec<Arc<Route>>, Vec<Request>) {
    let mut random = fastrand::Rng::with_seed(42);
    let mut routes = Vec::new();
    let mut requests = Vec::new();
    for index in 0..count {
        let host = format!("host{}.example{}.com", random.u32(..100_000), index % 97);
        let path = format!("/api/v{}/resource{}", index % 3, random.u32(..100_000));
        let mut request = Request {
            method: "GET",
            host: host.clone(),
            path: format!("{path}/item/17"),
            headers: headers(),
        };
        let fields = match name {
            // A mixture of what tables hold.
            "random" => match index % 8 {
                0 | 1 => serde_json::json!({"hosts": [host], "paths": [path]}),
                2 => serde_json::json!({"hosts": [host]}),
                3 => serde_json::json!({"hosts": [format!("*.{host}")], "paths": [path]}),
                4 => serde_json::json!({"paths": [path], "methods": ["GET", "POST"]}),
                _ => serde_json::json!({"paths": [path]}),
            },
            "paths" => serde_json::json!({"paths": [path]}),
            "hosts" => serde_json::json!({"hosts": [host]}),
            "headers" => {
                request.headers.push(("X-Tenant".into(), format!("tenant-{index}")));
                serde_json::json!({"paths": ["/api"], "headers": {"X-Tenant": [format!("tenant-{index}")]}})
            }
            "regexes" => serde_json::json!({"paths": [format!("~{path}/item/\\d+$")]}),
            // No literal to tell them apart before the regex is asked.
            "wild-regexes" => {
                request.path = format!("/some/resource{index}/17");
                serde_json::json!({"paths": [format!("~/[a-z]+/resource{index}/\\d+$")]})
            }
            other => panic!("no scenario called {other}"),
        };
        if name == "random" && index % 8 == 3 {
            request.host = format!("www.{host}");
        }
        routes.push(route(&mut random, fields));
        requests.push(request);
    }
    random.shuffle(&mut requests);
    requests.truncate(1000);
    (routes, requests)
}

fn headers() -> Vec<(String, String)> {
    [
        ("User-Agent", "curl/8.5.0"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip, br"),
        ("X-Request-Id", "0123456789abcdef"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

fn find_all(router: &Router<usize>, requests: &[Request], times: usize) -> usize {
    let mut found = 0;
    for request in requests.iter().cycle().take(times) {
        let query = RequestQuery {
            host: Some(request.host.as_bytes()),
            ..RequestQuery::http(request.method, request.path.as_bytes(), &request.headers)
        };
        found += usize::from(black_box(router.find(black_box(&query))).is_some());
    }
    found
}

fn load(routes: &[Arc<Route>]) -> Router<usize> {
    let changes = routes
        .iter()
        .enumerate()
        .map(|(index, route)| RouteChange::upsert(Arc::clone(route), index));
    let (router, errors) = Router::empty(Flavor::TraditionalCompatible).apply(changes);
    assert!(errors.is_empty(), "{errors}");
    router
}

/// Patches routes one at a time, as the Admin API would.
fn patch(router: &Router<usize>, routes: &[Arc<Route>], times: usize) -> Router<usize> {
    let mut router = router.clone();
    for (index, route) in routes
        .iter()
        .step_by((routes.len() / times.max(1)).max(1))
        .take(times)
        .enumerate()
    {
        let mut patched = Route::clone(route);
        patched.strip_path = false;
        // The old version lives on, as it does while workers still use it.
        let old = router.clone();
        router = router.apply([RouteChange::upsert(Arc::new(patched), index)]).0;
        black_box(old);
    }
    router
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [name, count, what, times] = &arguments[..] {
        let (routes, requests) = scenario(name, count.parse().unwrap());
        let router = load(&routes);
        let times = times.parse().unwrap();
        match &**what {
            "find" => println!("{} of {times} found", find_all(&router, &requests, times)),
            "apply" => println!("{} routes", patch(&router, &routes, times).len()),
            other => panic!("{other}: say find or apply"),
        }
        return;
    }

    println!(
        "{:<14}{:>8}  {:>10}  {:>10}  {:>12}",
        "table", "routes", "load", "match", "change"
    );
    let tables = [
        ("random", 1),
        ("random", 1_000),
        ("random", 50_000),
        ("random", 100_000),
        ("paths", 100_000),
        ("hosts", 100_000),
    ];
    let special = [
        ("headers", 10_000),
        ("regexes", 1_000),
        ("regexes", 20_000),
        ("wild-regexes", 1_000),
    ];
    for (name, count) in tables.into_iter().chain(special) {
        let (routes, requests) = scenario(name, count);
        let start = Instant::now();
        let router = load(&routes);
        let loaded = start.elapsed();
        let times = 20_000;
        find_all(&router, &requests, requests.len());
        let start = Instant::now();
        assert_eq!(find_all(&router, &requests, times), times);
        let per_match = start.elapsed() / times as u32;
        let changes = 500.min(count);
        let start = Instant::now();
        black_box(patch(&router, &routes, changes));
        let per_change = start.elapsed() / changes as u32;
        println!("{name:<14}{count:>8}  {loaded:>10.1?}  {per_match:>10.0?}  {per_change:>12.1?}");
    }
}
