//! `correlation-id`: an id that follows a request through all systems (plugins-auth-traffic.md §4.5).

pub mod generator;

use std::sync::Arc;

use bytes::Bytes;
use kong_plugin::context::{Access, HeaderFilter};
use kong_plugin::{Exchange, Instance, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, Step};
use kong_schema::Record;
use serde::Deserialize;

use self::generator::Generator;

/// Configuration of `correlation-id`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Header that carries the id.
    #[kong(default = "Kong-Request-ID")]
    pub header_name: Option<String>,
    /// How ids are made: a random UUID, a UUID per worker and a counter, or address, port, process, connection, request and time.
    #[kong(required, default = "uuid#counter")]
    pub generator: Generator,
    /// Send the id to the client too.
    #[kong(required, default = false)]
    pub echo_downstream: bool,
}

/// See the module.
pub struct CorrelationId {
    header: Bytes,
    name: String,
    generator: Generator,
    echo_downstream: bool,
}

/// The id of the request, kept until the response.
struct Id(Bytes);

impl PluginDefinition for CorrelationId {
    const NAME: &'static str = "correlation-id";
    const PRIORITY: i32 = 100_001;
    const PHASES: Phases = Phases::ACCESS.with(Phases::HEADER_FILTER);

    type Config = Config;
    type State = ();

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, _env: &PluginEnv) -> Result<Self, PluginError> {
        let name = config.header_name.unwrap_or_else(|| "Kong-Request-ID".to_owned());
        Ok(CorrelationId {
            header: Bytes::from(name.clone()),
            name,
            generator: config.generator,
            echo_downstream: config.echo_downstream,
        })
    }
}

impl CorrelationId {
    /// The id that came with the request, unless it is blank.
    fn incoming(&self, exchange: &Exchange) -> Option<Bytes> {
        let value = exchange.headers().get(&self.name)?;
        (!value.trim_ascii().is_empty()).then(|| Bytes::copy_from_slice(value))
    }
}

impl Plugin for CorrelationId {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        let id = match self.incoming(cx) {
            Some(id) => id,
            None => {
                let id = self.generator.generate(cx);
                cx.set_header(&self.header, &id);
                id
            }
        };
        cx.set_log_value("correlation_id", String::from_utf8_lossy(&id).into());
        if self.echo_downstream {
            cx.set_state(Id(id));
        }
        Step::CONTINUE
    }

    fn header_filter<'a>(&'a self, cx: &'a mut HeaderFilter<'_>) -> Step<'a> {
        if self.echo_downstream {
            // Without an access phase (no route, refused earlier) the request has no id yet.
            let id = match cx.state::<Id>() {
                Some(Id(id)) => id.clone(),
                None => self.incoming(cx).unwrap_or_else(|| self.generator.generate(cx)),
            };
            cx.set_header(&self.header, &id);
        }
        Step::CONTINUE
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use kong_message::{Body, ResponseHead};
    use kong_plugin::testing::TestNode;
    use kong_plugin::{kind, pipeline, serializer};
    use regex::Regex;
    use serde_json::json;

    const UUID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";

    fn node() -> TestNode {
        TestNode::new(vec![kind::<CorrelationId>()])
    }

    #[test]
    fn ids_have_the_format_of_their_generator_and_reach_both_sides() {
        for (generator, pattern) in [
            (json!("uuid"), format!("^{UUID}$")),
            (json!("uuid#counter"), format!("^{UUID}#[1-9][0-9]*$")),
            (
                json!("tracker"),
                r"^127\.0\.0\.1-8000-[0-9]+-7-1-[0-9]{10}\.[0-9]{3}$".to_owned(),
            ),
        ] {
            let node = node();
            let plan = node.plan_of(&[(
                "correlation-id",
                json!({"generator": generator, "echo_downstream": true}),
            )]);
            let run = node.run(&plan, "GET / HTTP/1.1\r\nHost: a\r\nKong-Request-ID:   \r\n\r\n");
            let sent = run.exchange.header("kong-request-id").unwrap().to_owned();
            assert!(Regex::new(&pattern).unwrap().is_match(&sent), "{sent}");
            let answer = run.finish(ResponseHead::new(200), Body::Empty);
            assert_eq!(answer.header("kong-request-id"), Some(&*sent));
            let entry = serializer::http(&answer.exchange, uuid::Uuid::nil()).unwrap();
            assert_eq!(entry["correlation_id"], json!(sent));
        }
    }

    #[test]
    fn counters_count() {
        let node = node();
        let plan = node.plan_of(&[("correlation-id", json!({}))]);
        let number = || {
            let run = node.run(&plan, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            run.exchange
                .header("kong-request-id")
                .unwrap()
                .split_once('#')
                .unwrap()
                .1
                .parse::<u64>()
                .unwrap()
        };
        assert_eq!(number() + 1, number());
    }

    #[test]
    fn an_incoming_id_is_kept_and_echoed_only_if_asked_for() {
        let node = node();
        for (config, echo) in [(json!({}), None), (json!({"echo_downstream": true}), Some("mine"))] {
            let plan = node.plan_of(&[("correlation-id", config)]);
            let run = node.run(&plan, "GET / HTTP/1.1\r\nHost: a\r\nkong-request-id: mine\r\n\r\n");
            assert_eq!(run.exchange.header("kong-request-id"), Some("mine"));
            assert_eq!(
                run.finish(ResponseHead::new(200), Body::Empty)
                    .header("kong-request-id"),
                echo
            );
        }
    }

    #[test]
    fn a_request_without_access_phase_gets_an_id_for_the_client() {
        let node = node();
        for (lines, expected) in [("", None), ("Kong-Request-ID: mine\r\n", Some("mine"))] {
            let mut exchange = node.exchange(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
            exchange.plan = node.plan_of(&[("correlation-id", json!({"echo_downstream": true}))]);
            pipeline::collect_global(&mut exchange);
            exchange.response = Some(ResponseHead::new(404));
            kong_plugin::testing::block_on(pipeline::header_filter(&mut exchange));
            let id = exchange
                .response
                .unwrap()
                .headers
                .get_str("kong-request-id")
                .unwrap()
                .to_owned();
            assert!(expected.is_none_or(|expected| expected == id) && !id.is_empty());
        }
    }
}
