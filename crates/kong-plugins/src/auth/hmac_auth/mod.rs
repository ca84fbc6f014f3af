//! `hmac-auth`: signed requests (plugins-auth-traffic.md §2.4).

mod signature;

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kong_model::credentials::HmacauthCredential;
use kong_plugin::context::Access;
use kong_plugin::{
    Action, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, PluginResult, Step,
};
use kong_schema::{Entity, PluginScopes, Record, Schema};
use serde::Deserialize;

use self::signature::{Signature, algorithm};
use super::consumers::{self, Consumers};
use super::lenient_base64;
use super::stored::{self, CredentialEntity, Stored};
use crate::http_date;

/// Configuration of `hmac-auth`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Remove the signature from the request that the service gets.
    #[kong(required, default = false)]
    pub hide_credentials: bool,
    /// Seconds by which the date of a request may differ from the clock.
    #[kong(default = 300, gt = 0)]
    pub clock_skew: Option<f64>,
    /// Id or username of the consumer that requests without a valid signature count as; unset: they are refused.
    pub anonymous: Option<String>,
    /// Check the `Digest` of the body.
    #[kong(required, default = false)]
    pub validate_request_body: bool,
    /// Headers that must be signed.
    #[kong(default = [])]
    pub enforce_headers: Option<Vec<String>>,
    /// Algorithms that may be used.
    #[kong(
        default = ["hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512"],
        elements(one_of("hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512"))
    )]
    pub algorithms: Option<Vec<String>>,
    /// Realm shown in `WWW-Authenticate`.
    #[kong(optional)]
    pub realm: Option<String>,
}

/// See the module.
pub struct HmacAuth {
    hide_credentials: bool,
    clock_skew: f64,
    validate_request_body: bool,
    enforce_headers: Vec<String>,
    algorithms: Vec<String>,
    challenge: Bytes,
    consumers: Consumers,
    credentials: Arc<Schema>,
}

struct Secret;

impl CredentialEntity for Secret {
    const IDENTIFIER: &'static str = "username";
    type Secrets = Key;
}

#[derive(Deserialize)]
struct Key {
    secret: String,
}

const UNAUTHORIZED: &str = "Unauthorized";
const NO_DATE: &str =
    "HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication";
const CANNOT_VERIFY: &str = "HMAC signature cannot be verified";
const NO_MATCH: &str = "HMAC signature does not match";

impl PluginDefinition for HmacAuth {
    const NAME: &'static str = "hmac-auth";
    const PRIORITY: i32 = 1030;
    const PHASES: Phases = Phases::ACCESS;
    const SCOPES: PluginScopes = PluginScopes::NO_CONSUMER;

    type Config = Config;
    type State = ();

    fn entities() -> Vec<Arc<Schema>> {
        vec![HmacauthCredential::schema()]
    }

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, env: &PluginEnv) -> Result<Self, PluginError> {
        let challenge = match &config.realm {
            Some(realm) => Bytes::from(format!("hmac realm=\"{realm}\"")),
            None => Bytes::from_static(b"hmac"),
        };
        Ok(HmacAuth {
            hide_credentials: config.hide_credentials,
            clock_skew: config.clock_skew.unwrap_or(300.0),
            validate_request_body: config.validate_request_body,
            enforce_headers: config.enforce_headers.unwrap_or_default(),
            algorithms: config.algorithms.unwrap_or_default(),
            challenge,
            consumers: Consumers::new(env, config.anonymous)?,
            credentials: env.entities.schema("hmacauth_credentials")?.clone(),
        })
    }
}

impl Plugin for HmacAuth {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        match self.consumers.is_satisfied(cx) {
            true => Step::CONTINUE,
            false => Step::wait(self.decide(cx)),
        }
    }
}

impl HmacAuth {
    async fn decide(&self, cx: &mut Access<'_>) -> PluginResult {
        let refusal = match self.verify(cx).await? {
            Ok(stored) => {
                let Some(consumer) = self.consumers.by_id(&stored.consumer_id).await? else {
                    return Err(PluginError(format!(
                        "consumer {} of a credential does not exist",
                        stored.consumer_id
                    )));
                };
                cx.authenticate(Some(consumer), Some(stored.credential.clone()));
                return Ok(Action::Continue);
            }
            Err(refusal) => refusal,
        };
        if self.consumers.has_anonymous() {
            self.consumers.pass_as_anonymous(cx).await?;
            return Ok(Action::Continue);
        }
        let response = LocalResponse::error(401, refusal);
        Ok(Action::Respond(response.header(
            Bytes::from_static(b"WWW-Authenticate"),
            self.challenge.clone(),
        )))
    }

