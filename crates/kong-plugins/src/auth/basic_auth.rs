//! `basic-auth`: user name and password (plugins-auth-traffic.md §2.2).

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use bytes::Bytes;
use kong_model::credentials::BasicauthCredential;
use kong_plugin::context::Access;
use kong_plugin::{
    Action, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, PluginResult, Step,
};
use kong_schema::{Entity, PluginScopes, Record, Schema};
use serde::Deserialize;

use super::consumers::{self, Consumers};
use super::lenient_base64;
use super::stored::{self, CredentialEntity, Stored};

/// Configuration of `basic-auth`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Id or username of the consumer that requests without valid credentials count as; unset: they are refused.
    pub anonymous: Option<String>,
    /// Remove the credentials from the request that the service gets.
    #[kong(required, default = false)]
    pub hide_credentials: bool,
    /// Realm shown in `WWW-Authenticate`.
    #[kong(required, default = "service")]
    pub realm: String,
}

/// See the module.
pub struct BasicAuth {
    hide_credentials: bool,
    challenge: Bytes,
    consumers: Consumers,
    credentials: Arc<Schema>,
}

struct Password;

impl CredentialEntity for Password {
    const IDENTIFIER: &'static str = "username";
    type Secrets = Hash;
}

#[derive(Deserialize)]
struct Hash {
    password: String,
}

impl PluginDefinition for BasicAuth {
    const NAME: &'static str = "basic-auth";
    const PRIORITY: i32 = 1100;
    const PHASES: Phases = Phases::ACCESS;
    const SCOPES: PluginScopes = PluginScopes::NO_CONSUMER;

    type Config = Config;
    type State = ();

    fn entities() -> Vec<Arc<Schema>> {
        vec![BasicauthCredential::schema()]
    }

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, env: &PluginEnv) -> Result<Self, PluginError> {
        Ok(BasicAuth {
            hide_credentials: config.hide_credentials,
            challenge: Bytes::from(format!("Basic realm=\"{}\"", config.realm)),
            consumers: Consumers::new(env, config.anonymous)?,
            credentials: env.entities.schema("basicauth_credentials")?.clone(),
        })
    }
}

impl Plugin for BasicAuth {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        match self.consumers.is_satisfied(cx) {
            true => Step::CONTINUE,
            false => Step::wait(self.decide(cx)),
        }
    }
}

/// User and password of a header's value: `Basic` may stand anywhere in it.
fn parse(value: &[u8]) -> Option<(String, Vec<u8>)> {
    let text = std::str::from_utf8(value).ok()?;
    let at = text.find("Basic").or_else(|| text.find("basic"))?;
    let decoded = lenient_base64::decode(text.get(at + 5..)?.trim())?;
    let colon = decoded.iter().position(|byte| *byte == b':').filter(|at| *at > 0)?;
    let (user, password) = decoded.split_at(colon);
    Some((String::from_utf8(user.to_vec()).ok()?, password.get(1..)?.to_vec()))
}

