//! One plugin each that needs `response` and `preread`: what a plugin of somebody else looks like.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;

use kong_message::ResponseHead;
use kong_plugin::context::Response;
use kong_plugin::pipeline::{self, Flow};
use kong_plugin::testing::{TestNode, block_on};
use kong_plugin::{
    Action, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, Preread, Step,
    StreamLog, kind,
};
use kong_schema::{ALL_PROTOCOLS, Record};
use serde::Deserialize;
use serde_json::json;

/// Replaces the service's response by its sum, or refuses it.
struct Checksum {
    refuse_empty: bool,
}

#[derive(Deserialize, Record)]
struct ChecksumConfig {
    #[kong(required, default = false)]
    refuse_empty: bool,
}

impl PluginDefinition for Checksum {
    const NAME: &'static str = "checksum";
    const PRIORITY: i32 = 5;
    const PHASES: Phases = Phases::RESPONSE;
    const PROTOCOLS: &'static [&'static str] = ALL_PROTOCOLS;
    const DEFAULT_PROTOCOLS: &'static [&'static str] = ALL_PROTOCOLS;

    type Config = ChecksumConfig;
    type State = ();

    fn new(config: ChecksumConfig, _: Instance, _: &Arc<()>, _: &PluginEnv) -> Result<Self, PluginError> {
        Ok(Checksum {
            refuse_empty: config.refuse_empty,
        })
    }
}

impl Plugin for Checksum {
    fn response<'a>(&'a self, cx: &'a mut Response<'_>) -> Step<'a> {
        let body = cx.body();
        if body.is_empty() && self.refuse_empty {
            return Step::respond(LocalResponse::error(502, "the service said nothing"));
        }
        let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
        cx.set_header("X-Sum", sum.to_string());
        cx.set_body(format!("{sum}\n"));
        cx.set_status(203);
        Step::CONTINUE
    }
}

#[test]
fn response_sees_the_whole_response_and_replaces_it() {
    let node = TestNode::new(vec![kind::<Checksum>()]);
    let plan = node.plan_of(&[("checksum", json!({}))]);
    let run = node.run(&plan, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(
        pipeline::has_phase(&run.exchange, Phases::RESPONSE),
        "this is what makes the proxy buffer"
    );
    let answer = run.finish(ResponseHead::new(200), "ab");
    assert_eq!(
        (answer.status(), answer.header("x-sum"), &*answer.body),
        (203, Some("195"), &b"195\n"[..])
    );

    let plan = node.plan_of(&[("checksum", json!({"refuse_empty": true}))]);
    let answer = node
        .run(&plan, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .finish(ResponseHead::new(200), "");
    assert_eq!(answer.status(), 502);
}

/// Lets in no session from a port below the given one.
struct Ports {
    lowest: u16,
}

#[derive(Deserialize, Record)]
struct PortsConfig {
    #[kong(required, kind = "port")]
    lowest: u16,
}

impl PluginDefinition for Ports {
    const NAME: &'static str = "ports";
    const PRIORITY: i32 = 6;
    const PHASES: Phases = Phases::PREREAD.with(Phases::STREAM_LOG);
    const PROTOCOLS: &'static [&'static str] = ALL_PROTOCOLS;
    const DEFAULT_PROTOCOLS: &'static [&'static str] = ALL_PROTOCOLS;

    type Config = PortsConfig;
    type State = std::sync::atomic::AtomicUsize;

    fn new(config: PortsConfig, _: Instance, _: &Arc<Self::State>, _: &PluginEnv) -> Result<Self, PluginError> {
        Ok(Ports { lowest: config.lowest })
    }
}

impl Plugin for Ports {
    fn preread<'a>(&'a self, cx: &'a mut Preread<'_>) -> Step<'a> {
        cx.set_log_value("port", cx.client.port.into());
        match cx.client.port < self.lowest {
            true => Step::respond(LocalResponse::exit(403)),
            false => Step::CONTINUE,
        }
    }

    fn log_stream(&self, cx: &mut StreamLog<'_>) -> Result<(), PluginError> {
        assert_eq!(cx.log_values.len(), 1);
        Err(PluginError::new("logged, and nothing else"))
    }
}

#[test]
fn preread_decides_on_sessions() {
    let mut node = TestNode::new(vec![kind::<Ports>()]);
    for (port, is_let_in) in [(1023, false), (1024, true)] {
        node.peer.set_port(port);
        let mut session = node.session(node.plan_of(&[("ports", json!({"lowest": 1024}))]));
        match block_on(pipeline::preread(&mut session)) {
            Flow::Continue => assert!(is_let_in),
            Flow::Answered(Action::Respond(local)) => assert_eq!((local.status, is_let_in), (403, false)),
            other => panic!("{other:?}"),
        }
        pipeline::log_stream(&mut session);
        assert_eq!(session.log_values[0].value, json!(port));
    }
}
