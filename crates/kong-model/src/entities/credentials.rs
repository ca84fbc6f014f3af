//! Entities that plugins bring with them (entities.md §5). The plugin that uses one hands its schema to the registry.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use kong_schema::{CheckError, Choice, Entity, EntityCheck, FieldDef, Object, Transformation, check, types, url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha512;
use uuid::Uuid;

use super::ForeignKey;
use crate::pem;

/// User name and password of a consumer. The password is stored as a hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(
    name = "basicauth_credentials",
    endpoint_key = "username",
    collection = "basic-auths",
    nested = "basic-auth"
)]
#[kong(cache_key("username"), transformations = [hashed_password()])]
pub struct BasicauthCredential {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Who it belongs to.
    #[kong(foreign = "consumers", on_delete = "cascade", required)]
    pub consumer: ForeignKey,
    /// Unique name.
    #[kong(required, unique)]
    pub username: String,
    /// SHA-1 of the password and the consumer's id.
    #[kong(required, encrypted)]
    pub password: String,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
}

fn text<'a>(entity: &'a Object, field: &str) -> &'a str {
    entity.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The form in which the original stores passwords: hexadecimal SHA-1 of the password followed by the consumer's id.
pub fn hash_password(password: &str, consumer_id: &str) -> String {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(password.as_bytes());
    hash.update(consumer_id.as_bytes());
    hash.digest().to_string()
}

fn hashed_password() -> Transformation {
    Transformation {
        name: "hash_password".into(),
        input: vec!["password".into()],
        needs: vec!["consumer.id".into()],
        apply: Arc::new(|entity| {
            let consumer = entity
                .get("consumer")
                .and_then(|consumer| consumer.get("id"))
                .and_then(Value::as_str);
            let consumer = consumer.ok_or("the credential has no consumer")?;
            let mut derived = Object::new();
            derived.insert(
                "password".into(),
                hash_password(text(entity, "password"), consumer).into(),
            );
            Ok(derived)
        }),
    }
}

/// User name and secret of a consumer that signs its requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(
    name = "hmacauth_credentials",
    endpoint_key = "username",
    collection = "hmac-auths",
    nested = "hmac-auth"
)]
#[kong(cache_key("username"))]
pub struct HmacauthCredential {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Who it belongs to.
    #[kong(foreign = "consumers", on_delete = "cascade", required)]
    pub consumer: ForeignKey,
    /// Unique name.
    #[kong(required, unique)]
    pub username: String,
    /// What requests are signed with.
    #[kong(auto)]
    pub secret: Option<String>,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
}

/// Key and secret of a consumer that signs JSON Web Tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(
    name = "jwt_secrets",
    endpoint_key = "key",
    collection = "jwts",
    nested = "jwt",
    cache_key("key")
)]
#[kong(checks = jwt_checks())]
pub struct JwtSecret {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Who it belongs to.
    #[kong(foreign = "consumers", on_delete = "cascade", required)]
    pub consumer: ForeignKey,
    /// What tokens name the credential by.
    #[kong(optional, auto, unique)]
    pub key: Option<String>,
    /// Secret of the HMAC algorithms.
    #[kong(auto)]
    pub secret: Option<String>,
    /// Public key of the other algorithms.
    pub rsa_public_key: Option<String>,
    /// Algorithm of the signature.
    #[kong(default = "HS256")]
    pub algorithm: Option<JwtAlgorithm>,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
}

/// Algorithms of signatures (RFC 7518).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Choice)]
#[allow(missing_docs)]
pub enum JwtAlgorithm {
    #[serde(rename = "HS256")]
    Hs256,
    #[serde(rename = "HS384")]
    Hs384,
    #[serde(rename = "HS512")]
    Hs512,
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "RS384")]
    Rs384,
    #[serde(rename = "RS512")]
    Rs512,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "ES384")]
    Es384,
    #[serde(rename = "ES512")]
    Es512,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "PS384")]
    Ps384,
    #[serde(rename = "PS512")]
    Ps512,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

