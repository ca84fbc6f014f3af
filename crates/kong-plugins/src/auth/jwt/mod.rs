//! `jwt`: signed tokens (plugins-auth-traffic.md §2.5).

mod token;

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use kong_model::credentials::JwtSecret;
use kong_plugin::context::Access;
use kong_plugin::{
    Action, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, PluginResult, Step,
    arguments,
};
use kong_schema::{Entity, EntityCheck, PluginScopes, Record, Schema, check};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::token::{Token, bearer, decode, der};
use super::consumers::{self, Consumers};
use super::stored::{self, CredentialEntity, Stored};

/// Configuration of `jwt`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Query arguments that may hold the token.
    #[kong(set, default = ["jwt"])]
    pub uri_param_names: Option<Vec<String>>,
    /// Cookies that may hold the token.
    #[kong(set, default = [])]
    pub cookie_names: Option<Vec<String>>,
    /// Claim, of the payload or the header, that names the credential.
    #[kong(default = "iss")]
    pub key_claim_name: Option<String>,
    /// Secrets are stored in base64.
    #[kong(required, default = false)]
    pub secret_is_base64: bool,
    /// Claims about time to check.
    #[kong(set, elements(one_of("exp", "nbf")))]
    pub claims_to_verify: Option<Vec<String>>,
    /// Id or username of the consumer that requests without a valid token count as; unset: they are refused.
    pub anonymous: Option<String>,
    /// Also authenticate `OPTIONS` requests.
    #[kong(required, default = true)]
    pub run_on_preflight: bool,
    /// Most seconds that a token may still be valid; 0: any.
    #[kong(default = 0, between(0, 31536000))]
    pub maximum_expiration: Option<f64>,
    /// Headers that may hold the token, after `Bearer`.
    #[kong(set, default = ["authorization"])]
    pub header_names: Option<Vec<String>>,
    /// Realm shown in `WWW-Authenticate`.
    #[kong(optional)]
    pub realm: Option<String>,
}

/// See the module.
pub struct Jwt {
    config: Config,
    claim: String,
    /// `WWW-Authenticate` without and with a token.
    challenges: [Bytes; 2],
    consumers: Consumers,
    credentials: Arc<Schema>,
}

struct Secret;

impl CredentialEntity for Secret {
    const IDENTIFIER: &'static str = "key";
    type Secrets = Key;
}

#[derive(Deserialize)]
struct Key {
    secret: Option<String>,
    rsa_public_key: Option<String>,
    algorithm: Option<String>,
}

/// Why a request is refused.
struct Refusal {
    body: Value,
    /// Index into the challenges.
    challenge: Option<usize>,
}

impl Refusal {
    /// There was a token, and this is what was wrong with it.
    fn token(message: impl Into<String>) -> Self {
        Refusal {
            body: json!({ "message": message.into() }),
            challenge: Some(1),
        }
    }
}

impl PluginDefinition for Jwt {
    const NAME: &'static str = "jwt";
    const PRIORITY: i32 = 1450;
    const PHASES: Phases = Phases::ACCESS;
    const SCOPES: PluginScopes = PluginScopes::NO_CONSUMER;

    type Config = Config;
    type State = ();

    fn checks() -> Vec<EntityCheck> {
        vec![
            check::when("config.maximum_expiration")
                .gt(0.0)
                .then("config.claims_to_verify")
                .contains("exp"),
        ]
    }

    fn entities() -> Vec<Arc<Schema>> {
        vec![JwtSecret::schema()]
    }

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, env: &PluginEnv) -> Result<Self, PluginError> {
        let plain = match &config.realm {
            Some(realm) => format!("Bearer realm=\"{realm}\""),
            None => "Bearer".to_owned(),
        };
        let with_token = format!("{plain} error=\"invalid_token\"");
        Ok(Jwt {
            claim: config.key_claim_name.clone().unwrap_or_else(|| "iss".to_owned()),
            challenges: [Bytes::from(plain), Bytes::from(with_token)],
            consumers: Consumers::new(env, config.anonymous.clone())?,
            credentials: env.entities.schema("jwt_secrets")?.clone(),
            config,
        })
    }
}