    /// The credential that signed the request, or why there is none.
    async fn verify(&self, cx: &mut Access<'_>) -> Result<Result<Arc<Stored<Secret>>, &'static str>, PluginError> {
        if !cx.headers().contains("proxy-authorization") && !cx.headers().contains("authorization") {
            return Ok(Err(UNAUTHORIZED));
        }
        if !self.is_timely(cx) {
            return Ok(Err(NO_DATE));
        }
        let mut parsed = None;
        for name in ["proxy-authorization", "authorization"] {
            let Some(value) = cx.headers().get(name) else { continue };
            parsed = Signature::parse(value);
            if self.hide_credentials && (parsed.is_some() || name == "authorization") {
                // The signed text may name the header itself: it is removed once the signature was checked.
                cx.set_state(Hidden(name));
            }
            if parsed.is_some() {
                break;
            }
        }
        let outcome = match parsed {
            Some(signature) => self.check(cx, &signature).await,
            None => Ok(Err(CANNOT_VERIFY)),
        };
        if let Some(Hidden(name)) = cx.state::<Hidden>() {
            let name = *name;
            cx.remove_header(name);
        }
        outcome
    }

    async fn check(
        &self,
        cx: &mut Access<'_>,
        signature: &Signature,
    ) -> Result<Result<Arc<Stored<Secret>>, &'static str>, PluginError> {
        let is_signed = |name: &String| signature.headers.contains(name);
        let algorithm = algorithm(&signature.algorithm).filter(|_| self.algorithms.contains(&signature.algorithm));
        let (Some(algorithm), true) = (algorithm, self.enforce_headers.iter().all(is_signed)) else {
            return Ok(Err(CANNOT_VERIFY));
        };
        let found = cx
            .entities
            .cache()
            .lookup_unique(&self.credentials, "username", &signature.username);
        let Some(cached) = consumers::finish(found).await? else {
            return Ok(Err(CANNOT_VERIFY));
        };
        let stored: Arc<Stored<Secret>> = stored::decode(&cached)?;
        let key = hmac::Key::new(algorithm, stored.secrets.secret.as_bytes());
        let is_right = lenient_base64::decode(&signature.signature)
            .is_some_and(|given| hmac::verify(&key, &signature.signed_text(cx), &given).is_ok());
        if !is_right || (self.validate_request_body && !has_right_digest(cx).await?) {
            return Ok(Err(NO_MATCH));
        }
        Ok(Ok(stored))
    }

    fn is_timely(&self, cx: &Access<'_>) -> bool {
        let now = cx
            .timings
            .wall
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64();
        ["x-date", "date"].iter().any(|name| {
            let date = cx.header(name).and_then(http_date::parse);
            date.is_some_and(|date| (now - date as f64).abs() <= self.clock_skew)
        })
    }
}

