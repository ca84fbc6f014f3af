#![allow(clippy::unwrap_used, clippy::expect_used)]

use kong_plugin::kind;
use kong_plugin::testing::{Run, TestNode};
use serde_json::{Value, json};

use super::KeyAuth;

const ALICE: &str = "22222222-2222-4222-8222-222222222222";

fn node() -> TestNode {
    let node = TestNode::new(vec![kind::<KeyAuth>()]);
    node.insert(
        "consumers",
        json!({"id": ALICE, "username": "alice", "custom_id": "cust"}),
    );
    node.insert("consumers", json!({"username": "guest"}));
    for key in ["secret", "a+b c/d=ü"] {
        node.insert("keyauth_credentials", json!({"key": key, "consumer": {"id": ALICE}}));
    }
    node
}

fn run(node: &TestNode, config: Value, request: &str) -> Run {
    let plan = node.plan_of(&[("key-auth", config)]);
    // Twice: the first finds nothing in the cache and waits, the second decides at once.
    node.run(&plan, request);
    node.run(&plan, request)
}

fn request(target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n")
}

#[test]
fn keys_are_found_by_name_and_source() {
    let node = node();
    let none = "No API key found in request";
    let twice = "Duplicate API key found";
    // config, target, header lines, refusal
    let rows: &[(Value, &str, &str, Option<&str>)] = &[
        (json!({}), "/", "apikey: secret\r\n", None),
        (json!({}), "/", "ApiKey:   secret  \r\n", None),
        (json!({}), "/", "", Some(none)),
        (json!({}), "/", "apikey: \r\n", Some(none)),
        (json!({}), "/", "apikey: SECRET\r\n", Some("Unauthorized")),
        (json!({}), "/", "apikey: secret\r\napikey: secret\r\n", Some(twice)),
        (json!({}), "/?apikey=secret", "", None),
        (json!({}), "/?apikey=secret&apikey=secret", "", Some(twice)),
        (json!({}), "/?apikey=secret&apikey", "", Some(twice)),
        (json!({}), "/?apikey", "", Some(none)),
        (json!({}), "/?apikey=", "", Some(none)),
        (json!({}), "/?APIKEY=secret", "", Some(none)),
        (json!({}), "/?api%6Bey=a%2Bb%20c%2Fd%3D%C3%BC", "", None),
        (json!({}), "/?apikey=a%2Bb+c%2Fd%3D%C3%BC", "", None),
        (json!({}), "/?apikey=a+b+c/d=%C3%BC", "", Some("Unauthorized")),
        (json!({}), "/?apikey=secret", "apikey: bad\r\n", Some("Unauthorized")),
        (json!({}), "/?apikey=bad", "apikey: secret\r\n", None),
        (json!({}), "/?apikey=secret", "apikey: \r\n", Some(none)),
        (
            json!({"key_in_header": false}),
            "/?apikey=secret",
            "apikey: bad\r\n",
            None,
        ),
        (json!({"key_in_header": false}), "/", "apikey: secret\r\n", Some(none)),
        (json!({"key_in_query": false}), "/?apikey=secret", "", Some(none)),
        (json!({"key_names": ["x_key"]}), "/", "x-key: secret\r\n", None),
        (json!({"key_names": ["x-key"]}), "/", "x_key: secret\r\n", Some(none)),
        (json!({"key_names": ["a", "b"]}), "/?b=bad", "b: secret\r\n", None),
        (json!({"key_names": ["a", "b"]}), "/?a=secret", "b: bad\r\n", None),
        (json!({"key_names": ["a", "b"]}), "/?a&b=secret", "", None),
    ];
    for (config, target, lines, refusal) in rows {
        let run = run(&node, config.clone(), &request(target, lines));
        assert_eq!(run.message().as_deref(), *refusal, "{config} {target} {lines}");
        assert_eq!(run.status(), if refusal.is_some() { 401 } else { 200 });
    }
}

#[test]
fn the_service_learns_who_called_and_nothing_forged() {
    let node = node();
    let forged = "X-Consumer-ID: x\r\nX-Consumer-Custom-ID: x\r\nX-Consumer-Username: x\r\nX-Credential-Identifier: x\r\n\
                  X-Anonymous-Consumer: true\r\n";
    let run = run(&node, json!({}), &request("/", &format!("apikey: secret\r\n{forged}")));
    let exchange = &run.exchange;
    assert_eq!(exchange.header("x-consumer-id"), Some(ALICE));
    assert_eq!(exchange.header("x-consumer-username"), Some("alice"));
    assert_eq!(exchange.header("x-consumer-custom-id"), Some("cust"));
    assert_eq!(exchange.header("x-anonymous-consumer"), None);
    let id = exchange.credential.as_ref().unwrap().id.clone().unwrap();
    assert_eq!(exchange.header("x-credential-identifier"), Some(&*id));
}