impl Plugin for Jwt {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        let is_let_through = !self.config.run_on_preflight && cx.method() == "OPTIONS";
        match is_let_through || self.consumers.is_satisfied(cx) {
            true => Step::CONTINUE,
            false => Step::wait(self.decide(cx)),
        }
    }
}

impl Jwt {
    async fn decide(&self, cx: &mut Access<'_>) -> PluginResult {
        let refusal = match self.authenticate(cx).await? {
            Ok(()) => return Ok(Action::Continue),
            Err(refusal) => refusal,
        };
        if self.consumers.has_anonymous() {
            self.consumers.pass_as_anonymous(cx).await?;
            return Ok(Action::Continue);
        }
        let mut response = LocalResponse::json(401, refusal.body);
        if let Some(challenge) = refusal.challenge.and_then(|index| self.challenges.get(index)) {
            response = response.header(Bytes::from_static(b"WWW-Authenticate"), challenge.clone());
        }
        Ok(Action::Respond(response))
    }

    async fn authenticate(&self, cx: &mut Access<'_>) -> Result<Result<(), Refusal>, PluginError> {
        let text = match self.find(cx) {
            Ok(text) => text,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let token = match Token::parse(&text) {
            Ok(token) => token,
            Err(what) => return Ok(Err(Refusal::token(format!("Bad token; {what}")))),
        };
        let claim = &self.claim;
        let present = |claims: &Map<String, Value>| {
            claims
                .get(claim)
                .filter(|value| !matches!(value, Value::Null | Value::Bool(false)))
                .cloned()
        };
        let key = match present(&token.claims).or_else(|| present(&token.header)) {
            None => return Ok(Err(Refusal::token(format!("No mandatory '{claim}' in claims")))),
            Some(Value::String(key)) if key.is_empty() => {
                return Ok(Err(Refusal::token(format!("Invalid '{claim}' in claims"))));
            }
            Some(Value::String(key)) => key,
            Some(other) => other.to_string(),
        };
        let found = cx.entities.cache().lookup_unique(&self.credentials, "key", &key);
        let Some(cached) = consumers::finish(found).await? else {
            return Ok(Err(Refusal::token(format!("No credentials found for given '{claim}'"))));
        };
        let stored: Arc<Stored<Secret>> = stored::decode(&cached)?;
        if let Err(refusal) = self.verify(&token, &stored.secrets, cx) {
            return Ok(Err(refusal));
        }
        let Some(consumer) = self.consumers.by_id(&stored.consumer_id).await? else {
            let message = format!("Could not find consumer for '{claim}={key}'");
            return Ok(Err(Refusal {
                body: json!({ "message": message }),
                challenge: None,
            }));
        };
        cx.authenticate(Some(consumer), Some(stored.credential.clone()));
        cx.shared_mut()
            .insert("authenticated_jwt_token".to_owned(), text.into());
        Ok(Ok(()))
    }

    /// The one token of the request.
    fn find(&self, cx: &Access<'_>) -> Result<String, Refusal> {
        let mut tokens: Vec<String> = Vec::new();
        let mut add = |token: &str| {
            if !token.is_empty() && !tokens.iter().any(|known| known == token) {
                tokens.push(token.to_owned());
            }
        };
        let mut is_unrecognizable = false;
        for name in self.config.uri_param_names.iter().flatten() {
            let query = cx.query.as_deref().unwrap_or_default();
            for argument in arguments::arguments(query).filter(|argument| *argument.name == *name.as_bytes()) {
                match &argument.value {
                    Some(value) => add(&String::from_utf8_lossy(value)),
                    None => is_unrecognizable = true,
                }
            }
        }
        for name in self.config.cookie_names.iter().flatten() {
            let cookies = cx
                .headers()
                .get_all("cookie")
                .filter_map(|line| std::str::from_utf8(line).ok());
            let mut pairs = cookies
                .flat_map(|line| line.split(';'))
                .filter_map(|pair| pair.trim().split_once('='));
            if let Some((_, value)) = pairs.find(|(cookie, _)| cookie.eq_ignore_ascii_case(name)) {
                add(value);
            }
        }
        for name in self.config.header_names.iter().flatten() {
            if let Some(token) = cx.header(name).and_then(bearer) {
                add(token);
            }
        }
        match (tokens.len(), is_unrecognizable) {
            (0, false) => Err(Refusal {
                body: json!({ "message": "Unauthorized" }),
                challenge: Some(0),
            }),
            (0, true) => Err(Refusal::token("Unrecognizable token")),
            (1, false) => Ok(tokens.remove(0)),
            _ => Err(Refusal::token("Multiple tokens provided")),
        }
    }

    fn verify(&self, token: &Token<'_>, key: &Key, cx: &Access<'_>) -> Result<(), Refusal> {
        if key.algorithm.as_deref().unwrap_or("HS256") != token.algorithm {
            return Err(Refusal::token("Invalid algorithm"));
        }
        let no_key = || Refusal::token("Invalid key/secret");
        let is_right = if token.algorithm.starts_with("HS") {
            let secret = key.secret.as_deref().ok_or_else(no_key)?;
            match self.config.secret_is_base64 {
                true => token.is_signed_with(&decode(secret).ok_or_else(no_key)?),
                false => token.is_signed_with(secret.as_bytes()),
            }
        } else {
            token.is_signed_by(&key.rsa_public_key.as_deref().and_then(der).ok_or_else(no_key)?)
        };
        if !is_right {
            return Err(Refusal::token("Invalid signature"));
        }
        let now = cx.timings.wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as f64;
        let mut wrong = Map::new();
        for name in self.config.claims_to_verify.iter().flatten() {
            let text = match (token.claims.get(name).and_then(Value::as_f64), name.as_str()) {
                (None, _) => "must be a number",
                (Some(at), "exp") if at <= now => "token expired",
                (Some(at), "nbf") if at > now => "token not valid yet",
                _ => continue,
            };
            wrong.insert(name.clone(), text.into());
        }
        if !wrong.is_empty() {
            return Err(Refusal {
                body: Value::Object(wrong),
                challenge: Some(1),
            });
        }
        let most = self.config.maximum_expiration.unwrap_or(0.0);
        let expires = token.claims.get("exp").and_then(Value::as_f64);
        if most > 0.0 && expires.is_none_or(|at| at - now > most) {
            return Err(Refusal {
                body: json!({ "exp": "exceeds maximum allowed expiration" }),
                challenge: Some(1),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use aws_lc_rs::hmac;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use kong_plugin::testing::{Run, TestNode};
    use kong_plugin::{LocalBody, kind};
    use std::time::Duration;

    const NOW: u64 = 1_767_225_600;

    fn token(header: &Value, claims: &Value, secret: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()))
        )
    }

    fn good() -> String {
        token(&json!({"alg": "HS256"}), &json!({"iss": "alice"}), "secret")
    }

    fn run(config: Value, target: &str, lines: &str) -> Run {
        let node = TestNode::new(vec![kind::<Jwt>()]);
        let alice = node.insert("consumers", json!({"username": "alice"}));
        node.insert("consumers", json!({"username": "guest"}));
        let id = json!({"id": alice["id"]});
        node.insert(
            "jwt_secrets",
            json!({"key": "alice", "secret": "secret", "consumer": id}),
        );
        let plan = node.plan_of(&[("jwt", config)]);
        let mut exchange = node.exchange(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
        exchange.timings.wall = UNIX_EPOCH + Duration::from_secs(NOW);
        node.run_exchange(&plan, exchange)
    }

    fn body(run: &Run) -> Value {
        match run.local().map(|local| local.body.clone()) {
            Some(LocalBody::Json(body)) => body,
            _ => Value::Null,
        }
    }

    #[test]
    fn tokens_are_found_in_query_cookies_and_headers() {
        let good = good();
        let cookie = json!({"cookie_names": ["c"]});
        let message = |text: &str| json!({ "message": text });
        for (config, target, lines, refusal) in [
            (
                json!({}),
                "/".into(),
                format!("Authorization: Bearer {good}\r\n"),
                Value::Null,
            ),
            (
                json!({}),
                "/".into(),
                format!("Authorization: x bearer  {good}\r\n"),
                Value::Null,
            ),
            (json!({}), format!("/?jwt={good}"), String::new(), Value::Null),
            (
                json!({}),
                format!("/?jwt={good}"),
                format!("Authorization: Bearer {good}\r\n"),
                Value::Null,
            ),
            (cookie, "/".into(), format!("Cookie: a=b; c={good}\r\n"), Value::Null),
            (json!({}), "/".into(), String::new(), message("Unauthorized")),
            (
                json!({}),
                "/".into(),
                format!("Authorization: Token {good}\r\n"),
                message("Unauthorized"),
            ),
            (
                json!({}),
                "/?jwt".into(),
                String::new(),
                message("Unrecognizable token"),
            ),
            (
                json!({}),
                format!("/?jwt={good}&jwt=x"),
                String::new(),
                message("Multiple tokens provided"),
            ),
        ] {
            let run = run(config, &target, &lines);
            assert_eq!(body(&run), refusal, "{target} {lines}");
            if refusal.is_null() {
                assert_eq!(run.exchange.header("x-credential-identifier"), Some("alice"));
            }
        }
    }

    #[test]
    fn refusals_say_what_is_wrong_with_the_token() {
        let hs = json!({"alg": "HS256"});
        let with = |header: &Value, claims: Value| token(header, &claims, "secret");
        let exp = json!({"claims_to_verify": ["exp", "nbf"]});
        let most = json!({"claims_to_verify": ["exp"], "maximum_expiration": 100});
        let message = |text: &str| json!({ "message": text });
        let iss = |more: Value| {
            let mut claims = json!({"iss": "alice"});
            claims
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            claims
        };
        for (config, token, expected) in [
            (json!({}), "abc".into(), message("Bad token; invalid JSON")),
            (json!({}), "a.b.c".into(), message("Bad token; invalid JSON")),
            (
                json!({}),
                with(&json!({"alg": "none"}), json!({})),
                message("Bad token; invalid alg"),
            ),
            (json!({}), with(&hs, json!(false)), message("Bad token; invalid claims")),
            (json!({}), good() + "!", message("Bad token; invalid signature")),
            (json!({}), with(&hs, json!({})), message("No mandatory 'iss' in claims")),
            (
                json!({}),
                with(&hs, json!({"iss": ""})),
                message("Invalid 'iss' in claims"),
            ),
            (
                json!({}),
                with(&hs, json!({"iss": "bob"})),
                message("No credentials found for given 'iss'"),
            ),
            (
                json!({}),
                with(&json!({"alg": "HS512"}), json!({"iss": "alice"})),
                message("Invalid algorithm"),
            ),
            (
                json!({}),
                token(&hs, &json!({"iss": "alice"}), "other"),
                message("Invalid signature"),
            ),
            (json!({"secret_is_base64": true}), good(), message("Invalid signature")),
            (
                json!({"key_claim_name": "kid"}),
                good(),
                message("No mandatory 'kid' in claims"),
            ),
            (
                exp.clone(),
                with(&hs, iss(json!({"exp": NOW, "nbf": NOW + 1}))),
                json!({"exp": "token expired", "nbf": "token not valid yet"}),
            ),
            (
                exp,
                with(&hs, iss(json!({"exp": "x", "nbf": NOW}))),
                json!({"exp": "must be a number"}),
            ),
            (
                most.clone(),
                with(&hs, iss(json!({"exp": NOW + 101}))),
                json!({"exp": "exceeds maximum allowed expiration"}),
            ),
            (most, with(&hs, iss(json!({"exp": NOW + 100}))), Value::Null),
            (
                json!({"key_claim_name": "kid"}),
                with(&json!({"alg": "HS256", "kid": "alice"}), json!({})),
                Value::Null,
            ),
        ] {
            let run = run(config, "/", &format!("Authorization: Bearer {token}\r\n"));
            assert_eq!(body(&run), expected, "{token}");
            if !expected.is_null() {
                assert_eq!(
                    run.local_header("www-authenticate").as_deref(),
                    Some("Bearer error=\"invalid_token\"")
                );
            }
        }
        let guest = run(json!({"anonymous": "guest"}), "/", "");
        assert_eq!(guest.exchange.header("x-anonymous-consumer"), Some("true"));
    }
}