/// Header to remove.
struct Hidden(&'static str);

async fn has_right_digest(cx: &mut Access<'_>) -> Result<bool, PluginError> {
    let given = cx.header("digest").map(str::to_owned);
    // A body too large for memory cannot be checked.
    let Some(body) = cx.read_body().await.map_err(PluginError::new)? else {
        return Ok(false);
    };
    let Some(given) = given else { return Ok(body.is_empty()) };
    let digest = digest::digest(&digest::SHA256, &body);
    Ok(given == format!("SHA-256={}", STANDARD.encode(digest.as_ref())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use kong_plugin::kind;
    use kong_plugin::testing::{Run, TestNode};
    use serde_json::{Value, json};
    use std::time::Duration;

    const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
    const NOW: u64 = 1_767_225_600;
    const DIGEST: &str = "SHA-256=AVq9f1zFei3ZS3WQ8ErYCEJzkF7jPsXOvq5iJ2qX+GI=";

    fn node() -> TestNode {
        let node = TestNode::new(vec![kind::<HmacAuth>()]);
        let bob = node.insert("consumers", json!({"username": "bob"}));
        node.insert("consumers", json!({"username": "guest"}));
        let body = json!({"username": "bob", "secret": "secret", "consumer": {"id": bob["id"]}});
        node.insert("hmacauth_credentials", body);
        node
    }

    fn run_at(config: Value, now: u64, lines: &str, body: &str) -> Run {
        let node = node();
        let plan = node.plan_of(&[("hmac-auth", config)]);
        let request = format!("GET /orders?id=7 HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}");
        let mut exchange = node.exchange(&request);
        exchange.timings.wall = UNIX_EPOCH + Duration::from_secs(now);
        node.run_exchange(&plan, exchange)
    }

    fn signed(algorithm: &str, headers: &str, signature: &str) -> String {
        format!(
            "Date: {DATE}\r\nDigest: {DIGEST}\r\nAuthorization: hmac username=\"bob\", algorithm=\"{algorithm}\", \
             headers=\"{headers}\", signature=\"{signature}\"\r\n"
        )
    }

    const WITH_TARGET: &str = "date @request-target digest";

    #[test]
    fn signatures_are_those_of_the_original() {
        for (algorithm, headers, signature) in [
            ("hmac-sha1", WITH_TARGET, "XGJZWnl7cNtJRtBOfswafPQQeCM="),
            (
                "hmac-sha256",
                WITH_TARGET,
                "+Erk1aaI6ZkCBQo1bHJqg8srT48wAf93kevER0j+H1A=",
            ),
            (
                "hmac-sha256",
                "date request-line x-missing",
                "QIyaCEaK5WGzRfRtEBPQ12kbTE/EpgwGYavJLuI6okg=",
            ),
        ] {
            let run = run_at(json!({}), NOW, &signed(algorithm, headers, signature), "");
            assert_eq!(run.message(), None, "{algorithm} {headers}");
            assert_eq!(run.exchange.header("x-credential-identifier"), Some("bob"));
        }
    }

    #[test]
    fn refusals_say_which_check_failed() {
        let good = signed("hmac-sha1", WITH_TARGET, "XGJZWnl7cNtJRtBOfswafPQQeCM=");
        for (config, now, lines, message) in [
            (json!({}), NOW, String::new(), UNAUTHORIZED),
            (json!({}), NOW + 301, good.clone(), NO_DATE),
            (json!({}), NOW, good.replace("Date:", "X-Other:"), NO_DATE),
            (json!({}), NOW, good.replace("username", "user"), CANNOT_VERIFY),
            (json!({}), NOW, good.replace("bob", "eve"), CANNOT_VERIFY),
            (json!({"algorithms": ["hmac-sha256"]}), NOW, good.clone(), CANNOT_VERIFY),
            (json!({"enforce_headers": ["host"]}), NOW, good.clone(), CANNOT_VERIFY),
            (json!({}), NOW, good.replace("XGJZ", "AGJZ"), NO_MATCH),
            (json!({"validate_request_body": true}), NOW, good.clone(), NO_MATCH),
        ] {
            let run = run_at(config.clone(), now, &lines, "");
            assert_eq!(run.message().as_deref(), Some(message), "{config}");
            assert_eq!(run.local_header("www-authenticate").as_deref(), Some("hmac"));
        }
        assert!(run_at(json!({"validate_request_body": true}), NOW, &good, r#"{"a":1}"#).is_proxied());
        assert!(
            run_at(
                json!({"enforce_headers": ["date"], "clock_skew": 10}),
                NOW + 10,
                &good,
                ""
            )
            .is_proxied()
        );
    }

    #[test]
    fn credentials_can_be_hidden_and_may_be_missing() {
        let good = signed("hmac-sha1", WITH_TARGET, "XGJZWnl7cNtJRtBOfswafPQQeCM=");
        let hidden = run_at(json!({"hide_credentials": true}), NOW, &good, "");
        assert_eq!((hidden.status(), hidden.exchange.header("authorization")), (200, None));
        let guest = run_at(json!({"anonymous": "guest"}), NOW, "", "");
        assert_eq!(guest.exchange.header("x-anonymous-consumer"), Some("true"));
    }
}