fn jwt_checks() -> Vec<EntityCheck> {
    let with_public_key = [
        "^RS256$", "^RS384$", "^RS512$", "^PS256$", "^PS384$", "^PS512$", "^EdDSA$",
    ];
    vec![
        check::when("algorithm")
            .any_pattern(&with_public_key)
            .then("rsa_public_key")
            .required(),
        check::custom("public_key", &["algorithm", "rsa_public_key"], |entity| {
            let algorithm = text(entity, "algorithm");
            let needs_key = algorithm.starts_with("RS") || algorithm.starts_with("PS") || algorithm == "EdDSA";
            if !needs_key || pem::public_key(text(entity, "rsa_public_key")).is_ok() {
                return Ok(());
            }
            Err(CheckError {
                entity: vec!["failed conditional validation given value of field 'algorithm'".into()],
                fields: Object::from_iter([("rsa_public_key".to_owned(), "invalid key".into())]),
            })
        })
        .undocumented(),
    ]
}

/// Membership of a consumer in a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "acls", collection = "acls", nested = "acls", cache_key("consumer", "group"))]
pub struct Acl {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// The member.
    #[kong(foreign = "consumers", on_delete = "cascade", required)]
    pub consumer: ForeignKey,
    /// The group.
    #[kong(required)]
    pub group: String,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
}

/// An application that asks for OAuth 2.0 tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(
    name = "oauth2_credentials",
    endpoint_key = "client_id",
    collection = "oauth2",
    nested = "oauth2"
)]
#[kong(cache_key("client_id"), transformations = [hashed_secret()])]
pub struct Oauth2Credential {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Who it belongs to.
    #[kong(foreign = "consumers", on_delete = "cascade", required)]
    pub consumer: ForeignKey,
    /// Name of the application.
    #[kong(required)]
    pub name: String,
    /// Public id of the application.
    #[kong(optional, unique, auto)]
    pub client_id: Option<String>,
    /// Secret of the application.
    #[kong(optional, auto, encrypted)]
    pub client_secret: Option<String>,
    /// Whether the secret is stored as a hash.
    #[kong(required, default = false)]
    pub hash_secret: bool,
    /// Where users are sent back to.
    #[kong(optional, elements(kind = redirect_uri()))]
    pub redirect_uris: Option<Vec<String>>,
    /// Labels.
    #[kong(kind = "tags")]
    pub tags: Option<Vec<String>>,
    /// Whether the application can keep a secret.
    #[kong(required, default = "confidential", one_of("confidential", "public"))]
    pub client_type: String,
}

fn redirect_uri() -> FieldDef {
    types::checked("redirect_uri", |text| {
        let parts = url::parse(text);
        if parts.scheme.is_none() || parts.host.is_none() {
            return Err(format!("cannot parse '{text}'"));
        }
        if text.contains('#') {
            return Err(format!("fragment not allowed in '{text}'"));
        }
        Ok(())
    })
}

/// Rounds and length of the stored hash.
const ROUNDS: u32 = 10_000;
const HASH_LEN: usize = 32;

/// The form in which the original stores hashed secrets: `$pbkdf2-sha512$i=10000,l=32$<salt>$<hash>`.
pub fn hash_secret(secret: &str, salt: &[u8; 16]) -> String {
    let mut hash = [0; HASH_LEN];
    pbkdf2::pbkdf2_hmac::<Sha512>(secret.as_bytes(), salt, ROUNDS, &mut hash);
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    format!("$pbkdf2-sha512$i={ROUNDS},l={HASH_LEN}${salt}${hash}")
}

fn hashed_secret() -> Transformation {
    Transformation {
        name: "hash_secret".into(),
        input: vec!["hash_secret".into()],
        needs: vec!["client_secret".into()],
        apply: Arc::new(|entity| {
            let mut derived = Object::new();
            if entity.get("hash_secret") == Some(&Value::Bool(true)) {
                let mut salt = [0; 16];
                getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
                let hash = hash_secret(text(entity, "client_secret"), &salt);
                derived.insert("client_secret".into(), hash.into());
            }
            Ok(derived)
        }),
    }
}

