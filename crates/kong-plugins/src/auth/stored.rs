//! Credentials as they are kept in the cache.

use std::marker::PhantomData;
use std::sync::Arc;

use kong_cache::Cached;
use kong_plugin::{Credential, PluginError};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What a credential entity is to its plugin.
pub(crate) trait CredentialEntity: Send + Sync + 'static {
    /// Member that identifies the credential to services (`X-Credential-Identifier`).
    const IDENTIFIER: &'static str;
    /// Members that the plugin checks.
    type Secrets: DeserializeOwned + Send + Sync + 'static;
}

/// A credential, decoded once per cached row: using it costs a request no allocation.
pub(crate) struct Stored<E: CredentialEntity> {
    /// Id of its consumer.
    pub(crate) consumer_id: Box<str>,
    /// As later plugins see it.
    pub(crate) credential: Credential,
    /// What the plugin checks.
    pub(crate) secrets: E::Secrets,
    entity: PhantomData<fn() -> E>,
}

impl<'de, E: CredentialEntity> Deserialize<'de> for Stored<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let consumer_id = text("/consumer/id")
            .ok_or_else(|| D::Error::missing_field("consumer"))?
            .into();
        let id = text("/id").map(Arc::from);
        let identifier = match E::IDENTIFIER {
            "id" => id.clone(),
            name => value.get(name).and_then(Value::as_str).map(Arc::from),
        };
        let secrets = E::Secrets::deserialize(&value).map_err(D::Error::custom)?;
        let credential = Credential {
            id,
            identifier,
            value: Some(Arc::new(value)),
        };
        Ok(Stored {
            consumer_id,
            credential,
            secrets,
            entity: PhantomData,
        })
    }
}

/// The credential of a cached row.
pub(crate) fn decode<E: CredentialEntity>(cached: &Cached) -> Result<Arc<Stored<E>>, PluginError> {
    cached.decode().map_err(PluginError::new)
}