/// The stored form of a password.
fn hash(password: &[u8], consumer_id: &str) -> String {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(password);
    context.update(consumer_id.as_bytes());
    context
        .finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl BasicAuth {
    async fn decide(&self, cx: &mut Access<'_>) -> PluginResult {
        if let Some(stored) = self.verify(cx).await? {
            let Some(consumer) = self.consumers.by_id(&stored.consumer_id).await? else {
                return Err(PluginError(format!(
                    "consumer {} of a credential does not exist",
                    stored.consumer_id
                )));
            };
            cx.authenticate(Some(consumer), Some(stored.credential.clone()));
            return Ok(Action::Continue);
        }
        if self.consumers.has_anonymous() {
            self.consumers.pass_as_anonymous(cx).await?;
            return Ok(Action::Continue);
        }
        let refusal = LocalResponse::error(401, "Unauthorized");
        Ok(Action::Respond(refusal.header(
            Bytes::from_static(b"WWW-Authenticate"),
            self.challenge.clone(),
        )))
    }

    /// The credential that the request proves to hold.
    async fn verify(&self, cx: &mut Access<'_>) -> Result<Option<Arc<Stored<Password>>>, PluginError> {
        for name in ["proxy-authorization", "authorization"] {
            let Some(value) = cx.headers().get(name) else { continue };
            let parsed = parse(value);
            if self.hide_credentials {
                cx.remove_header(name);
            }
            let Some((user, password)) = parsed else { continue };
            let found = cx.entities.cache().lookup_unique(&self.credentials, "username", &user);
            let Some(cached) = consumers::finish(found).await? else {
                continue;
            };
            // A known user with a wrong password is refused: the other header is not tried.
            let stored: Arc<Stored<Password>> = stored::decode(&cached)?;
            let given = hash(&password, &stored.consumer_id);
            let is_right = verify_slices_are_equal(given.as_bytes(), stored.secrets.password.as_bytes()).is_ok();
            return Ok(is_right.then_some(stored));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use kong_plugin::kind;
    use kong_plugin::testing::{Run, TestNode};
    use serde_json::{Value, json};

    fn node() -> TestNode {
        let node = TestNode::new(vec![kind::<BasicAuth>()]);
        let alice = node.insert("consumers", json!({"username": "alice"}));
        node.insert("consumers", json!({"username": "guest"}));
        for (user, password) in [("alice", "pass:word"), ("empty", " ")] {
            let body = json!({"username": user, "password": password, "consumer": {"id": alice["id"]}});
            node.insert("basicauth_credentials", body);
        }
        node
    }

    fn run(node: &TestNode, config: Value, lines: &str) -> Run {
        let plan = node.plan_of(&[("basic-auth", config)]);
        node.run(&plan, &format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn hashes_are_those_of_the_original() {
        let consumer = "11111111-2222-4333-8444-555555555555";
        assert_eq!(hash(b"kong", consumer), "378fecbedc145c1ee35b268707cd46278616d010");
        assert_eq!(hash(b"", consumer), "c57bbf14c434bebfa12d914d17222995f559c861");
    }

    #[test]
    fn credentials_are_looked_for_in_both_headers() {
        let node = node();
        let (good, bad, unknown) = (basic("alice:pass:word"), basic("alice:wrong"), basic("bob:x"));
        for (lines, passes) in [
            (String::new(), false),
            (format!("Authorization: {good}\r\n"), true),
            (format!("Authorization: {bad}\r\n"), false),
            (format!("Authorization: {unknown}\r\n"), false),
            (format!("Authorization: {}\r\n", basic("empty: ")), true),
            (format!("Authorization: x{}\r\n", good.replace("Basic ", "basic")), true),
            (format!("Authorization: {}\r\n", good.replace("Basic", "BASIC")), false),
            ("Authorization: Basic !!!\r\n".into(), false),
            (format!("Authorization: {}\r\n", basic("nocolon")), false),
            (format!("Authorization: {}\r\n", basic(":x")), false),
            (format!("Proxy-Authorization: {good}\r\n"), true),
            (
                format!("Proxy-Authorization: {unknown}\r\nAuthorization: {good}\r\n"),
                true,
            ),
            (
                format!("Proxy-Authorization: {bad}\r\nAuthorization: {good}\r\n"),
                false,
            ),
        ] {
            let run = run(&node, json!({}), &lines);
            assert_eq!(run.status(), if passes { 200 } else { 401 }, "{lines}");
            match passes {
                true => assert!(["alice", "empty"].contains(&run.exchange.header("x-credential-identifier").unwrap())),
                false => assert_eq!(
                    run.local_header("www-authenticate").as_deref(),
                    Some("Basic realm=\"service\"")
                ),
            }
        }
    }

    #[test]
    fn credentials_can_be_hidden_and_may_be_missing() {
        let node = node();
        let good = basic("alice:pass:word");
        let both = format!("Proxy-Authorization: {good}\r\nAuthorization: other\r\n");
        let hidden = run(&node, json!({"hide_credentials": true}), &both);
        assert_eq!(hidden.exchange.header("proxy-authorization"), None);
        assert_eq!(hidden.exchange.header("authorization"), Some("other"));
        let guest = run(&node, json!({"anonymous": "guest"}), "Authorization: Basic x\r\n");
        assert_eq!(guest.exchange.header("x-consumer-username"), Some("guest"));
        assert_eq!(guest.exchange.header("x-anonymous-consumer"), Some("true"));
    }
}
