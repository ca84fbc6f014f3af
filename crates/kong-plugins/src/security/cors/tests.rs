#![allow(clippy::unwrap_used, clippy::expect_used)]

use kong_message::{Body, ResponseHead};
use kong_plugin::kind;
use kong_plugin::testing::{Finished, TestNode};
use serde_json::{Value, json};

use super::Cors;

const PREFIX: &str = "access-control-";

fn send(config: Value, method: &str, lines: &str, upstream: &[(&str, &str)]) -> Finished {
    let node = TestNode::new(vec![kind::<Cors>()]);
    let plan = node.plan_of(&[("cors", config)]);
    let mut head = ResponseHead::new(200);
    for (name, value) in upstream {
        head.headers.append(name, value);
    }
    node.run(&plan, &format!("{method} / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
        .finish(head, Body::Empty)
}

/// The headers that the plugin is about, sorted, as `name=value`.
fn seen(answer: &Finished) -> Vec<String> {
    let mut seen: Vec<String> = answer
        .exchange
        .response
        .as_ref()
        .unwrap()
        .headers
        .iter()
        .map(|(name, value)| {
            (
                String::from_utf8_lossy(name).to_lowercase(),
                String::from_utf8_lossy(value).into_owned(),
            )
        })
        .filter(|(name, _)| name.starts_with(PREFIX) || name == "vary")
        .map(|(name, value)| format!("{}={value}", name.strip_prefix(PREFIX).unwrap_or(&name)))
        .collect();
    seen.sort();
    seen
}

const ASK: &str = "Origin: http://b.test\r\nAccess-Control-Request-Method: PUT\r\n";
const ALL: &str = "allow-methods=GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT";

#[test]
fn preflight_requests_are_answered() {
    let fixed = json!({"origins": ["http://a.test"], "methods": ["GET", "PUT"], "headers": ["X", "Y"], "max_age": 23,
        "exposed_headers": ["Z"], "credentials": true});
    let rows: Vec<(Value, String, Vec<&str>)> = vec![
        (json!({}), ASK.into(), vec![ALL, "allow-origin=*"]),
        (
            json!({}),
            "Origin: \r\nAccess-Control-Request-Method: \r\n".into(),
            vec![ALL, "allow-origin=*"],
        ),
        (
            json!({}),
            format!("{ASK}Access-Control-Request-Headers: a, b\r\n"),
            vec!["allow-headers=a, b", ALL, "allow-origin=*"],
        ),
        (
            fixed,
            ASK.into(),
            vec![
                "allow-credentials=true",
                "allow-headers=X,Y",
                "allow-methods=GET,PUT",
                "allow-origin=http://a.test",
                "max-age=23",
                "vary=Origin",
            ],
        ),
        (
            json!({"origins": ["http://a.test", "c"]}),
            ASK.into(),
            vec![ALL, "vary=Origin"],
        ),
        (
            json!({"credentials": true}),
            ASK.into(),
            vec![
                "allow-credentials=true",
                ALL,
                "allow-origin=http://b.test",
                "vary=Origin",
            ],
        ),
        (
            json!({"private_network": true}),
            format!("{ASK}Access-Control-Request-Private-Network: true\r\n"),
            vec![ALL, "allow-origin=*", "allow-private-network=true"],
        ),
        (
            json!({"private_network": true}),
            ASK.into(),
            vec![ALL, "allow-origin=*"],
        ),
    ];
    for (config, lines, expected) in rows {
        let answer = send(config.clone(), "OPTIONS", &lines, &[]);
        assert_eq!(
            (answer.status(), seen(&answer)),
            (200, expected.into_iter().map(str::to_owned).collect()),
            "{config}"
        );
        assert!(answer.body.is_empty() && answer.exchange.source != kong_plugin::Source::Service);
    }
}

#[test]
fn preflight_requests_may_be_handed_on() {
    let answer = send(
        json!({"preflight_continue": true}),
        "OPTIONS",
        ASK,
        &[("Access-Control-Allow-Origin", "own")],
    );
    assert_eq!(
        (answer.exchange.source, seen(&answer)),
        (kong_plugin::Source::Service, vec!["allow-origin=own".to_owned()])
    );
}

#[test]
fn responses_carry_the_decision() {
    let list = json!({"origins": ["http://a.test", "c"]});
    let rows: Vec<(Value, &str, Vec<&str>)> = vec![
        (json!({}), "", vec!["allow-origin=*", "vary=Accept"]),
        (
            json!({"exposed_headers": ["Y", "Z"]}),
            "",
            vec!["allow-origin=*", "expose-headers=Y,Z", "vary=Accept"],
        ),
        (
            json!({"origins": ["http://a.test"]}),
            "",
            vec!["allow-origin=http://a.test", "vary=Accept", "vary=Origin"],
        ),
        (
            list.clone(),
            "Origin: http://a.test:80\r\n",
            vec!["allow-origin=http://a.test", "vary=Accept", "vary=Origin"],
        ),
        (
            list.clone(),
            "Origin: http://b.test\r\n",
            vec!["vary=Accept", "vary=Origin"],
        ),
        (list, "", vec!["vary=Accept", "vary=Origin"]),
        (
            json!({"credentials": true}),
            "Origin: http://b.test:80\r\n",
            vec![
                "allow-credentials=true",
                "allow-origin=http://b.test:80",
                "vary=Accept",
                "vary=Origin",
            ],
        ),
        (json!({"credentials": true}), "", vec!["allow-origin=*", "vary=Accept"]),
        (
            json!({"credentials": true, "origins": ["x.test", "y.test"]}),
            "Origin: http://b.test\r\n",
            vec!["allow-credentials=true", "vary=Accept", "vary=Origin"],
        ),
    ];
    for (config, lines, expected) in rows {
        let upstream = [("Vary", "Accept"), ("Access-Control-Allow-Origin", "upstream's")];
        for method in ["GET", "OPTIONS"] {
            assert_eq!(
                seen(&send(config.clone(), method, lines, &upstream)),
                expected,
                "{method} {config} {lines}"
            );
        }
    }
}

#[test]
fn origins_are_checked() {
    let node = TestNode::new(vec![kind::<Cors>()]);
    let errors = node
        .configuration("cors", json!({"origins": ["*", "a(b"]}))
        .unwrap_err();
    assert_eq!(
        errors,
        json!({"config": {"origins": [null, "'a(b' is not a valid regex"]}})
    );
}
