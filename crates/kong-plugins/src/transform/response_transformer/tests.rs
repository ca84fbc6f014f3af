#![allow(clippy::unwrap_used, clippy::expect_used, clippy::type_complexity)]

use kong_message::ResponseHead;
use kong_plugin::kind;
use kong_plugin::testing::{Finished, TestNode};
use serde_json::{Value, json};

use super::ResponseTransformer;

fn send(config: &Value, lines: &[(&str, &str)], body: &str) -> Finished {
    let node = TestNode::new(vec![kind::<ResponseTransformer>()]);
    let plan = node.plan_of(&[("response-transformer", config.clone())]);
    let mut head = ResponseHead::new(200);
    for (name, value) in lines {
        head.headers.append(name, value);
    }
    node.run(&plan, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .finish(head, body.to_owned())
}

#[test]
fn headers_are_changed_step_by_step() {
    let two = [("X-A", "1"), ("X-A", "2")];
    // configuration, upstream's lines, values of X-A, X-B
    let rows: Vec<(Value, &[(&str, &str)], Vec<&str>, Vec<&str>)> = vec![
        (json!({"remove": {"headers": ["x-a:whatever"]}}), &two, vec![], vec![]),
        (
            json!({"rename": {"headers": ["X-A:X-B"]}}),
            &two,
            vec![],
            vec!["1", "2"],
        ),
        (
            json!({"rename": {"headers": ["X-A:X-B"]}}),
            &[("x-a", "1"), ("X-B", "was")],
            vec![],
            vec!["1"],
        ),
        (
            json!({"replace": {"headers": ["X-A:new", "X-B:new"]}}),
            &two,
            vec!["new"],
            vec![],
        ),
        (
            json!({"add": {"headers": ["X-A:new", "X-B:a b"]}}),
            &two,
            vec!["1", "2"],
            vec!["a b"],
        ),
        (
            json!({"append": {"headers": ["X-A:p", "X-A:q", "X-B: http://x:1/"]}}),
            &two,
            vec!["1", "2", "p", "q"],
            vec!["http://x:1/"],
        ),
        (
            json!({"remove": {"headers": ["X-A"]}, "replace": {"headers": ["X-A:again"]}}),
            &two,
            vec!["again"],
            vec![],
        ),
        (
            json!({"remove": {"headers": ["X-A"]}, "add": {"headers": ["X-A:again"]}}),
            &two,
            vec![],
            vec![],
        ),
    ];
    for (config, lines, a, b) in rows {
        let answer = send(&config, lines, "");
        assert_eq!(
            (answer.header_all("x-a"), answer.header_all("x-b")),
            (
                a.iter().map(|s| (*s).to_owned()).collect(),
                b.iter().map(|s| (*s).to_owned()).collect()
            ),
            "{config}"
        );
    }
}

#[test]
fn json_bodies_are_changed() {
    let types = json!({"json": ["n:1.5", "i:7", "t:true", "f:false", "s:7", "o:maybe", "x:abc"],
        "json_types": ["number", "number", "boolean", "boolean", "string", "boolean", "number"]});
    let all = json!({"remove": {"json": ["p1"]}, "rename": {"json": ["p4:p2"]}, "replace": {"json": ["p2:v2"]},
        "add": {"json": ["p3:v1"]}, "append": {"json": ["p3:v2"]}});
    for (config, before, after) in [
        (
            json!({"remove": {"json": ["a", "none"]}}),
            r#"{"a": 1, "b": 2}"#,
            json!({"b": 2}),
        ),
        (
            json!({"rename": {"json": ["a:z"]}}),
            r#"{"a": false, "z": 1}"#,
            json!({"z": false}),
        ),
        (
            json!({"replace": {"json": ["a:9", "n:9", "f:9"]}}),
            r#"{"a": 1, "n": null, "f": false}"#,
            json!({"a": "9", "n": null, "f": false}),
        ),
        (
            json!({"add": {"json": ["a:9", "n:9"]}}),
            r#"{"a": 1, "n": null}"#,
            json!({"a": 1, "n": "9"}),
        ),
        (
            json!({"append": {"json": ["a:x", "n:x", "l:x"]}}),
            r#"{"a": "1", "n": 5, "l": []}"#,
            json!({"a": ["1", "x"], "n": ["x"], "l": ["x"]}),
        ),
        (
            json!({"add": types}),
            "{}",
            json!({"n": 1.5, "i": 7, "t": true, "f": false, "s": "7", "o": false}),
        ),
        (
            json!({"add": {"json": ["q:\"v1\"", "p:/a/b", "c:x:y:z"]}}),
            "{}",
            json!({"q": "\"v1\"", "p": "/a/b", "c": "x:y:z"}),
        ),
        (all, r#"{"p1":"v1","p4":"v1"}"#, json!({"p2": "v2", "p3": ["v1", "v2"]})),
        (
            json!({"add": {"json": ["k:v"]}}),
            r#"{"l": [], "o": {}, "d": {"l": []}}"#,
            json!({"l": [], "o": {}, "d": {"l": []}, "k": "v"}),
        ),
    ] {
        for kind in ["application/json", "text/x, application/problem+json; charset=utf-8"] {
            let length = before.len().to_string();
            let answer = send(&config, &[("Content-Type", kind), ("Content-Length", &length)], before);
            assert_eq!(
                serde_json::from_slice::<Value>(&answer.body).unwrap(),
                after,
                "{config}"
            );
            assert_eq!(answer.header("content-length"), None);
        }
        let answer = send(
            &config,
            &[("Content-Type", "text/json"), ("Content-Length", "1")],
            before,
        );
        assert_eq!(
            (&*answer.body, answer.header("content-length")),
            (before.as_bytes(), Some("1"))
        );
    }
    let answer = send(
        &json!({"add": {"json": ["k:v"]}}),
        &[("Content-Type", "application/json")],
        "not json",
    );
    assert_eq!(answer.body, b"not json");
}
