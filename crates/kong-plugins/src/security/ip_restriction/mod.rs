//! `ip-restriction`: which addresses may come in (plugins-auth-traffic.md §3.3).
//!
//! On the request path: a binary search in each list.

mod ranges;

use std::net::IpAddr;
use std::sync::Arc;

use kong_plugin::context::Access;
use kong_plugin::{Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, Preread, Step};
use kong_schema::{ALL_PROTOCOLS, EntityCheck, Record, check};
use serde::Deserialize;

use self::ranges::Ranges;

/// Configuration of `ip-restriction`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Addresses and ranges that may come in; all others may not.
    #[kong(elements(kind = "ip_or_cidr"))]
    pub allow: Option<Vec<String>>,
    /// Addresses and ranges that may not come in; wins over `allow`.
    #[kong(elements(kind = "ip_or_cidr"))]
    pub deny: Option<Vec<String>>,
    /// Status of a refusal; 403 if unset.
    #[kong(optional)]
    pub status: Option<f64>,
    /// Message of a refusal.
    #[kong(optional)]
    pub message: Option<String>,
}

/// See the module.
pub struct IpRestriction {
    allow: Ranges,
    deny: Ranges,
    status: f64,
    message: Option<String>,
}

impl PluginDefinition for IpRestriction {
    const NAME: &'static str = "ip-restriction";
    const PRIORITY: i32 = 990;
    const PHASES: Phases = Phases::ACCESS.with(Phases::PREREAD);
    const PROTOCOLS: &'static [&'static str] = ALL_PROTOCOLS;
    const DEFAULT_PROTOCOLS: &'static [&'static str] = &["http", "https", "tcp", "tls", "grpc", "grpcs"];

    type Config = Config;
    type State = ();

    fn checks() -> Vec<EntityCheck> {
        vec![check::at_least_one_of(&["config.allow", "config.deny"])]
    }

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, _env: &PluginEnv) -> Result<Self, PluginError> {
        Ok(IpRestriction {
            allow: Ranges::new(config.allow.as_deref().unwrap_or_default())?,
            deny: Ranges::new(config.deny.as_deref().unwrap_or_default())?,
            status: config.status.unwrap_or(403.0),
            message: config.message,
        })
    }
}

impl IpRestriction {
    fn admits(&self, address: IpAddr) -> bool {
        !self.deny.contain(address) && (self.allow.is_empty() || self.allow.contain(address))
    }

    fn message(&self, address: IpAddr) -> String {
        self.message
            .clone()
            .unwrap_or_else(|| format!("IP address not allowed: {address}"))
    }
}

impl Plugin for IpRestriction {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        let address = cx.client.ip;
        if self.admits(address) {
            return Step::CONTINUE;
        }
        tracing::warn!("[ip-restriction] IP address not allowed: {address}");
        if self.status.fract() != 0.0 || !(400.0..600.0).contains(&self.status) {
            return Step::fail(format!("status {} is not between 400 and 599", self.status));
        }
        Step::respond(LocalResponse::error(self.status as u16, self.message(address)))
    }

    fn preread<'a>(&'a self, cx: &'a mut Preread<'_>) -> Step<'a> {
        let address = cx.client.ip;
        if self.admits(address) {
            return Step::CONTINUE;
        }
        tracing::warn!("[ip-restriction] {}", self.message(address));
        // Sessions know few statuses.
        let status = match self.status as u16 {
            known @ (200 | 400 | 403 | 500 | 502 | 503) => known,
            _ => 403,
        };
        Step::respond(LocalResponse::exit(status))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use kong_plugin::pipeline::{self, Flow};
    use kong_plugin::testing::{TestNode, block_on};
    use kong_plugin::{Action, kind};
    use serde_json::{Value, json};

    fn node() -> TestNode {
        TestNode::new(vec![kind::<IpRestriction>()])
    }

    fn status(config: Value, address: &str) -> (u16, Option<String>) {
        let node = node();
        let plan = node.plan_of(&[("ip-restriction", config)]);
        let mut exchange = node.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        exchange.client.ip = address.parse().unwrap();
        let run = node.run_exchange(&plan, exchange);
        (run.status(), run.message())
    }

    #[test]
    fn lists_decide() {
        let both = json!({"allow": ["203.0.113.0/24"], "deny": ["203.0.113.5", "203.0.113.128/25"]});
        let v6 = json!({"allow": ["2001:db8:0:1::/64", "2001:db8::7"]});
        for (config, address, passes) in [
            (json!({"deny": ["203.0.113.7"]}), "203.0.113.7", false),
            (json!({"deny": ["203.0.113.7"]}), "203.0.113.8", true),
            (json!({"allow": ["203.0.113.7"]}), "203.0.113.8", false),
            (both.clone(), "203.0.113.4", true),
            (both.clone(), "203.0.113.5", false),
            (both.clone(), "203.0.113.200", false),
            (both, "198.51.100.1", false),
            (v6.clone(), "2001:db8:0:1:ffff::1", true),
            (v6.clone(), "2001:db8:0:2::1", false),
            (v6.clone(), "2001:db8::7", true),
            (v6, "203.0.113.1", false),
            (json!({"deny": ["0.0.0.0/0"]}), "1.2.3.4", false),
            (json!({"deny": ["0.0.0.0/0"]}), "::1", true),
            (json!({"deny": ["::/0"]}), "::1", false),
            (json!({"allow": ["10.0.0.0/8", "0.0.0.0/0"]}), "11.0.0.0", true),
        ] {
            let (status, message) = status(config.clone(), address);
            assert_eq!(status == 200, passes, "{config} {address}");
            assert_eq!(message, (!passes).then(|| format!("IP address not allowed: {address}")));
        }
    }

    #[test]
    fn status_and_message_can_be_chosen() {
        let config = json!({"deny": ["0.0.0.0/0"], "status": 404, "message": "nothing here"});
        assert_eq!(status(config, "1.2.3.4"), (404, Some("nothing here".into())));
    }

    #[test]
    fn sessions_are_refused_before_they_reach_a_service() {
        let mut node = node();
        let config = json!({"deny": ["203.0.113.7"], "status": 404});
        for (address, refused) in [("203.0.113.7", true), ("203.0.113.8", false)] {
            node.peer.set_ip(address.parse().unwrap());
            let mut session = node.session(node.plan_of(&[("ip-restriction", config.clone())]));
            let flow = block_on(pipeline::preread(&mut session));
            assert_eq!(
                matches!(flow, Flow::Answered(Action::Respond(local)) if local.status == 403),
                refused
            );
        }
    }

    #[test]
    fn addresses_are_checked() {
        let node = node();
        let errors = node
            .configuration("ip-restriction", json!({"allow": ["1.2.3.4", "1.2.3"]}))
            .unwrap_err();
        assert_eq!(
            errors,
            json!({"config": {"allow": [null, "invalid ip or cidr range: '1.2.3'"]}})
        );
        let errors = node.configuration("ip-restriction", json!({})).unwrap_err();
        let text = "at least one of these fields must be non-empty: 'config.allow', 'config.deny'";
        assert_eq!(errors, json!({"@entity": [text]}));
    }
}
