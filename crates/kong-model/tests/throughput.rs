//! Importing many routes must not take long.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use kong_model::{Registry, RegistryBuilder, RouterFlavor};
use kong_schema::{Object, Operation};
use serde_json::json;

fn route(i: usize) -> Object {
    let path = if i.is_multiple_of(4) {
        format!("~/api/{i}/(?<id>\\d+)$")
    } else {
        format!("/api/{i}/orders")
    };
    let body = json!({
        "name": format!("route-{i}"),
        "protocols": ["http", "https"],
        "hosts": [format!("h{i}.example.com"), "*.example.com"],
        "paths": [path],
        "methods": ["GET", "POST"],
        "headers": {"x-tier": ["gold", "silver"]},
        "tags": ["imported", format!("batch-{}", i / 1000)],
        "service": {"id": "580c8aca-d632-5804-b307-a24326e1e2d5"},
    });
    body.as_object().unwrap().clone()
}

fn import(registry: &Registry, bodies: &[Object]) -> Duration {
    let routes = registry.schema("routes").unwrap();
    let start = Instant::now();
    for body in bodies {
        let row = routes.process(Operation::Insert, body, None, 1.0).unwrap();
        routes.validate(&row, Operation::Insert, body).unwrap();
    }
    start.elapsed()
}

/// Fifty thousand in three seconds is the bound of the optimised build; others do a tenth of it.
#[test]
fn fifty_thousand_routes_validate_within_seconds() {
    let registry = RegistryBuilder::new(RouterFlavor::default()).build().unwrap();
    let count = if cfg!(debug_assertions) { 5_000 } else { 50_000 };
    let bodies: Vec<Object> = (0..count).map(route).collect();
    let taken = import(&registry, &bodies);
    println!("{count} routes: {taken:?}");
    assert!(taken < Duration::from_secs(3), "{taken:?}");
}

/// A hundred thousand labels on one entity: a check that compares each with each would not end.
#[test]
fn a_long_list_costs_in_proportion_to_its_length() {
    let registry = RegistryBuilder::new(RouterFlavor::default()).build().unwrap();
    let consumers = registry.schema("consumers").unwrap();
    let tags: Vec<String> = (0..100_000).map(|i| format!("t{i}")).collect();
    let body = json!({"username": "u", "tags": tags});
    let body = body.as_object().unwrap();
    let start = Instant::now();
    let row = consumers.process(Operation::Insert, body, None, 1.0).unwrap();
    consumers.validate(&row, Operation::Insert, body).unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}