#[test]
fn refusals_challenge_with_the_realm() {
    let node = node();
    for (config, challenge) in [(json!({}), "Key"), (json!({"realm": "vault"}), "Key realm=\"vault\"")] {
        let run = run(&node, config, &request("/", ""));
        assert_eq!(run.local_header("www-authenticate").as_deref(), Some(challenge));
    }
}

#[test]
fn anonymous_lets_pass_what_would_be_refused() {
    let node = node();
    for lines in ["", "apikey: bad\r\n", "apikey: a\r\napikey: b\r\n"] {
        let run = run(&node, json!({"anonymous": "guest"}), &request("/", lines));
        assert!(run.is_proxied(), "{lines}");
        assert_eq!(run.exchange.header("x-consumer-username"), Some("guest"));
        assert_eq!(run.exchange.header("x-anonymous-consumer"), Some("true"));
        assert!(run.exchange.credential.is_none());
    }
    assert!(run(&node, json!({"anonymous": ALICE}), &request("/", "")).is_proxied());
    for unknown in ["nobody", "33333333-3333-4333-8333-333333333333"] {
        let run = run(&node, json!({"anonymous": unknown}), &request("/", ""));
        assert!(run.has_failed(), "{unknown}");
    }
    let run = run(
        &node,
        json!({"anonymous": "guest"}),
        &request("/", "apikey: secret\r\n"),
    );
    assert_eq!(run.exchange.header("x-consumer-username"), Some("alice"));
}

#[test]
fn preflight_requests_may_pass() {
    let node = node();
    let request = "OPTIONS / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    assert_eq!(run(&node, json!({}), request).status(), 401);
    assert_eq!(run(&node, json!({"run_on_preflight": false}), request).status(), 200);
}

#[test]
fn hidden_keys_do_not_reach_the_service() {
    let node = node();
    let config = json!({"hide_credentials": true});
    // target, lines, query that goes on
    for (target, lines, query) in [
        ("/p?q=1", "apikey: secret\r\n", Some("q=1")),
        ("/p?apikey=secret", "", Some("")),
        ("/p?flag&apikey=secret&x=a%20b", "", Some("flag=&x=a+b")),
        ("/p?x=1&api%6bey=bad", "apikey: secret\r\n", Some("x=1")),
        ("/p", "apikey: secret\r\n", None),
    ] {
        let run = run(&node, config.clone(), &request(target, lines));
        assert!(run.is_proxied(), "{target}");
        assert_eq!(run.exchange.header("apikey"), None);
        assert_eq!(run.exchange.query.as_deref(), query.map(str::as_bytes), "{target}");
    }
    let kept = run(&node, json!({}), &request("/p?apikey=secret", "apikey: secret\r\n"));
    assert_eq!(kept.exchange.header("apikey"), Some("secret"));
    let anonymous = json!({"hide_credentials": true, "anonymous": "guest"});
    assert_eq!(
        run(&node, anonymous, &request("/", "apikey: bad\r\n"))
            .exchange
            .header("apikey"),
        None
    );
}

#[test]
fn keys_in_bodies_are_found_and_hidden() {
    let node = node();
    let multipart = "--B\r\nContent-Disposition: form-data; name=\"apikey\"\r\n\r\nsecret\r\n--B--\r\n";
    let form = "application/x-www-form-urlencoded";
    // content type, body, status, body that goes on when hidden
    for (content_type, body, status, hidden) in [
        (form, "apikey=secret&x=1+2", 200, "x=1%202"),
        (form, "apikey=secret&flag", 200, "flag"),
        (form, "apikey[]=secret", 401, ""),
        (form, "apikey=a&apikey=b", 401, ""),
        ("application/json", r#"{"apikey":"secret"}"#, 200, "{}"),
        (
            "application/json; charset=utf-8",
            r#"{"apikey":"secret","n":7}"#,
            200,
            r#"{"n":7}"#,
        ),
        ("application/json", r#"{"apikey":["secret"]}"#, 401, ""),
        ("application/json", r#"{"apikey":7}"#, 401, ""),
        ("application/json", "nonsense", 401, ""),
        ("multipart/form-data; boundary=B", multipart, 200, "--B--\r\n"),
        ("text/plain", "apikey=secret", 401, ""),
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Type: {content_type}\r\n\r\n{body}");
        assert_eq!(run(&node, json!({}), &text).status(), 401, "not looked into: {body}");
        let run = run(&node, json!({"key_in_body": true, "hide_credentials": true}), &text);
        assert_eq!(run.status(), status, "{content_type} {body}");
        if status == 200 {
            let mut left = run.exchange.body;
            let left = kong_plugin::testing::block_on(left.collect(1000)).unwrap();
            assert_eq!(String::from_utf8(left.to_vec()).unwrap(), hidden);
        }
    }
}

#[test]
fn header_names_are_checked() {
    let node = node();
    let errors = node
        .configuration("key-auth", json!({"key_names": ["ok", "not ok"]}))
        .unwrap_err();
    let text = "bad header name 'not ok', allowed characters are A-Z, a-z, 0-9, '_', and '-'";
    assert_eq!(errors, json!({"config": {"key_names": [null, text]}}));
}
