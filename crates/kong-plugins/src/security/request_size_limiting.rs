//! `request-size-limiting`: how large a request body may be (plugins-auth-traffic.md §3.4).

use std::sync::Arc;

use kong_plugin::context::Access;
use kong_plugin::{Action, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, Step};
use kong_schema::{Choice, Record};
use serde::Deserialize;

/// Configuration of `request-size-limiting`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Largest body, in `size_unit`.
    #[kong(default = 128)]
    pub allowed_payload_size: Option<i64>,
    /// Unit of `allowed_payload_size`.
    #[kong(required, default = "megabytes")]
    pub size_unit: SizeUnit,
    /// Refuse requests that announce no length (chunked ones are measured).
    #[kong(required, default = false)]
    pub require_content_length: bool,
}

/// Unit of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Choice)]
#[serde(rename_all = "lowercase")]
pub enum SizeUnit {
    /// 1,048,576 bytes.
    Megabytes,
    /// 1,024 bytes.
    Kilobytes,
    /// Bytes.
    Bytes,
}

/// See the module.
pub struct RequestSizeLimiting {
    limit: i64,
    require_content_length: bool,
}

impl PluginDefinition for RequestSizeLimiting {
    const NAME: &'static str = "request-size-limiting";
    const PRIORITY: i32 = 951;
    const PHASES: Phases = Phases::ACCESS;

    type Config = Config;
    type State = ();

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, _env: &PluginEnv) -> Result<Self, PluginError> {
        let unit = match config.size_unit {
            SizeUnit::Megabytes => 1 << 20,
            SizeUnit::Kilobytes => 1 << 10,
            SizeUnit::Bytes => 1,
        };
        Ok(RequestSizeLimiting {
            limit: config.allowed_payload_size.unwrap_or(128).saturating_mul(unit),
            require_content_length: config.require_content_length,
        })
    }
}

impl Plugin for RequestSizeLimiting {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        if let Some(length) = cx
            .header("content-length")
            .and_then(|value| value.trim().parse::<u64>().ok())
        {
            return Step::Ready(Ok(self.decide(cx, length)));
        }
        let is_chunked = cx
            .header("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        if self.require_content_length && !is_chunked {
            return Step::respond(LocalResponse::error(411, "A valid Content-Length header is required"));
        }
        match cx.body.len() {
            Some(length) => Step::Ready(Ok(self.decide(cx, length))),
            None => Step::wait(async move {
                cx.read_body().await.map_err(PluginError::new)?;
                let length = cx.body.len().unwrap_or(0);
                Ok(self.decide(cx, length))
            }),
        }
    }
}

impl RequestSizeLimiting {
    fn decide(&self, cx: &Access<'_>, length: u64) -> Action {
        if i64::try_from(length).is_ok_and(|length| length <= self.limit) {
            return Action::Continue;
        }
        let expects = cx
            .header("expect")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("100-continue"));
        Action::Respond(LocalResponse::error(
            if expects { 417 } else { 413 },
            "Request size limit exceeded",
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use kong_plugin::kind;
    use kong_plugin::testing::TestNode;
    use serde_json::json;

    #[test]
    fn bodies_are_measured() {
        let node = TestNode::new(vec![kind::<RequestSizeLimiting>()]);
        let ten = json!({"allowed_payload_size": 10, "size_unit": "bytes"});
        let strict = json!({"allowed_payload_size": 10, "size_unit": "bytes", "require_content_length": true});
        let rows = [
            (ten.clone(), "Content-Length: 10\r\n", 0, 200),
            (ten.clone(), "Content-Length: 11\r\n", 0, 413),
            (ten.clone(), "Content-Length: 5\r\n", 11, 200),
            (ten.clone(), "", 10, 200),
            (ten.clone(), "", 11, 413),
            (ten.clone(), "Transfer-Encoding: chunked\r\n", 11, 413),
            (ten, "Content-Length: 11\r\nExpect:  100-Continue \r\n", 11, 417),
            (strict.clone(), "", 0, 411),
            (strict.clone(), "Transfer-Encoding: chunked\r\n", 10, 200),
            (strict, "Content-Length: 0\r\n", 0, 200),
            (
                json!({"allowed_payload_size": 1, "size_unit": "kilobytes"}),
                "Content-Length: 1024\r\n",
                0,
                200,
            ),
            (
                json!({"allowed_payload_size": 1, "size_unit": "kilobytes"}),
                "Content-Length: 1025\r\n",
                0,
                413,
            ),
            (json!({}), "Content-Length: 134217728\r\n", 0, 200),
            (json!({}), "Content-Length: 134217729\r\n", 0, 413),
            (json!({"allowed_payload_size": 0}), "", 0, 200),
        ];
        for (config, lines, length, status) in rows {
            let plan = node.plan_of(&[("request-size-limiting", config.clone())]);
            let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n{}", "x".repeat(length));
            assert_eq!(node.run(&plan, &request).status(), status, "{config} {lines} {length}");
        }
    }
}
