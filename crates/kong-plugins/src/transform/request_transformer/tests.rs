#![allow(clippy::unwrap_used, clippy::expect_used)]

use kong_plugin::kind;
use kong_plugin::testing::{Run, TestNode, block_on};
use serde_json::{Value, json};

use super::RequestTransformer;

fn node() -> TestNode {
    TestNode::new(vec![kind::<RequestTransformer>()])
}

fn run(config: &Value, request: &str) -> Run {
    let node = node();
    node.run(&node.plan_of(&[("request-transformer", config.clone())]), request)
}

fn headers(run: &Run) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = run
        .exchange
        .head
        .headers
        .iter()
        .map(|(name, value)| format!("{}: {}", text(name), text(value)));
    all.filter(|line| !line.starts_with("Host")).collect()
}

#[test]
fn headers_are_changed_step_by_step() {
    let all = json!({"remove": {"headers": ["X-1"]}, "rename": {"headers": ["X-2:X-3"]}, "replace": {"headers": ["X-3:r"]},
        "add": {"headers": ["X-1:a", "X-4:a"]}, "append": {"headers": ["X-3:p", "X-4:p"]}});
    let rows: Vec<(Value, &str, Vec<&str>)> = vec![
        (json!({}), "X-A: 1\r\n", vec!["X-A: 1"]),
        (
            json!({"remove": {"headers": ["X-Gone", "x-other:x"]}}),
            "x-gone: 1\r\nX-GONE: 2\r\nX-Other: 3\r\nX-S: 4\r\n",
            vec!["X-S: 4"],
        ),
        (
            json!({"rename": {"headers": ["X-Old:X-New"]}}),
            "x-old: v\r\nX-New: was\r\n",
            vec!["X-New: v"],
        ),
        (
            json!({"rename": {"headers": ["rename:Rename"]}}),
            "rename: v\r\n",
            vec!["Rename: v"],
        ),
        (
            json!({"replace": {"headers": ["X-A:new", "X-B:new"]}}),
            "X-A: old\r\n",
            vec!["X-A: new"],
        ),
        (
            json!({"add": {"headers": ["X-A:new", "X-B:new"]}}),
            "x-a: old\r\n",
            vec!["x-a: old", "X-B: new"],
        ),
        (
            json!({"append": {"headers": ["X-A:more"]}}),
            "X-A: 1\r\nX-A: 2\r\n",
            vec!["X-A: 1", "X-A: 2", "X-A: more"],
        ),
        (
            json!({"add": {"headers": ["X-Url:http://a:1/b", "X-Many::::v:w"]}}),
            "",
            vec!["X-Url: http://a:1/b", "X-Many: v:w"],
        ),
        (
            json!({"remove": {"headers": ["X-A"]}, "add": {"headers": ["X-A:fresh"]}}),
            "X-A: stale\r\n",
            vec!["X-A: fresh"],
        ),
        (
            json!({"rename": {"headers": ["A1:A2", "A2:A3"]}}),
            "A1: x\r\n",
            vec!["A3: x"],
        ),
        (
            all.clone(),
            "X-1: v1\r\nX-2: v2\r\n",
            vec!["X-3: r", "X-1: a", "X-4: a", "X-3: p", "X-4: p"],
        ),
        (
            all,
            "X-3: v3\r\nX-4: v4\r\n",
            vec!["X-3: r", "X-4: v4", "X-1: a", "X-3: p", "X-4: p"],
        ),
        (
            json!({"replace": {"headers": ["X-A:b"]}, "append": {"headers": ["X-B:$(headers.x_a)"]}}),
            "X-A: a\r\n",
            vec!["X-A: b", "X-B: b"],
        ),
        (
            json!({"replace": {"headers": ["X-A:$(headers.x_a)2"]}, "append": {"headers": ["X-B:$(headers.x_a)"]}}),
            "X-A: a\r\n",
            vec!["X-A: a2", "X-B: a"],
        ),
    ];
    for (config, lines, expected) in rows {
        let run = run(&config, &format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n"));
        assert_eq!(
            (run.status(), headers(&run)),
            (200, expected.into_iter().map(str::to_owned).collect()),
            "{config}"
        );
    }
}

#[test]
fn the_host_is_only_replaced() {
    let config = json!({"replace": {"headers": ["Host:other.example:8080"]}, "remove": {"headers": ["host"]}});
    let run = run(&config, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(
        run.exchange.upstream.as_ref().unwrap().host_header.as_deref(),
        Some(&b"other.example:8080"[..])
    );
    assert_eq!(run.exchange.header("host"), Some("h"));
}

#[test]
fn queries_are_changed_and_written_anew() {
    let rename_replace = json!({"replace": {"querystring": ["bare:now"]}, "rename": {"querystring": ["flag:sign"]}});
    for (config, query, expected) in [
        (json!({}), "?b=2&a=$&+,/:;=?@", Some("b=2&a=$&+,/:;=?@")),
        (json!({"remove": {"querystring": ["a"]}}), "?a=1&b=2&a=3", Some("b=2")),
        (json!({"remove": {"querystring": ["a"]}}), "?a=1", None),
        (
            json!({"rename": {"querystring": ["old:new"]}}),
            "?old=1&new=2",
            Some("new=1"),
        ),
        (
            json!({"append": {"querystring": ["a:9"]}}),
            "?a=1&a=2&b=3",
            Some("a=1&a=2&a=9&b=3"),
        ),
        (
            json!({"add": {"querystring": ["x:a b&c=d/é"]}}),
            "?arr[0]=1&u=%C3%A4&s=a+b&sl=%2F",
            Some("arr%5B0%5D=1&s=a%20b&sl=%2F&u=%C3%A4&x=a%20b%26c%3Dd%2F%C3%A9"),
        ),
        (
            json!({"add": {"querystring": ["x:1"]}}),
            "?bare&empty=&full=1",
            Some("bare&empty=&full=1&x=1"),
        ),
        (rename_replace, "?bare&flag", Some("bare=now&sign")),
        (
            json!({"rename": {"querystring": ["old:$(headers['x-name'])"]}}),
            "?old=1",
            Some("fresh=1"),
        ),
    ] {
        let run = run(
            &config,
            &format!("GET /{query} HTTP/1.1\r\nHost: h\r\nX-Name: fresh\r\n\r\n"),
        );
        assert_eq!(
            run.exchange.query.as_deref().map(String::from_utf8_lossy).as_deref(),
            expected,
            "{config} {query}"
        );
    }
}

#[test]
fn paths_are_replaced() {
    for (uri, expected) in [
        ("/new/path", Some("/new/path")),
        ("/a b/ü?x=1#f", Some("/a%20b/%C3%BC?x=1#f")),
        ("/a%20b%2Fc", Some("/a%20b%2Fc")),
        ("/$(headers['x-seg'])/$(query_params.q)", Some("/ss/qq")),
        ("$(headers.nope)", None),
        ("relative", None),
        ("/$(headers.nope + 1)", None),
    ] {
        let config = json!({"replace": {"uri": uri}});
        let run = run(&config, "GET /old?q=qq HTTP/1.1\r\nHost: h\r\nX-Seg: ss\r\n\r\n");
        match expected {
            Some(path) => assert_eq!(run.exchange.upstream.as_ref().unwrap().path, path),
            None => assert!(run.has_failed(), "{uri}"),
        }
    }
}

#[test]
fn methods_are_replaced_and_take_forms_along() {
    let form =
        "POST /?a=0 HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=1&k=v&secret";
    let config = json!({"http_method": "GET", "remove": {"querystring": ["secret"]}, "add": {"querystring": ["n:1"]}});
    let changed = run(&config, form);
    assert_eq!(changed.exchange.method(), "GET");
    assert_eq!(changed.exchange.query.as_deref(), Some(&b"a=0&a=1&k=v&n=1"[..]));
    assert_eq!(
        run(&json!({"http_method": "PUT"}), form).exchange.query.as_deref(),
        Some(&b"a=0"[..])
    );
    assert!(run(&json!({"http_method": "BREW"}), form).has_failed());
}

fn body(config: &Value, content_type: &str, body: &str) -> String {
    let run = run(
        config,
        &format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: {content_type}\r\n\r\n{body}"),
    );
    assert!(run.is_proxied());
    let mut body = run.exchange.body;
    String::from_utf8(block_on(body.collect(10_000)).unwrap().to_vec()).unwrap()
}

#[test]
fn json_bodies_are_changed() {
    let all = json!({"remove": {"body": ["p1"]}, "rename": {"body": ["p2:p3"]}, "replace": {"body": ["p3:r"]},
        "add": {"body": ["p1:a", "p4:a"]}, "append": {"body": ["p3:x", "p4:y"]}});
    for (config, before, after) in [
        (json!({"remove": {"body": ["a"]}}), r#"{"a":1,"b":"2"}"#, r#"{"b":"2"}"#),
        (json!({"remove": {"body": ["a"]}}), r#"{ "b":"2" }"#, r#"{"b":"2"}"#),
        (
            json!({"rename": {"body": ["a:z", "b:y"]}}),
            r#"{"a":null,"b":false}"#,
            r#"{"b":false,"z":null}"#,
        ),
        (json!({"replace": {"body": ["a:9"]}}), r#"{ "b":1 }"#, r#"{ "b":1 }"#),
        (
            json!({"add": {"body": ["f:new", "n:new"]}}),
            r#"{"f":false,"n":null}"#,
            r#"{"f":"new","n":null}"#,
        ),
        (
            json!({"append": {"body": ["a:9", "n:9"]}}),
            r#"{"a":[],"n":5}"#,
            r#"{"a":["9"],"n":["9"]}"#,
        ),
        (
            all,
            r#"{"p1":"v1","p2":"v2"}"#,
            r#"{"p1":"a","p3":["r","x"],"p4":["a","y"]}"#,
        ),
        (
            json!({"add": {"body": ["b:1"]}, "remove": {"body": ["x"]}}),
            "",
            r#"{"b":"1"}"#,
        ),
        (json!({"remove": {"body": ["x"]}}), "", ""),
        (json!({"add": {"body": ["b:1"]}}), "[1]", "[1]"),
        (json!({"add": {"body": ["b:1"]}}), "nonsense", "nonsense"),
        (
            json!({"add": {"body": ["who:$(headers['x-who'] or 'nobody')"]}}),
            "{}",
            r#"{"who":"nobody"}"#,
        ),
    ] {
        let changed = body(&config, "Application/JSON; charset=utf-8", before);
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(text.into());
        assert_eq!(parse(&changed), parse(after), "{config} {before}");
        assert_eq!(body(&config, "text/plain", before), before);
    }
}

#[test]
fn forms_and_multipart_bodies_are_changed() {
    let form = "application/x-www-form-urlencoded";
    for (config, before, after) in [
        (json!({"rename": {"body": ["a:z"]}}), "a=1&a=2", "z=1&z=2"),
        (json!({"rename": {"body": ["a:z"]}}), "b=1+2", "b=1+2"),
        (json!({"append": {"body": ["a:9"]}}), "a=1", "a=1&a=9"),
        (json!({"add": {"body": ["x:a b&c"]}}), "", "x=a%20b%26c"),
    ] {
        assert_eq!(body(&config, form, before), after, "{config}");
    }
    let part =
        |name: &str, value: &str| format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let whole = |parts: &[(&str, &str)]| parts.iter().map(|(n, v)| part(n, v)).collect::<String>() + "--B--\r\n";
    let all = json!({"remove": {"body": ["p1"]}, "rename": {"body": ["p2:p3"]}, "replace": {"body": ["p3:r"]},
        "add": {"body": ["p1:a", "p4:a"]}, "append": {"body": ["p5:x"]}});
    let before = whole(&[("p1", "v1"), ("p2", "v2"), ("p5", "v5")]);
    let after = whole(&[("p5", "v5"), ("p3", "r"), ("p1", "a"), ("p4", "a")]);
    assert_eq!(body(&all, "multipart/form-data; boundary=B", &before), after);
    let append = json!({"append": {"body": ["a:x"]}});
    assert_eq!(body(&append, "multipart/form-data; boundary=B", &before), before);
}

#[test]
fn entries_are_checked() {
    let node = node();
    let template = "value '$(a b)' is not in supported format, error:[string \"TMP\"]:1: ')' expected near 'b'";
    for (config, expected) in [
        (
            json!({"rename": {"headers": ["only-one"]}}),
            json!({"rename": {"headers": ["invalid value: only-one"]}}),
        ),
        (
            json!({"add": {"headers": ["bad name:v"]}}),
            json!({"add": {"headers": ["'bad name' is not a valid header"]}}),
        ),
        (
            json!({"replace": {"headers": ["ok:v", "nope"]}}),
            json!({"replace": {"headers": [null, "invalid value: nope"]}}),
        ),
        (
            json!({"add": {"querystring": ["k"]}}),
            json!({"add": {"querystring": ["key 'k' has no value"]}}),
        ),
        (
            json!({"append": {"body": ["k:"]}}),
            json!({"append": {"body": ["key 'k' has no value"]}}),
        ),
        (
            json!({"http_method": "get"}),
            json!({"http_method": "invalid value: get"}),
        ),
        (
            json!({"add": {"querystring": ["k:$(a b)"]}}),
            json!({"add": {"querystring": [template]}}),
        ),
        (
            json!({"remove": {"headers": null}}),
            json!({"remove": {"headers": "required field missing"}}),
        ),
    ] {
        let errors = node.configuration("request-transformer", config.clone()).unwrap_err();
        assert_eq!(errors, json!({ "config": expected }), "{config}");
    }
    assert!(
        node.configuration("request-transformer", json!({"replace": {"body": ["k:$(("]}}))
            .is_ok()
    );
}
