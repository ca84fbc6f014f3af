//! The plugins of this module, by name.

use std::sync::Arc;

use kong_model::credentials::{
    AcmeStorage, BasicauthCredential, HmacauthCredential, JwtSecret, Oauth2AuthorizationCode, Oauth2Credential,
    Oauth2Token, Session,
};
use kong_schema::{Entity, Schema};

use super::rules;

/// What is known of a plugin.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) priority: i32,
    /// Its schema.
    pub(super) document: &'static str,
    /// Adds to the schema what a document cannot say; `None` if it does not fit.
    pub(super) complete: fn(&mut Schema) -> Option<()>,
    /// Its entities.
    pub(super) entities: fn() -> Vec<Arc<Schema>>,
}

macro_rules! row {
    ($name:literal, $priority:literal, $complete:expr, [$($entity:ty),*]) => {
        Row {
            name: $name,
            priority: $priority,
            document: include_str!(concat!("../../schemas/", $name, ".json")),
            complete: $complete,
            entities: || vec![$(<$entity>::schema()),*],
        }
    };
}

pub(super) const ROWS: &[Row] = &[
    row!("acme", 1705, rules::acme, [AcmeStorage]),
    row!("ai-prompt-decorator", 772, rules::none, []),
    row!("ai-prompt-guard", 771, rules::none, []),
    row!("ai-prompt-template", 773, rules::none, []),
    row!("ai-proxy", 770, rules::ai_proxy, []),
    row!("ai-request-transformer", 777, rules::ai_request_transformer, []),
    row!("ai-response-transformer", 768, rules::ai_response_transformer, []),
    row!("aws-lambda", 750, rules::aws_lambda, []),
    row!("azure-functions", 749, rules::none, []),
    row!("basic-auth", 1100, rules::none, [BasicauthCredential]),
    row!("datadog", 10, rules::datadog, []),
    row!("grpc-gateway", 998, rules::none, []),
    row!("grpc-web", 3, rules::none, []),
    row!("hmac-auth", 1030, rules::none, [HmacauthCredential]),
    row!("http-log", 12, rules::http_log, []),
    row!("jwt", 1450, rules::none, [JwtSecret]),
    row!("ldap-auth", 1200, rules::ldap_auth, []),
    row!("loggly", 6, rules::loggly, []),
    row!(
        "oauth2",
        1400,
        rules::oauth2,
        [Oauth2Credential, Oauth2AuthorizationCode, Oauth2Token]
    ),
    row!("opentelemetry", 14, rules::opentelemetry, []),
    row!("post-function", -1000, rules::post_function, []),
    row!("pre-function", 1_000_000, rules::pre_function, []),
    row!("response-ratelimiting", 900, rules::response_ratelimiting, []),
    row!("session", 1900, rules::session, [Session]),
    row!("standard-webhooks", 760, rules::none, []),
    row!("statsd", 11, rules::statsd, []),
    row!("syslog", 4, rules::syslog, []),
    row!("tcp-log", 7, rules::tcp_log, []),
    row!("udp-log", 8, rules::udp_log, []),
    row!("zipkin", 100_000, rules::zipkin, []),
];
