//! What a user sees of a running node, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod admin_input;
mod bodies;
mod clients;
mod durability;
mod load;
mod propagation;
mod signals;
mod walkthrough;

use kong_tests::{Gateway, Origin};
use serde_json::json;

/// A node with one service and the route `/echo` to a scripted origin.
fn echo_gateway() -> (Gateway, Origin) {
    let origin = Origin::start().unwrap();
    let gateway = Gateway::builder().start().unwrap();
    gateway.add_service("echo", &origin.url()).unwrap();
    gateway
        .add_route("echo", json!({"name": "echo", "paths": ["/echo"]}))
        .unwrap();
    (gateway, origin)
}

/// Still alive, still answering, and no panic in its log.
fn assert_unharmed(gateway: &mut Gateway) {
    assert!(gateway.is_running(), "{}", gateway.log());
    assert_eq!(gateway.admin().get("/status").unwrap().status, 200);
    assert_eq!(gateway.panics(), Vec::<String>::new());
}
