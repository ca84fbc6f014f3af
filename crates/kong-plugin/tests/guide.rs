//! The plugin of the author's guide (`docs/plugins.md`): it compiles, it works, and the guide shows it as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

#[path = "guide/badge.rs"]
mod badge;

use kong_plugin::kind;
use kong_plugin::testing::TestNode;
use serde_json::json;

use badge::Badge;

#[test]
fn a_badge_opens_the_gate() {
    let node = TestNode::new(vec![kind::<Badge>()]);
    let alice = node.insert("consumers", json!({"username": "alice"}));
    node.insert("badges", json!({"number": "7", "consumer": {"id": alice["id"]}}));
    let plan = node.plan_of(&[("badge", json!({}))]);

    let shown = node.run(&plan, "GET / HTTP/1.1\r\nHost: a.test\r\nX-Badge: 7\r\n\r\n");
    assert!(shown.is_proxied());
    assert_eq!(shown.exchange.header("x-consumer-username"), Some("alice"));

    for lines in ["", "X-Badge: 8\r\n"] {
        let refused = node.run(&plan, &format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
        assert_eq!(
            (refused.status(), refused.message().as_deref()),
            (401, Some("show your badge"))
        );
    }
}

#[test]
fn the_configuration_is_checked() {
    let node = TestNode::new(vec![kind::<Badge>()]);
    let errors = node.configuration("badge", json!({"header": "no blanks"})).unwrap_err();
    assert!(
        errors["config"]["header"]
            .as_str()
            .unwrap()
            .starts_with("bad header name")
    );
}

/// Every Rust block of the guide is a part of these files.
#[test]
fn the_guide_shows_this_code() {
    let code = [include_str!("guide/badge.rs"), include_str!("guide.rs")].concat();
    let mut shown = 0;
    for block in include_str!("../../../docs/plugins.md").split("```rust\n").skip(1) {
        let block = block.split("```").next().unwrap();
        assert!(code.contains(block), "not in the tests:\n{block}");
        shown += 1;
    }
    assert!(shown >= 5);
}
