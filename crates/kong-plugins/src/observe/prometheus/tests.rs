#![allow(clippy::unwrap_used, clippy::expect_used)]

use kong_message::ResponseHead;
use kong_plugin::kind;
use kong_plugin::testing::TestNode;
use serde_json::{Value, json};

use super::Prometheus;
use crate::auth::KeyAuth;
use crate::security::RequestTermination;

fn node() -> TestNode {
    let node = TestNode::new(vec![
        kind::<Prometheus>(),
        kind::<KeyAuth>(),
        kind::<RequestTermination>(),
    ]);
    let consumer = node.insert("consumers", json!({"username": "al\"ice"}));
    node.insert(
        "keyauth_credentials",
        json!({"key": "k", "consumer": {"id": consumer["id"]}}),
    );
    node
}

fn metrics(node: &TestNode) -> String {
    let answer = node.admin("GET", "/metrics");
    assert_eq!(
        (answer.status, answer.content_type.as_deref()),
        (200, Some("text/plain; charset=UTF-8"))
    );
    String::from_utf8(answer.body.to_vec()).unwrap()
}

fn send(node: &TestNode, config: &Value, key: &str, status: u16) {
    let plan = node.plan_of(&[("prometheus", config.clone()), ("key-auth", json!({}))]);
    let run = node.run(&plan, &format!("GET / HTTP/1.1\r\nHost: a\r\n{key}\r\n"));
    run.finish(ResponseHead::new(status), "12345");
}

#[test]
fn without_an_instance_only_the_node_is_shown() {
    let node = node();
    let text = metrics(&node);
    let id = node.env().node.id;
    assert!(
        text.contains(&format!("kong_node_info{{node_id=\"{id}\",version=\"3.9.3\"}} 1\n")),
        "{text}"
    );
    assert!(text.contains("kong_datastore_reachable 1\n"));
    assert!(text.contains("# HELP kong_nginx_timers Number of nginx timers\n# TYPE kong_nginx_timers gauge\nkong_nginx_timers{state=\"pending\"} 0\n"));
    assert!(!text.contains("http_requests_total"));
    assert!(
        text.lines()
            .all(|line| line.starts_with('#') || line.starts_with("kong_"))
    );
}

#[test]
fn requests_are_counted_by_what_they_were() {
    let node = node();
    let config = json!({"status_code_metrics": true, "per_consumer": true, "bandwidth_metrics": true});
    node.configure("prometheus", &[node.row("prometheus", config.clone())]);
    for (key, status) in [
        ("apikey: k\r\n", 200),
        ("apikey: k\r\n", 200),
        ("apikey: k\r\n", 404),
        ("", 200),
    ] {
        send(&node, &config, key, status);
    }
    let text = metrics(&node);
    for (code, source, consumer, count) in [
        ("200", "service", "al\\\"ice", 2),
        ("404", "service", "al\\\"ice", 1),
        ("401", "kong", "", 1),
    ] {
        let line = format!(
            "kong_http_requests_total{{service=\"service\",route=\"route\",code=\"{code}\",source=\"{source}\",\
             workspace=\"default\",consumer=\"{consumer}\"}} {count}\n"
        );
        assert!(text.contains(&line), "{line}{text}");
    }
    let egress = "kong_bandwidth_bytes{service=\"service\",route=\"route\",direction=\"egress\",workspace=\"default\",consumer=\"al\\\"ice\"} 15\n";
    assert!(text.contains(egress), "{text}");
    node.configure("prometheus", &[]);
    assert!(!metrics(&node).contains("http_requests_total"));
}

#[test]
fn latencies_are_histograms() {
    let node = node();
    let config = json!({"latency_metrics": true});
    node.configure("prometheus", &[node.row("prometheus", config.clone())]);
    send(&node, &config, "apikey: k\r\n", 200);
    let text = metrics(&node);
    let labels = "service=\"service\",route=\"route\",workspace=\"default\"";
    for line in [
        format!("kong_kong_latency_ms_bucket{{{labels},le=\"+Inf\"}} 1\n"),
        format!("kong_upstream_latency_ms_bucket{{{labels},le=\"60000\"}} 1\n"),
        format!("kong_request_latency_ms_count{{{labels}}} 1\n"),
    ] {
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(!text.contains("http_requests_total"));
}
