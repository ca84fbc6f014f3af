#![allow(clippy::unwrap_used, clippy::expect_used, clippy::type_complexity)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kong_message::ResponseHead;
use kong_plugin::testing::{Finished, TestNode};
use kong_plugin::{Instance, Plan, Source, kind};
use serde_json::{Value, json};

use super::ProxyCache;

struct Cache {
    node: TestNode,
    plan: Arc<Plan>,
    row: Instance,
}

fn cache(mut config: Value) -> Cache {
    let node = TestNode::new(vec![kind::<ProxyCache>()]);
    config["strategy"] = json!("memory");
    let row = node.row("proxy-cache", config);
    node.configure("proxy-cache", std::slice::from_ref(&row));
    Cache {
        plan: node.plan(vec![row.clone()]),
        node,
        row,
    }
}

impl Cache {
    /// Sends a request `later` seconds from now; the service would answer with these lines.
    fn send(&self, method: &str, lines: &str, upstream: &[(&str, &str)], later: u64) -> Finished {
        let mut exchange = self
            .node
            .exchange(&format!("{method} /p HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
        exchange.timings.wall = SystemTime::now() + Duration::from_secs(later);
        let mut head = ResponseHead::new(200);
        if !upstream.iter().any(|(name, _)| *name == "Content-Type") {
            head.headers.append("Content-Type", "text/plain");
        }
        upstream
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .for_each(|(name, value)| head.headers.append(name, value));
        self.node.run_exchange(&self.plan, exchange).finish(head, "the body")
    }

    fn status(&self, method: &str, lines: &str, upstream: &[(&str, &str)], later: u64) -> String {
        self.send(method, lines, upstream, later)
            .header("x-cache-status")
            .unwrap_or("none")
            .to_owned()
    }
}

#[test]
fn the_second_request_is_answered_from_the_store() {
    let cache = cache(json!({}));
    let upstream = [
        ("X-One", "1"),
        ("Set-Cookie", "a"),
        ("Set-Cookie", "b"),
        ("X-RateLimit-Remaining-Minute", "3"),
    ];
    let first = cache.send("GET", "", &upstream, 0);
    assert_eq!(
        (first.header("x-cache-status"), first.header("age")),
        (Some("Miss"), None)
    );
    let key = first.header("x-cache-key").unwrap().to_owned();
    assert_eq!(key.len(), 64);
    let second = cache.send("GET", "", &[("X-One", "changed")], 7);
    assert_eq!(
        (second.header("x-cache-status"), second.header("x-cache-key")),
        (Some("Hit"), Some(&*key))
    );
    assert_eq!(second.header("age"), Some("7"));
    assert_eq!(
        (second.header("x-one"), second.header_all("set-cookie")),
        (Some("1"), vec!["a".to_owned(), "b".into()])
    );
    assert_eq!(second.header("x-ratelimit-remaining-minute"), None);
    assert_eq!(
        (&*second.body, second.exchange.source),
        (&b"the body"[..], Source::Service)
    );
}

#[test]
fn only_what_may_be_stored_is() {
    // configuration, method, upstream's lines, X-Cache-Status twice
    let json_type = ("Content-Type", "application/json; charset=utf-8");
    let rows: Vec<(Value, &str, Vec<(&str, &str)>, [&str; 2])> = vec![
        (json!({}), "POST", vec![], ["Bypass", "Bypass"]),
        (json!({"request_method": ["POST"]}), "POST", vec![], ["Miss", "Hit"]),
        (json!({}), "HEAD", vec![], ["Miss", "Miss"]),
        (json!({"response_code": [404]}), "GET", vec![], ["Bypass", "Bypass"]),
        (json!({}), "GET", vec![json_type], ["Bypass", "Bypass"]),
        (json!({}), "GET", vec![("Content-Type", "")], ["Bypass", "Bypass"]),
        (json!({"cache_control": true}), "GET", vec![], ["Bypass", "Bypass"]),
        (
            json!({"cache_control": true}),
            "GET",
            vec![("Cache-Control", "max-age=60")],
            ["Miss", "Hit"],
        ),
        (
            json!({"cache_control": true}),
            "GET",
            vec![("Cache-Control", "private, max-age=60")],
            ["Bypass", "Bypass"],
        ),
        (
            json!({"cache_control": false}),
            "GET",
            vec![("Cache-Control", "no-store")],
            ["Miss", "Hit"],
        ),
    ];
    for (config, method, upstream, expected) in rows {
        let cache = cache(config.clone());
        let seen = [
            cache.status(method, "", &upstream, 0),
            cache.status(method, "", &upstream, 0),
        ];
        assert_eq!(seen, expected, "{config} {method} {upstream:?}");
    }
}

#[test]
fn requests_may_ask_for_fresher_responses() {
    let cache = cache(json!({"cache_control": true, "storage_ttl": 1000}));
    let upstream = [("Cache-Control", "max-age=60")];
    assert_eq!(
        cache.status("GET", "Cache-Control: only-if-cached\r\n", &upstream, 0),
        "none"
    );
    assert_eq!(
        cache
            .send("GET", "Cache-Control: only-if-cached\r\n", &upstream, 0)
            .status(),
        504
    );
    assert_eq!(cache.status("GET", "", &upstream, 0), "Miss");
    for (directive, later, expected) in [
        ("no-cache", 0, "Bypass"),
        ("max-age=10", 5, "Hit"),
        ("min-fresh=10", 5, "Hit"),
        ("min-fresh=60", 5, "Refresh"),
        ("max-stale=10", 65, "Hit"),
        ("only-if-cached", 5, "Hit"),
        ("max-age=1", 15, "Refresh"),
    ] {
        assert_eq!(
            cache.status("GET", &format!("Cache-Control: {directive}\r\n"), &upstream, later),
            expected,
            "{directive}"
        );
    }
    let plain = self::cache(json!({"cache_ttl": 10, "storage_ttl": 1000}));
    assert_eq!(plain.status("GET", "", &[], 0), "Miss");
    assert_eq!(plain.status("GET", "", &[], 10), "Hit");
    assert_eq!(plain.status("GET", "", &[], 11), "Refresh");
}

#[test]
fn headers_can_be_switched_off() {
    let cache = cache(json!({"response_headers": {"age": false, "X-Cache-Status": false, "X-Cache-Key": false}}));
    let names = ["age", "x-cache-status", "x-cache-key"];
    for _ in 0..2 {
        let answer = cache.send("GET", "", &[], 0);
        assert!(names.iter().all(|name| answer.header(name).is_none()));
    }
    let answer = cache.send("GET", "Kong-Debug: 1\r\n", &[], 0);
    assert!(names.iter().all(|name| answer.header(name).is_some()));
}

#[test]
fn the_admin_api_shows_and_removes() {
    let cache = cache(json!({}));
    let key = cache.send("GET", "", &[], 0).header("x-cache-key").unwrap().to_owned();
    let id = cache.row.id;
    for path in [format!("/proxy-cache/{key}"), format!("/proxy-cache/{id}/caches/{key}")] {
        let shown = cache.node.admin("GET", &path);
        let document: Value = serde_json::from_slice(&shown.body).unwrap();
        assert_eq!(
            (shown.status, &document["body"], &document["ttl"]),
            (200, &json!("the body"), &json!(300))
        );
    }
    let other = uuid::Uuid::nil();
    for path in [
        "/proxy-cache/abc".to_owned(),
        format!("/proxy-cache/{other}/caches/{key}"),
        "/proxy-cache/x/caches/y".into(),
    ] {
        for method in ["GET", "DELETE"] {
            let answer = cache.node.admin(method, &path);
            assert_eq!(
                (answer.status, answer.content_type.as_deref()),
                (404, Some("text/html; charset=UTF-8"))
            );
        }
    }
    assert_eq!(cache.node.admin("DELETE", &format!("/proxy-cache/{key}")).status, 204);
    assert_eq!(cache.status("GET", "", &[], 0), "Miss");
    assert_eq!(cache.status("GET", "", &[], 0), "Hit");
    assert_eq!(cache.node.admin("DELETE", "/proxy-cache").status, 204);
    assert_eq!(cache.status("GET", "", &[], 0), "Miss");
}

#[test]
fn the_store_must_exist() {
    let node = TestNode::new(vec![kind::<ProxyCache>()]);
    let config = json!({"strategy": "memory", "memory": {"dictionary_name": "no_such_zone"}});
    let errors = node.configuration("proxy-cache", config).unwrap_err();
    assert_eq!(errors, json!({"@entity": ["missing shared dict 'no_such_zone'"]}));
}
