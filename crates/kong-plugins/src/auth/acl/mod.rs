//! `acl`: which groups of consumers may pass (plugins-auth-traffic.md §2.1).
//!
//! On the request path: one list lookup; no allocation but the header that names the groups.

use std::sync::Arc;

use kong_cache::{CachedList, ListLookup};
use kong_model::credentials::Acl as AclEntity;
use kong_plugin::context::Access;
use kong_plugin::{
    Action, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, PluginResult, Step,
};
use kong_schema::{Entity, EntityCheck, PluginScopes, Record, Schema, check};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// Configuration of `acl`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Groups that may pass; all others may not.
    pub allow: Option<Vec<String>>,
    /// Groups that may not pass; all others may.
    pub deny: Option<Vec<String>>,
    /// Do not tell the service the consumer's groups.
    #[kong(required, default = false)]
    pub hide_groups_header: bool,
    /// Prefer groups that an authentication plugin found over those of the consumer.
    #[kong(required, default = false)]
    pub always_use_authenticated_groups: bool,
}

/// See the module.
pub struct Acl {
    groups: Vec<String>,
    is_deny: bool,
    hide_groups_header: bool,
    always_use_authenticated_groups: bool,
    schema: Arc<Schema>,
}

impl PluginDefinition for Acl {
    const NAME: &'static str = "acl";
    const PRIORITY: i32 = 950;
    const PHASES: Phases = Phases::ACCESS;
    const SCOPES: PluginScopes = PluginScopes::NO_CONSUMER;

    type Config = Config;
    type State = ();

    fn checks() -> Vec<EntityCheck> {
        let lists = ["config.allow", "config.deny"];
        vec![check::only_one_of(&lists), check::at_least_one_of(&lists)]
    }

    fn entities() -> Vec<Arc<Schema>> {
        vec![AclEntity::schema()]
    }

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, env: &PluginEnv) -> Result<Self, PluginError> {
        let deny = config.deny.filter(|deny| !deny.is_empty());
        Ok(Acl {
            is_deny: deny.is_some(),
            groups: deny.or(config.allow).unwrap_or_default(),
            hide_groups_header: config.hide_groups_header,
            always_use_authenticated_groups: config.always_use_authenticated_groups,
            schema: env.entities.schema("acls")?.clone(),
        })
    }
}

impl Plugin for Acl {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        let Some(consumer) = consumer_id(cx) else {
            return Step::Ready(Ok(match authenticated_groups(cx) {
                Some(groups) => self.decide(cx, &groups, "X-Authenticated-Groups"),
                None => refuse(cx),
            }));
        };
        if (cx.credential.is_none() || self.always_use_authenticated_groups)
            && let Some(groups) = authenticated_groups(cx)
        {
            return Step::Ready(Ok(self.decide(cx, &groups, "X-Authenticated-Groups")));
        }
        let mut id = Uuid::encode_buffer();
        match cx
            .entities
            .cache()
            .lookup_list(&self.schema, "consumer", consumer.hyphenated().encode_lower(&mut id))
        {
            ListLookup::Hit(rows) => Step::Ready(Ok(self.decide_on_rows(cx, &rows))),
            ListLookup::Miss(load) => Step::wait(async move {
                let rows = load.await.map_err(PluginError::new)?;
                PluginResult::Ok(self.decide_on_rows(cx, &rows))
            }),
        }
    }
}

/// Without a credential nobody said who they are.
fn refuse(cx: &Access<'_>) -> Action {
    Action::Respond(match cx.credential {
        Some(_) => LocalResponse::error(403, "You cannot consume this service"),
        None => LocalResponse::default_error(401),
    })
}

fn consumer_id(cx: &Access<'_>) -> Option<Uuid> {
    if let Some(consumer) = &cx.consumer {
        return Some(consumer.id);
    }
    let credential = cx.credential.as_ref()?.value.as_ref()?;
    Uuid::try_parse(credential.get("consumer_id")?.as_str()?).ok()
}

/// Groups that an authentication plugin left in the shared context.
fn authenticated_groups(cx: &Access<'_>) -> Option<Vec<String>> {
    match cx.shared.get("authenticated_groups")? {
        Value::Array(groups) => Some(
            groups
                .iter()
                .filter_map(|group| Some(group.as_str()?.to_owned()))
                .collect(),
        ),
        _ => {
            tracing::warn!("[acl] authenticated_groups is no list, ignored");
            None
        }
    }
}

impl Acl {
    fn decide_on_rows(&self, cx: &mut Access<'_>, rows: &CachedList) -> Action {
        let groups: Vec<&str> = rows.iter().filter_map(|row| row.row().get("group")?.as_str()).collect();
        if groups.is_empty() && !self.is_deny {
            return refuse(cx);
        }
        self.decide(cx, &groups, "X-Consumer-Groups")
    }

