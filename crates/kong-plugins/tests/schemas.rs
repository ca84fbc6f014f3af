//! The schema documents of the bundled plugins are those that were recorded.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use serde_json::Value;

fn recorded(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/conformance/schemas")
        .join(name);
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

/// Without what the recording left out, and what the original shows only now and then.
fn normalised(mut value: Value) -> Value {
    fn strip(value: &mut Value, is_element: bool) {
        match value {
            Value::Object(object) => {
                if object.get("type").is_some_and(Value::is_string) {
                    object.remove("description");
                    if object.get("len_min") == Some(&Value::from(1)) && object["type"] == "string" {
                        object.remove("len_min");
                    }
                    if is_element {
                        object.remove("required");
                    }
                }
                for (name, member) in object.iter_mut() {
                    strip(member, matches!(name.as_str(), "elements" | "keys" | "values"));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| strip(item, false)),
            _ => {}
        }
    }
    strip(&mut value, false);
    value
}

/// `$string` in a recorded document is a text that differs from process to process.
fn hide_random_defaults(ours: &mut Value, theirs: &mut Value) {
    match (ours, theirs) {
        (Value::String(ours), Value::String(theirs)) if theirs == "$string" => ours.clone_from(theirs),
        (Value::Array(ours), Value::Array(theirs)) => {
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                hide_random_defaults(ours, theirs);
            }
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, theirs) in theirs {
                if let Some(ours) = ours.get_mut(name) {
                    hide_random_defaults(ours, theirs);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn documents_equal_the_recorded_ones() {
    let mut wrong = Vec::new();
    for kind in kong_plugins::bundled() {
        let descriptor = kind.descriptor();
        let mut documents = vec![(
            format!("plugins/{}.json", descriptor.name),
            descriptor.schema.document(),
        )];
        documents.extend(
            descriptor
                .entities
                .iter()
                .map(|e| (format!("{}.json", e.name), e.document())),
        );
        for (name, document) in documents {
            let (mut ours, mut theirs) = (normalised(document), normalised(recorded(&name)));
            hide_random_defaults(&mut ours, &mut theirs);
            if ours != theirs {
                wrong.push(format!("{name}\n  ours:     {ours}\n  recorded: {theirs}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_bundled_plugins_are_there_with_the_priorities_and_scopes_of_the_reference() {
    // Name, priority, scopes that are not refused: consumer, service, route.
    let rows = [
        ("pre-function", 1_000_000, "sr"),
        ("correlation-id", 100_001, "csr"),
        ("zipkin", 100_000, "csr"),
        ("bot-detection", 2500, "sr"),
        ("cors", 2000, "sr"),
        ("session", 1900, "sr"),
        ("acme", 1705, ""),
        ("jwt", 1450, "sr"),
        ("oauth2", 1400, "sr"),
        ("key-auth", 1250, "sr"),
        ("ldap-auth", 1200, "sr"),
        ("basic-auth", 1100, "sr"),
        ("hmac-auth", 1030, "sr"),
        ("grpc-gateway", 998, "csr"),
        ("ip-restriction", 990, "csr"),
        ("request-size-limiting", 951, "csr"),
        ("acl", 950, "sr"),
        ("rate-limiting", 910, "csr"),
        ("response-ratelimiting", 900, "csr"),
        ("request-transformer", 801, "csr"),
        ("response-transformer", 800, "csr"),
        ("redirect", 779, "csr"),
        ("ai-request-transformer", 777, "sr"),
        ("ai-prompt-template", 773, "csr"),
        ("ai-prompt-decorator", 772, "csr"),
        ("ai-prompt-guard", 771, "csr"),
        ("ai-proxy", 770, "csr"),
        ("ai-response-transformer", 768, "csr"),
        ("standard-webhooks", 760, "sr"),
        ("aws-lambda", 750, "csr"),
        ("azure-functions", 749, "csr"),
        ("proxy-cache", 100, "csr"),
        ("opentelemetry", 14, "csr"),
        ("prometheus", 13, "csr"),
        ("http-log", 12, "csr"),
        ("statsd", 11, "csr"),
        ("datadog", 10, "csr"),
        ("file-log", 9, "csr"),
        ("udp-log", 8, "csr"),
        ("tcp-log", 7, "csr"),
        ("loggly", 6, "csr"),
        ("syslog", 4, "csr"),
        ("grpc-web", 3, "csr"),
        ("request-termination", 2, "csr"),
        ("post-function", -1000, "sr"),
    ];
    let kinds = kong_plugins::bundled();
    assert_eq!(kinds.len(), rows.len());
    for kind in kinds {
        let descriptor = kind.descriptor();
        let scopes: String = [("consumer", 'c'), ("service", 's'), ("route", 'r')]
            .into_iter()
            .filter_map(|(scope, letter)| descriptor.accepts_scope(scope).then_some(letter))
            .collect();
        let row = rows.iter().find(|(name, ..)| *name == descriptor.name);
        assert_eq!(
            row,
            Some(&(descriptor.name.as_str(), descriptor.priority, scopes.as_str()))
        );
        assert_eq!(descriptor.version, "3.9.3");
    }
}

#[test]
fn plugins_bring_all_entities_that_are_not_of_the_core() {
    let mut names: Vec<String> = kong_plugins::bundled()
        .iter()
        .flat_map(|kind| kind.descriptor().entities.clone())
        .map(|entity| entity.name.clone())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "acls",
            "acme_storage",
            "basicauth_credentials",
            "hmacauth_credentials",
            "jwt_secrets",
            "keyauth_credentials",
            "oauth2_authorization_codes",
            "oauth2_credentials",
            "oauth2_tokens",
            "ratelimiting_metrics",
            "sessions",
        ]
    );
}
