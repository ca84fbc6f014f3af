//! Plugins whose behaviour is not built yet: what they refuse, and what a request gets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use kong_plugin::testing::TestNode;
use kong_schema::Operation;
use serde_json::{Value, json};

fn names(kinds: &[std::sync::Arc<dyn kong_plugin::PluginKind>]) -> Vec<String> {
    kinds.iter().map(|kind| kind.descriptor().name.clone()).collect()
}

fn unbuilt() -> Vec<String> {
    let built = names(&kong_plugins::built());
    let all = names(&kong_plugins::bundled());
    all.into_iter().filter(|name| !built.contains(name)).collect()
}

#[test]
fn configurations_are_refused_with_the_texts_of_the_reference() {
    let llm = |model: Value| json!({"route_type": "llm/v1/chat", "model": model});
    let two_keys = "all or none of these fields must be set: 'config.aws_key', 'config.aws_secret'";
    let rows = [
        (
            "acme",
            json!({"account_email": "a"}),
            json!({"config": {"account_email": "invalid value: a"}}),
        ),
        (
            "acme",
            json!({"account_email": "a@b.test", "domains": ["*.a.test", "a.*.b"]}),
            json!({"config": {"domains": [null, "invalid wildcard: must be placed at leftmost or rightmost label"]}}),
        ),
        (
            "acme",
            json!({"account_email": "a@b.test", "api_uri": "https://acme-v02.api.letsencrypt.org"}),
            json!({
                "@entity": ["terms of service must be accepted, see https://letsencrypt.org/repository/"],
                "config": {"tos_accepted": "value must be true"},
            }),
        ),
        (
            "acme",
            json!({"account_email": "a@b.test", "storage_config": {"redis": {"extra_options":
                {"namespace": "kong_acme:cert_key:x"}}}}),
            json!({"config": {"storage_config": {"redis": {"extra_options":
                {"namespace": "namespace can't be prefixed with reserved word: kong_acme:cert_key:"}}}}}),
        ),
        (
            "acme",
            json!({"account_email": "a@b.test", "storage": "redis", "storage_config": {"redis": {"host": "a:1"}}}),
            json!({
                "@entity": ["failed conditional validation given value of field 'config.storage'"],
                "config": {"storage_config": {"redis": {"host": "must not have a port"}}},
            }),
        ),
        (
            "ai-proxy",
            llm(json!({"provider": "anthropic"})),
            json!({"config": {"@entity": ["must set 'model.options.anthropic_version' for anthropic provider"]}}),
        ),
        (
            "ai-proxy",
            llm(json!({"provider": "llama2", "options": {"llama2_format": "raw"}})),
            json!({"config": {"@entity":
                ["must set 'model.options.upstream_url' for self-hosted providers/models"]}}),
        ),
        (
            "ai-proxy",
            json!({"route_type": "llm/v1/completions", "logging": {"log_statistics": true},
                "model": {"provider": "anthropic", "options": {"anthropic_version": "1"}}}),
            json!({"config": {"@entity":
                ["anthropic does not support statistics when route_type is llm/v1/completions"]}}),
        ),
        (
            "ai-proxy",
            llm(json!({"provider": "openai", "options": {"upstream_url": "x"}})),
            json!({"config": {"model": {"options": {"upstream_url": "missing host in url"}}}}),
        ),
        (
            "ai-request-transformer",
            json!({"prompt": "p", "http_proxy_host": "a", "llm": llm(json!({"provider": "openai"}))}),
            json!({"@entity":
                ["all or none of these fields must be set: 'config.http_proxy_host', 'config.http_proxy_port'"]}),
        ),
        ("aws-lambda", json!({"aws_key": "k"}), json!({"@entity": [two_keys]})),
        (
            "aws-lambda",
            json!({"proxy_url": "https://a.test"}),
            json!({"@entity": ["proxy_url scheme must be http"]}),
        ),
        (
            "http-log",
            json!({"http_endpoint": "http://u:p@a.test/", "headers": {"authorization": "x"}}),
            json!({"config":
                "specifying both an 'Authorization' header and user info in 'http_endpoint' is not allowed"}),
        ),
        (
            "http-log",
            json!({"http_endpoint": "http://a.test/", "custom_fields_by_lua": {"x": "return ="}}),
            json!({"config": {"custom_fields_by_lua":
                "Error parsing function: [string \"return =\"]:1: unexpected symbol near '='"}}),
        ),
        (
            "ldap-auth",
            json!({"ldap_host": "a.test", "base_dn": "x", "attribute": "y", "ldaps": true, "start_tls": true}),
            json!({"config": {
                "@entity": ["'ldaps' and 'start_tls' cannot be enabled simultaneously"],
                "start_tls": "value must be false",
            }}),
        ),
        (
            "oauth2",
            json!({}),
            json!({"config": "at least one of these fields must be true: enable_authorization_code, \
                enable_implicit_grant, enable_client_credentials, enable_password_grant"}),
        ),
        (
            "oauth2",
            json!({"enable_password_grant": true, "mandatory_scope": true}),
            json!({"config": {
                "@entity": ["failed conditional validation given value of field 'mandatory_scope'"],
                "scopes": "required field missing",
            }}),
        ),
        (
            "opentelemetry",
            json!({}),
            json!({"config": {"@entity":
                ["at least one of these fields must be non-empty: 'traces_endpoint', 'logs_endpoint'"]}}),
        ),
        (
            "post-function",
            json!({"access": ["local a = 1", "x = = 2"]}),
            json!({"config": {"access":
                [null, "error parsing post-function: [string \"x = = 2\"]:1: unexpected symbol near '='"]}}),
        ),
        (
            "response-ratelimiting",
            json!({"limits": {"video": {"second": 2, "minute": 1}}}),
            json!({"config": {"limits":
                "the limit for minute(1.0) cannot be lower than the limit for second(2.0)"}}),
        ),
        (
            "response-ratelimiting",
            json!({"limits": {}}),
            json!({"config": {"limits": "length must be at least 1"}}),
        ),
        (
            "statsd",
            json!({"host": "a b"}),
            json!({"config": {"host": "invalid value: a b"}}),
        ),
        (
            "zipkin",
            json!({"static_tags": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}),
            json!({"config": {"static_tags": "repeated tags are not allowed: a"}}),
        ),
    ];
    let node = TestNode::new(kong_plugins::bundled());
    for (plugin, config, errors) in rows {
        assert_eq!(
            node.configuration(plugin, config.clone()),
            Err(errors),
            "{plugin} {config}"
        );
    }
}

