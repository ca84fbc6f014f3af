#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use kong_message::{Body, ResponseHead};
use kong_plugin::testing::{Finished, TestNode};
use kong_plugin::{Plan, kind};
use serde_json::json;

use super::RateLimiting;
use crate::auth::KeyAuth;

/// 2026-01-01T00:00:30Z.
const NOW: u64 = 1_767_225_630;

fn node() -> TestNode {
    let node = TestNode::new(vec![kind::<RateLimiting>(), kind::<KeyAuth>()]);
    for (id, name) in [(1, "a"), (2, "b")] {
        let consumer = format!("22222222-2222-4222-8222-22222222222{id}");
        node.insert("consumers", json!({"id": consumer, "username": name}));
        for key in ["1", "2"] {
            node.insert(
                "keyauth_credentials",
                json!({"key": format!("{name}{key}"), "consumer": {"id": consumer}}),
            );
        }
    }
    node
}

fn send_at(node: &TestNode, plan: &Arc<Plan>, now: u64, request: &str) -> Finished {
    let mut exchange = node.exchange(request);
    exchange.timings.wall = UNIX_EPOCH + Duration::from_secs(now);
    node.run_exchange(plan, exchange)
        .finish(ResponseHead::new(200), Body::Empty)
}

fn get(path: &str, lines: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n")
}

fn headers(answer: &Finished, names: &[&str]) -> Vec<Option<String>> {
    names
        .iter()
        .map(|name| answer.header(name).map(str::to_owned))
        .collect()
}