    fn decide(&self, cx: &mut Access<'_>, groups: &[impl AsRef<str>], header: &str) -> Action {
        let is_in = groups
            .iter()
            .any(|group| self.groups.iter().any(|name| name == group.as_ref()));
        if is_in == self.is_deny {
            return Action::Respond(LocalResponse::error(403, "You cannot consume this service"));
        }
        if !self.hide_groups_header {
            let mut joined = String::new();
            for (index, group) in groups.iter().enumerate() {
                if index > 0 {
                    joined.push_str(", ");
                }
                joined.push_str(group.as_ref());
            }
            cx.set_header(header, joined);
        }
        Action::Continue
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::auth::KeyAuth;
    use kong_plugin::kind;
    use kong_plugin::testing::{Run, TestNode};
    use serde_json::json;

    fn node() -> TestNode {
        let node = TestNode::new(vec![kind::<Acl>(), kind::<KeyAuth>()]);
        for (name, groups) in [
            ("alice", &["admin", "dev"][..]),
            ("bob", &[]),
            ("guest", &[]),
            ("member", &["dev"]),
        ] {
            let consumer = node.insert("consumers", json!({"username": name}));
            let id = json!({"id": consumer["id"]});
            node.insert("keyauth_credentials", json!({"key": name, "consumer": id}));
            for group in groups {
                node.insert("acls", json!({"group": group, "consumer": id}));
            }
        }
        node
    }

    fn run(node: &TestNode, acl: Value, anonymous: Option<&str>, key: &str) -> Run {
        let plan = node.plan_of(&[("key-auth", json!({"anonymous": anonymous})), ("acl", acl)]);
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{key}\r\n");
        node.run(&plan, &request);
        node.run(&plan, &request)
    }

    #[test]
    fn groups_decide() {
        let node = node();
        let (allow, deny) = (
            |g: &str| json!({"allow": [g, "x"]}),
            |g: &str| json!({"deny": [g, "x"]}),
        );
        // configuration, anonymous consumer, key, status
        let rows = [
            (allow("admin"), None, "alice", 200),
            (allow("dev"), None, "alice", 200),
            (allow("other"), None, "alice", 403),
            (allow("admin"), None, "bob", 403),
            (deny("admin"), None, "alice", 403),
            (deny("other"), None, "alice", 200),
            (deny("admin"), None, "bob", 200),
            (allow("admin"), Some("guest"), "", 401),
            (allow("admin"), Some("member"), "", 403),
            (allow("dev"), Some("member"), "", 200),
            (deny("dev"), Some("guest"), "", 200),
            (deny("dev"), Some("member"), "", 403),
        ];
        for (config, anonymous, key, status) in rows {
            let header = if key.is_empty() {
                String::new()
            } else {
                format!("apikey: {key}\r\n")
            };
            let run = run(&node, config.clone(), anonymous, &header);
            assert_eq!(run.status(), status, "{config} {anonymous:?} {key}");
            if status == 403 {
                assert_eq!(run.message().as_deref(), Some("You cannot consume this service"));
            }
        }
    }

    #[test]
    fn without_authentication_nobody_passes() {
        let node = node();
        let plan = node.plan_of(&[("acl", json!({"deny": ["x"]}))]);
        let run = node.run(&plan, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(
            (run.status(), run.message(), run.local_header("www-authenticate")),
            (401, None, None)
        );
    }

    #[test]
    fn the_service_learns_the_groups_unless_hidden() {
        let node = node();
        let groups = |config: Value, key: &str| {
            let run = run(
                &node,
                config,
                None,
                &format!("apikey: {key}\r\nX-Consumer-Groups: forged\r\n"),
            );
            run.exchange.header("x-consumer-groups").map(str::to_owned)
        };
        let alice = groups(json!({"allow": ["dev"]}), "alice").unwrap();
        assert!(alice == "admin, dev" || alice == "dev, admin", "{alice}");
        assert_eq!(groups(json!({"deny": ["x"]}), "bob").as_deref(), Some(""));
        assert_eq!(
            groups(json!({"allow": ["dev"], "hide_groups_header": true}), "alice").as_deref(),
            Some("forged")
        );
    }

    #[test]
    fn authenticated_groups_count_without_a_credential_or_when_preferred() {
        let node = node();
        for (config, status) in [
            (json!({"allow": ["ldap"]}), 200),
            (json!({"allow": ["other"]}), 403),
            (json!({"deny": ["ldap"]}), 403),
        ] {
            let plan = node.plan_of(&[("acl", config)]);
            let mut exchange = node.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            exchange
                .shared
                .insert("authenticated_groups".into(), json!(["ldap", "more"]));
            let run = node.run_exchange(&plan, exchange);
            assert_eq!(run.status(), status);
            if status == 200 {
                assert_eq!(run.exchange.header("x-authenticated-groups"), Some("ldap, more"));
            }
        }
        for (always, status) in [(false, 403), (true, 200)] {
            let config = json!({"allow": ["ldap"], "always_use_authenticated_groups": always});
            let plan = node.plan_of(&[("key-auth", json!({})), ("acl", config)]);
            let mut exchange = node.exchange("GET / HTTP/1.1\r\nHost: a\r\napikey: alice\r\n\r\n");
            exchange.shared.insert("authenticated_groups".into(), json!(["ldap"]));
            assert_eq!(node.run_exchange(&plan, exchange).status(), status);
        }
    }

    #[test]
    fn exactly_one_list_is_needed() {
        let node = node();
        let lists = "'config.allow', 'config.deny'";
        let both = node
            .configuration("acl", json!({"allow": ["a"], "deny": ["b"]}))
            .unwrap_err();
        assert_eq!(
            both,
            json!({"@entity": [format!("exactly one of these fields must be non-empty: {lists}")]})
        );
        let neither = node.configuration("acl", json!({})).unwrap_err();
        let text = neither["@entity"].to_string();
        assert!(
            text.contains(&format!("at least one of these fields must be non-empty: {lists}")),
            "{text}"
        );
    }
}