/// An issued token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(
    name = "oauth2_tokens",
    endpoint_key = "access_token",
    collection = "oauth2_tokens",
    nested = "oauth2_tokens"
)]
#[kong(cache_key("access_token"), cache_key_form = "Hashed", ttl)]
pub struct Oauth2Token {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Only for this service.
    #[kong(foreign = "services", on_delete = "cascade", default = null)]
    pub service: Option<ForeignKey>,
    /// The application.
    #[kong(foreign = "oauth2_credentials", on_delete = "cascade", required)]
    pub credential: ForeignKey,
    /// Kind of token.
    #[kong(required, default = "bearer", one_of("bearer"))]
    pub token_type: String,
    /// Seconds from its creation.
    #[kong(required)]
    pub expires_in: i64,
    /// The token.
    #[kong(optional, unique, auto)]
    pub access_token: Option<String>,
    /// What a new token is asked for with.
    #[kong(optional, unique)]
    pub refresh_token: Option<String>,
    /// The user who agreed.
    #[kong(optional)]
    pub authenticated_userid: Option<String>,
    /// What was agreed to.
    pub scope: Option<String>,
}

/// A code that stands for a token to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "oauth2_authorization_codes", cache_key("code"), ttl, hidden)]
pub struct Oauth2AuthorizationCode {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
    /// Only for this service.
    #[kong(foreign = "services", on_delete = "cascade", default = null)]
    pub service: Option<ForeignKey>,
    /// The application.
    #[kong(foreign = "oauth2_credentials", on_delete = "cascade", required)]
    pub credential: ForeignKey,
    /// The code.
    #[kong(optional, unique, auto)]
    pub code: Option<String>,
    /// The user who agreed.
    #[kong(optional)]
    pub authenticated_userid: Option<String>,
    /// What was agreed to.
    pub scope: Option<String>,
    /// Proof that the asker of the token asked for the code.
    #[kong(optional)]
    pub challenge: Option<String>,
    /// How the proof is made.
    #[kong(optional, one_of("S256"))]
    pub challenge_method: Option<String>,
    /// The instance that issued it.
    #[kong(foreign = "plugins", on_delete = "cascade", default = null)]
    pub plugin: Option<ForeignKey>,
}

/// A value kept by the plugin `acme`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "acme_storage", collection = "acme_storage", cache_key("key"), global, ttl)]
pub struct AcmeStorage {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Name.
    #[kong(required, unique, auto)]
    pub key: String,
    /// Value.
    #[kong(required, auto)]
    pub value: String,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
}

/// A session kept by the plugin `session`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(
    name = "sessions",
    endpoint_key = "session_id",
    collection = "sessions",
    cache_key("session_id"),
    global,
    ttl
)]
pub struct Session {
    /// Primary key.
    #[kong(kind = "uuid")]
    pub id: Uuid,
    /// Id in the cookie.
    #[kong(required, unique)]
    pub session_id: String,
    /// When it ends, Unix seconds.
    pub expires: Option<i64>,
    /// Encrypted content.
    pub data: Option<String>,
    /// Creation time, Unix seconds.
    #[kong(kind = "timestamp")]
    pub created_at: i64,
}

/// Requests counted in a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Entity)]
#[kong(name = "ratelimiting_metrics", global, ttl, hidden)]
#[kong(primary_key("identifier", "period", "period_date", "service_id", "route_id"))]
pub struct RatelimitingMetric {
    /// Whose requests.
    #[kong(required, len_min = 0)]
    pub identifier: String,
    /// Length of the window, by name.
    #[kong(required)]
    pub period: String,
    /// Begin of the window, Unix seconds.
    #[kong(required, timestamp)]
    pub period_date: i64,
    /// Scope, or zeros.
    #[kong(required)]
    pub service_id: Uuid,
    /// Scope, or zeros.
    #[kong(required)]
    pub route_id: Uuid,
    /// Count.
    #[kong(required)]
    pub value: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_original() {
        let consumer = "00000000-0000-4000-8000-000000000077";
        assert_eq!(
            hash_password("p1", consumer),
            "282ff3d13a4e3733b06e2b38c83ae7b6828ea9fb"
        );
        let salt = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        assert_eq!(
            hash_secret("secret", &salt),
            "$pbkdf2-sha512$i=10000,l=32$AAECAwQFBgcICQoLDA0ODw$s1qOkFay1DbcR0sablkjBgtOqf1IcoQVkkK1uzR9LdU"
        );
    }
}
