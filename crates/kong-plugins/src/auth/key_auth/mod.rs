//! `key-auth`: a key in a header, the query or the body (plugins-auth-traffic.md §2.3).
//!
//! On the request path: with a key in a header or the query and both rows cached, no allocation beyond the edited
//! headers and no waiting.

pub mod config;
mod find;

use std::sync::Arc;

use bytes::Bytes;
use kong_cache::Lookup;
use kong_plugin::context::Access;
use kong_plugin::{
    Action, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, PluginResult, Step,
};
use kong_schema::{Entity, PluginScopes, Schema};
use serde::Deserialize;

use self::config::{Config, KeyauthCredential};
use self::find::{Found, KeyName};
use super::consumers::{self, Consumers};
use super::stored::{self, CredentialEntity, Stored};

/// See the module.
pub struct KeyAuth {
    config: Config,
    names: Vec<KeyName>,
    consumers: Consumers,
    credentials: Arc<Schema>,
    challenge: Bytes,
}

struct Key;

impl CredentialEntity for Key {
    const IDENTIFIER: &'static str = "id";
    type Secrets = Nothing;
}

/// Whoever knows the key has found the row.
#[derive(Deserialize)]
struct Nothing {}

const NO_KEY: &str = "No API key found in request";
const DUPLICATE: &str = "Duplicate API key found";
const UNAUTHORIZED: &str = "Unauthorized";

impl PluginDefinition for KeyAuth {
    const NAME: &'static str = "key-auth";
    const PRIORITY: i32 = 1250;
    const PHASES: Phases = Phases::ACCESS;
    const SCOPES: PluginScopes = PluginScopes::NO_CONSUMER;

    type Config = Config;
    type State = ();

    fn entities() -> Vec<Arc<Schema>> {
        vec![KeyauthCredential::schema()]
    }

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, env: &PluginEnv) -> Result<Self, PluginError> {
        let challenge = match &config.realm {
            Some(realm) => Bytes::from(format!("Key realm=\"{realm}\"")),
            None => Bytes::from_static(b"Key"),
        };
        Ok(KeyAuth {
            names: config.key_names.iter().map(|name| KeyName::new(name)).collect(),
            consumers: Consumers::new(env, config.anonymous.clone())?,
            credentials: env.entities.schema("keyauth_credentials")?.clone(),
            challenge,
            config,
        })
    }
}

impl Plugin for KeyAuth {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        if !self.config.run_on_preflight && cx.method() == "OPTIONS" {
            return Step::CONTINUE;
        }
        if self.consumers.is_satisfied(cx) {
            return Step::CONTINUE;
        }
        let mut found = None;
        if !self.config.key_in_body {
            let at_once = self.find(cx);
            if let Some(result) = self.decide_at_once(cx, &at_once) {
                return Step::Ready(result);
            }
            found = Some(at_once);
        }
        Step::wait(self.decide(cx, found))
    }
}

impl KeyAuth {
    /// Looks into headers and query, and hides what was found.
    fn find(&self, cx: &mut Access<'_>) -> Found {
        let mut found = Found::Nothing;
        for name in &self.names {
            found = name.in_head(cx, self.config.key_in_header, self.config.key_in_query);
            if matches!(found, Found::Key(_)) && self.config.hide_credentials {
                name.hide_in_head(cx);
            }
            if !matches!(found, Found::Nothing | Found::Other) {
                break;
            }
        }
        found
    }

    /// The decision, unless something must be waited for.
    fn decide_at_once(&self, cx: &mut Access<'_>, found: &Found) -> Option<PluginResult> {
        let key = match found {
            Found::Key(key) if !key.is_empty() => key,
            other if !self.consumers.has_anonymous() => return Some(Ok(self.refuse(other.message()))),
            _ => return None,
        };
        let key = std::str::from_utf8(key).ok()?;
        let Lookup::Hit(credential) = cx.entities.cache().lookup_unique(&self.credentials, "key", key) else {
            return None;
        };
        let Some(credential) = credential else {
            return (!self.consumers.has_anonymous()).then(|| Ok(self.refuse(UNAUTHORIZED)));
        };
        let stored: Arc<Stored<Key>> = match stored::decode(&credential) {
            Ok(stored) => stored,
            Err(error) => return Some(Err(error)),
        };
        let Lookup::Hit(Some(consumer)) = self.consumers.lookup(&stored.consumer_id) else {
            return None;
        };
        Some(consumers::decode(&consumer).map(|consumer| {
            cx.authenticate(Some(consumer), Some(stored.credential.clone()));
            Action::Continue
        }))
    }

    /// The decision, waiting for the body (nothing was looked for yet) and the store where needed.
    async fn decide(&self, cx: &mut Access<'_>, found: Option<Found>) -> PluginResult {
        let found = match found {
            Some(found) => found,
            None => self.find_everywhere(cx).await?,
        };
        let message = match found {
            Found::Key(key) if !key.is_empty() => match self.stored(cx, &key).await? {
                Some(stored) => {
                    let Some(consumer) = self.consumers.by_id(&stored.consumer_id).await? else {
                        return Err(PluginError(format!(
                            "consumer {} of a key does not exist",
                            stored.consumer_id
                        )));
                    };
                    cx.authenticate(Some(consumer), Some(stored.credential.clone()));
                    return Ok(Action::Continue);
                }
                None => UNAUTHORIZED,
            },
            other => other.message(),
        };
        if self.consumers.has_anonymous() {
            self.consumers.pass_as_anonymous(cx).await?;
            return Ok(Action::Continue);
        }
        Ok(self.refuse(message))
    }

    async fn stored(&self, cx: &Access<'_>, key: &[u8]) -> Result<Option<Arc<Stored<Key>>>, PluginError> {
        // A key that is no UTF-8 is nobody's.
        let Ok(key) = std::str::from_utf8(key) else {
            return Ok(None);
        };
        let found = cx.entities.cache().lookup_unique(&self.credentials, "key", key);
        consumers::finish(found)
            .await?
            .map(|cached| stored::decode(&cached))
            .transpose()
    }

    fn refuse(&self, message: &str) -> Action {
        let challenge = (Bytes::from_static(b"WWW-Authenticate"), self.challenge.clone());
        Action::Respond(LocalResponse::error(401, message).header(challenge.0, challenge.1))
    }
}

impl Found {
    fn message(&self) -> &'static str {
        match self {
            Found::Duplicate => DUPLICATE,
            _ => NO_KEY,
        }
    }
}

/// A key as found; short enough to be copied without an allocation.
pub(crate) type KeyText = smallvec::SmallVec<[u8; 64]>;

fn copy(text: &[u8]) -> KeyText {
    KeyText::from_slice(text)
}

#[cfg(test)]
mod tests;