#[test]
fn shorthands_and_generated_values_are_filled_in() {
    let node = TestNode::new(kong_plugins::bundled());
    let config = |plugin: &str, config: Value| Value::Object(node.configuration(plugin, config).unwrap());
    let session = config(
        "session",
        json!({"cookie_lifetime": 7, "cookie_idletime": null, "cookie_samesite": "off", "cookie_renew": 1,
            "cookie_discard": 3, "cookie_httponly": false, "cookie_persistent": true}),
    );
    for (member, expected) in [
        ("rolling_timeout", json!(7)),
        ("idling_timeout", json!(0)),
        ("cookie_same_site", json!("Lax")),
        ("stale_ttl", json!(3)),
        ("cookie_http_only", json!(false)),
        ("remember", json!(true)),
    ] {
        assert_eq!(session[member], expected, "{member}");
    }
    let secret = session["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 44);
    assert_eq!(config("session", json!({}))["secret"], secret, "one for each process");
    let oauth2 = config("oauth2", json!({"enable_password_grant": true}));
    assert_eq!(oauth2["provision_key"].as_str().unwrap().len(), 32);
    let telemetry = config("opentelemetry", json!({"endpoint": "http://a.test/"}));
    assert_eq!(telemetry["traces_endpoint"], "http://a.test/");
    assert_eq!(telemetry["queue"]["max_batch_size"], 200);
    let telemetry = config(
        "opentelemetry",
        json!({"traces_endpoint": "http://a.test/", "queue": {}}),
    );
    assert_eq!(telemetry["queue"]["max_batch_size"], 1);
    let limits = config(
        "response-ratelimiting",
        json!({"limits": {"v": {"minute": 1}}, "redis_host": "r.test"}),
    );
    assert_eq!(limits["redis"]["host"], "r.test");
}

#[test]
fn requests_fail_instead_of_passing_unchecked() {
    let node = TestNode::new(kong_plugins::bundled());
    let names = unbuilt();
    for (plugin, config) in [
        ("syslog", json!({})),
        ("grpc-gateway", json!({})),
        ("session", json!({})),
        ("http-log", json!({"http_endpoint": "http://a.test/"})),
        ("post-function", json!({"log": ["return"]})),
        ("zipkin", json!({})),
    ] {
        if names.iter().any(|name| name == plugin) {
            let plan = node.plan_of(&[(plugin, config)]);
            let run = node.run(&plan, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            assert!(run.has_failed() && !run.is_proxied(), "{plugin}");
            assert_eq!(run.status(), 500);
        }
    }
}

#[test]
fn pages_say_of_exactly_these_that_they_are_not_built() {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/plugins");
    let unbuilt = unbuilt();
    for name in names(&kong_plugins::bundled()) {
        let page = std::fs::read_to_string(docs.join(format!("{name}.md"))).unwrap_or_default();
        let says_so = page.contains("**The behaviour of this plugin is not built yet.**");
        assert_eq!(says_so, unbuilt.contains(&name), "docs/plugins/{name}.md");
    }
}

#[test]
fn what_needs_a_datastore_is_refused_without_one() {
    let rows = [
        (
            "rate-limiting",
            json!({"minute": 1, "policy": "cluster"}),
            json!({"config": {"policy": "expected one of: local, redis"}}),
        ),
        (
            "response-ratelimiting",
            json!({"limits": {"v": {"minute": 1}}, "policy": "cluster"}),
            json!({"config": {"policy": "expected one of: local, redis"}}),
        ),
        (
            "acme",
            json!({"account_email": "a@b.test", "storage": "kong"}),
            json!({"@entity": ["\"kong\" storage can't be used with dbless mode"]}),
        ),
    ];
    let kinds = kong_plugins::bundled();
    for (plugin, config, errors) in rows {
        let kind = kinds.iter().find(|kind| kind.descriptor().name == plugin).unwrap();
        let body = json!({ "config": config });
        let body = body.as_object().unwrap();
        for (schema, expected) in [
            (kind.descriptor().schema.clone(), Ok(())),
            (kind.schema_without_datastore().unwrap(), Err(errors)),
        ] {
            let row = schema.process(Operation::Insert, body, None, 0.0).unwrap();
            let outcome = schema.validate(&row, Operation::Insert, body).map_err(Value::Object);
            assert_eq!(outcome, expected, "{plugin}");
        }
    }
}