#[test]
fn a_limit_counts_down_and_refuses() {
    let node = node();
    let plan = node.plan_of(&[("rate-limiting", json!({"minute": 6}))]);
    for (remaining, status) in [
        ("5", 200),
        ("4", 200),
        ("3", 200),
        ("2", 200),
        ("1", 200),
        ("0", 200),
        ("0", 429),
    ] {
        let answer = send_at(&node, &plan, NOW, &get("/", ""));
        assert_eq!(answer.status(), status);
        assert_eq!(answer.header("x-ratelimit-limit-minute"), Some("6"));
        assert_eq!(answer.header("x-ratelimit-remaining-minute"), Some(remaining));
        assert_eq!(answer.header("ratelimit-limit"), Some("6"));
        assert_eq!(answer.header("ratelimit-remaining"), Some(remaining));
        assert_eq!(answer.header("ratelimit-reset"), Some("30"));
        assert_eq!(answer.header("retry-after"), (status == 429).then_some("30"));
        if status == 429 {
            assert_eq!(answer.body, br#"{"message":"API rate limit exceeded"}"#);
        }
    }
    let next = send_at(&node, &plan, NOW + 30, &get("/", ""));
    assert_eq!((next.status(), next.header("ratelimit-reset")), (200, Some("60")));
}

#[test]
fn the_governing_window_has_the_least_left_and_of_equal_ones_is_the_longest() {
    let names = [
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "x-ratelimit-remaining-hour",
    ];
    let rows = [
        (json!({"minute": 3, "hour": 10}), ["3", "2", "30", "9"]),
        (json!({"minute": 3, "hour": 3}), ["3", "2", "3570", "2"]),
        (json!({"hour": 5, "day": 100}), ["5", "4", "3570", "4"]),
    ];
    for (config, expected) in rows {
        let node = node();
        let plan = node.plan_of(&[("rate-limiting", config.clone())]);
        let answer = send_at(&node, &plan, NOW, &get("/", ""));
        assert_eq!(
            headers(&answer, &names),
            expected.map(|v| Some(v.to_owned())),
            "{config}"
        );
    }
}

#[test]
fn requests_are_counted_by_what_limit_by_says() {
    // limit_by, then requests of which only the last must be refused, as (key, header lines, path)
    let rows = [
        (
            json!({"limit_by": "consumer"}),
            vec!["apikey: a1\r\n", "apikey: b1\r\n", "apikey: a2\r\n"],
        ),
        (
            json!({"limit_by": "credential"}),
            vec!["apikey: a1\r\n", "apikey: a2\r\n", "apikey: a1\r\n"],
        ),
        (json!({"limit_by": "ip"}), vec!["apikey: a1\r\n", "apikey: b1\r\n"]),
        (json!({"limit_by": "service"}), vec!["apikey: a1\r\n", "apikey: b1\r\n"]),
        (
            json!({"limit_by": "header", "header_name": "x-t"}),
            vec![
                "apikey: a1\r\nX-T: one\r\n",
                "apikey: a1\r\nX-T: two\r\n",
                "apikey: a1\r\n",
                "apikey: a1\r\nx-t: one\r\nx-t: new\r\n",
            ],
        ),
    ];
    for (config, requests) in rows {
        let node = node();
        let mut config = config;
        config["minute"] = json!(1);
        let plan = node.plan_of(&[("key-auth", json!({})), ("rate-limiting", config.clone())]);
        let statuses: Vec<u16> = requests
            .iter()
            .map(|lines| send_at(&node, &plan, NOW, &get("/", lines)).status())
            .collect();
        let mut expected = vec![200; requests.len() - 1];
        expected.push(429);
        assert_eq!(statuses, expected, "{config}");
    }
}

#[test]
fn limit_by_path_compares_the_whole_path_without_query() {
    let node = node();
    let config = json!({"minute": 1, "limit_by": "path", "path": "/counted"});
    let plan = node.plan_of(&[("rate-limiting", config)]);
    for (path, status) in [
        ("/counted", 200),
        ("/counted?x=1", 429),
        ("/counted/below", 200),
        ("/other", 429),
    ] {
        assert_eq!(send_at(&node, &plan, NOW, &get(path, "")).status(), status, "{path}");
    }
}

#[test]
fn without_authentication_the_address_is_counted() {
    for limit_by in ["consumer", "credential"] {
        let node = node();
        let plan = node.plan_of(&[("rate-limiting", json!({"minute": 1, "limit_by": limit_by}))]);
        assert_eq!(send_at(&node, &plan, NOW, &get("/", "")).status(), 200);
        assert_eq!(send_at(&node, &plan, NOW, &get("/", "")).status(), 429);
    }
}

#[test]
fn counters_belong_to_the_scope_of_the_instance() {
    let node = node();
    let bound = |route: Option<uuid::Uuid>| {
        let mut row = node.row("rate-limiting", json!({"minute": 1}));
        row.route_id = route;
        node.plan(vec![row])
    };
    let route = Some(kong_plugin::testing::ROUTE_ID);
    assert_eq!(send_at(&node, &bound(None), NOW, &get("/", "")).status(), 200);
    assert_eq!(send_at(&node, &bound(route), NOW, &get("/", "")).status(), 200);
    // A new instance of the same scope goes on counting: a change of its configuration resets nothing.
    assert_eq!(send_at(&node, &bound(route), NOW, &get("/", "")).status(), 429);
}

#[test]
fn refusals_follow_the_configuration() {
    let node = node();
    let config = json!({"minute": 1, "error_code": 503, "error_message": "later", "hide_client_headers": true});
    let plan = node.plan_of(&[("rate-limiting", config)]);
    assert_eq!(send_at(&node, &plan, NOW, &get("/", "")).status(), 200);
    let refused = send_at(&node, &plan, NOW, &get("/", ""));
    assert_eq!(
        (refused.status(), &*refused.body),
        (503, &br#"{"message":"later"}"#[..])
    );
    let names = [
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "retry-after",
        "x-ratelimit-limit-minute",
    ];
    assert_eq!(headers(&refused, &names), vec![None; 5]);
}

#[test]
fn what_is_not_available_fails_the_request() {
    let node = node();
    for config in [
        json!({"minute": 1, "policy": "cluster"}),
        json!({"minute": 1, "policy": "redis", "redis": {"host": "127.0.0.1"}}),
    ] {
        let plan = node.plan_of(&[("rate-limiting", config)]);
        assert_eq!(send_at(&node, &plan, NOW, &get("/", "")).status(), 500);
    }
    let plan = node.plan_of(&[("rate-limiting", json!({"minute": 1, "error_code": 200}))]);
    assert_eq!(send_at(&node, &plan, NOW, &get("/", "")).status(), 200);
    assert_eq!(send_at(&node, &plan, NOW, &get("/", "")).status(), 500);
}

#[test]
fn contradictory_limits_are_refused() {
    let node = node();
    let periods = "'config.second', 'config.minute', 'config.hour', 'config.day', 'config.month', 'config.year'";
    let conditional = |field: &str| {
        json!([format!(
            "failed conditional validation given value of field 'config.{field}'"
        )])
    };
    let rows = [
        (
            json!({}),
            json!({"@entity": [format!("at least one of these fields must be non-empty: {periods}")]}),
        ),
        (
            json!({"hour": 20, "day": 10}),
            json!({"config": "The limit for day(10.0) cannot be lower than the limit for hour(20.0)"}),
        ),
        (
            json!({"minute": 0}),
            json!({"config": {"minute": "value must be greater than 0"}}),
        ),
        (
            json!({"hour": 1, "limit_by": "header"}),
            json!({"config": {"header_name": "required field missing"}, "@entity": conditional("limit_by")}),
        ),
        (
            json!({"hour": 1, "policy": "redis"}),
            json!({"config": {"redis": {"host": "required field missing"}}, "@entity": conditional("policy")}),
        ),
        (
            json!({"hour": 1, "sync_rate": 5}),
            json!({"config": "sync_rate can only be used with the redis policy"}),
        ),
        (
            json!({"hour": 1, "policy": "redis", "redis": {"host": "h"}, "sync_rate": 0.01}),
            json!({"config": "sync_rate must be greater than 0.02, or -1 to disable"}),
        ),
    ];
    for (config, expected) in rows {
        assert_eq!(
            node.configuration("rate-limiting", config.clone()).unwrap_err(),
            expected,
            "{config}"
        );
    }
    let redis = node
        .configuration("rate-limiting", json!({"hour": 1, "redis_host": "h", "redis_port": 1}))
        .unwrap();
    assert_eq!(
        (&redis["redis"]["host"], &redis["redis"]["port"]),
        (&json!("h"), &json!(1))
    );
}
