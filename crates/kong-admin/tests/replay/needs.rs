//! Which plugins a case uses: those that the bundle lacks are another piece of work, and the case waits for them.

use std::collections::BTreeSet;

use serde_json::Value;

/// Bundled plugins of the original.
const BUNDLED: [&str; 45] = [
    "acl",
    "acme",
    "ai-prompt-decorator",
    "ai-prompt-guard",
    "ai-prompt-template",
    "ai-proxy",
    "ai-request-transformer",
    "ai-response-transformer",
    "aws-lambda",
    "azure-functions",
    "basic-auth",
    "bot-detection",
    "correlation-id",
    "cors",
    "datadog",
    "file-log",
    "grpc-gateway",
    "grpc-web",
    "hmac-auth",
    "http-log",
    "ip-restriction",
    "jwt",
    "key-auth",
    "ldap-auth",
    "loggly",
    "oauth2",
    "opentelemetry",
    "post-function",
    "pre-function",
    "prometheus",
    "proxy-cache",
    "rate-limiting",
    "redirect",
    "request-size-limiting",
    "request-termination",
    "request-transformer",
    "response-ratelimiting",
    "response-transformer",
    "session",
    "standard-webhooks",
    "statsd",
    "syslog",
    "tcp-log",
    "udp-log",
    "zipkin",
];

/// Entities of plugins as they appear in paths.
const ENTITIES: [(&str, &str); 14] = [
    ("acls", "acl"),
    ("acme_storage", "acme"),
    ("basic-auth", "basic-auth"),
    ("basic-auths", "basic-auth"),
    ("basicauth_credentials", "basic-auth"),
    ("hmac-auth", "hmac-auth"),
    ("hmac-auths", "hmac-auth"),
    ("hmacauth_credentials", "hmac-auth"),
    ("jwt", "jwt"),
    ("jwts", "jwt"),
    ("jwt_secrets", "jwt"),
    ("oauth2", "oauth2"),
    ("oauth2_tokens", "oauth2"),
    ("sessions", "session"),
];

/// Plugins that a case uses and the bundle lacks.
pub(super) fn missing_plugins(case: &Value) -> Vec<String> {
    let bundled: BTreeSet<String> = kong_plugins::bundled()
        .iter()
        .map(|kind| kind.descriptor().name.clone())
        .collect();
    let mut used = BTreeSet::new();
    for step in case["steps"].as_array().into_iter().flatten() {
        let send = &step["send"];
        // Names of plugins in bodies and in what the node tells of itself.
        names(&send["json"], &mut used);
        names(&step["expect"]["json"]["plugins"]["available_on_server"], &mut used);
        for pair in send["form"].as_array().into_iter().flatten() {
            names(&pair[1], &mut used);
        }
        for segment in send["path"].as_str().unwrap_or_default().split(['/', '?']) {
            used.extend(BUNDLED.iter().filter(|name| **name == segment));
            used.extend(
                ENTITIES
                    .iter()
                    .filter(|(path, _)| *path == segment)
                    .map(|(_, name)| name),
            );
        }
    }
    used.into_iter()
        .filter(|name| !bundled.contains(*name))
        .map(str::to_owned)
        .collect()
}

fn names(value: &Value, used: &mut BTreeSet<&'static str>) {
    match value {
        Value::String(text) => used.extend(BUNDLED.iter().filter(|name| *name == text)),
        Value::Array(items) => items.iter().for_each(|item| names(item, used)),
        Value::Object(members) => {
            for (name, value) in members {
                used.extend(BUNDLED.iter().filter(|plugin| *plugin == name));
                names(value, used);
            }
        }
        _ => {}
    }
}
