//! What the Admin API and `.kong_env` show of a configuration.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kong_config::{Config, ConfigValue, LoadOptions, properties, property};
use serde_json::{Value, json};

fn load(settings: &[(&str, &str)]) -> Config {
    let settings = settings
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    Config::load(&LoadOptions {
        prefix: Some("/tmp/kong-test".into()),
        ..LoadOptions::new(settings)
    })
    .unwrap()
}

fn shown(config: &Config, member: &str) -> Value {
    config.effective().get(member).map_or(Value::Null, Value::from)
}

#[test]
fn values_have_the_documented_types() {
    let config = load(&[("KONG_PORT_MAPS", "80:8000")]);
    let rows = [
        ("prefix", json!("/tmp/kong-test")),
        ("log_level", json!("notice")),
        ("anonymous_reports", json!(true)),
        ("database", json!("sqlite")),
        ("pg_port", json!(5432)),
        ("pg_ssl", json!(false)),
        ("db_update_frequency", json!(5)),
        ("db_cache_warmup_entities", json!(["services"])),
        ("worker_state_update_frequency", json!(5)),
        ("mem_cache_size", json!("128m")),
        ("real_ip_recursive", json!("off")),
        ("nginx_daemon", json!("on")),
        ("ssl_session_tickets", json!("on")),
        ("trusted_ips", json!([])),
        ("ssl_cert", json!([])),
        (
            "headers",
            json!(["server_tokens", "latency_tokens", "x-kong-request-id"]),
        ),
        ("role", json!("traditional")),
        ("router_flavor", json!("traditional_compatible")),
        ("untrusted_lua", json!("sandbox")),
        ("tracing_instrumentations", json!(["off"])),
        ("tracing_sampling_rate", json!(0.01)),
        ("vaults", json!(["bundled"])),
        ("plugins", json!(["bundled"])),
        ("nginx_worker_processes", json!("auto")),
        ("wasm", json!(false)),
        ("loaded_vaults", json!({"env": true})),
        ("host_ports", json!({"8000": 80})),
        ("stream_listeners", json!([])),
        ("nginx_http_client_max_body_size", json!("0")),
        ("pg_password", Value::Null),
        ("db_cache_neg_ttl", Value::Null),
    ];
    for (member, expected) in rows {
        assert_eq!(shown(&config, member), expected, "{member}");
    }
    assert_eq!(
        shown(&config, "proxy_listeners")[1]["listener"],
        "0.0.0.0:8443 ssl reuseport backlog=16384"
    );
}

#[test]
fn secrets_are_masked_and_references_shown() {
    let config = load(&[
        ("KONG_DATABASE", "off"),
        ("KONG_PG_PASSWORD", "hunter2"),
        ("KONG_PG_RO_PASSWORD", "{vault://env/secret}"),
        ("KONG_PG_USER", "{vault://env/user}"),
        ("KONG_PROXY_SERVER", "http://user:hunter2@proxy.test"),
        ("KONG_REQUEST_DEBUG_TOKEN", "hunter2"),
        ("SECRET", "hunter2"),
        ("USER", "somebody"),
    ]);
    assert_eq!(shown(&config, "pg_password"), "******");
    assert_eq!(shown(&config, "proxy_server"), "******");
    assert_eq!(shown(&config, "pg_ro_password"), "{vault://env/secret}");
    assert_eq!(shown(&config, "pg_user"), "{vault://env/user}");
    assert_eq!(config.text("pg_user"), Some("somebody"));
    assert!(!format!("{:?}", config.effective()).contains("hunter2"));
    let debug = format!("{config:?}");
    assert!(debug.contains("pg_password") && !debug.contains("hunter2"), "{debug}");
    // The node itself needs them; the file is for its owner only.
    assert!(
        config
            .env_file_text()
            .contains("pg_ro_password = {vault://env/secret}\n")
    );
}

#[test]
fn every_property_that_holds_a_key_or_password_is_masked() {
    for name in [
        "pg_password",
        "pg_ro_password",
        "proxy_server",
        "declarative_config_string",
        "cluster_cert_key",
        "ssl_cert_key",
        "client_ssl_cert_key",
        "admin_ssl_cert_key",
        "admin_gui_ssl_cert_key",
        "status_ssl_cert_key",
    ] {
        assert!(property(name).unwrap().secret, "{name}");
    }
    for property in properties().filter(|p| p.name.ends_with("_password") || p.name.ends_with("_cert_key")) {
        assert!(property.secret, "{}", property.name);
    }
}

#[test]
fn the_written_environment_reads_back_as_the_same_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().join("node");
    let settings = [
        ("KONG_PROXY_LISTEN", "127.0.0.1:9000 reuseport, [::1]:9001 ssl"),
        ("KONG_HEADERS", "via"),
        ("KONG_TRUSTED_IPS", "10.0.0.0/8, ::1"),
        ("KONG_REAL_IP_HEADER", ""),
        ("KONG_NGINX_HTTP_KEEPALIVE_TIMEOUT", "9s"),
        ("KONG_PLUGINS", "a#b"),
        ("KONG_PG_HOST", "ignored"),
        ("KONG_DATABASE", "off"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::load(&LoadOptions {
        prefix: Some(prefix.clone()),
        ..LoadOptions::new(settings)
    })
    .unwrap();
    config.prefix.create().unwrap();
    config.write_env_file().unwrap();
    let again = Config::load(&LoadOptions {
        file: Some(config.prefix.env_file()),
        ..LoadOptions::new([])
    })
    .unwrap();
    assert_eq!(again.effective(), config.effective());
    assert_eq!(again.database.kind, config.database.kind);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(config.prefix.env_file()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    // A reload puts what is said now over it.
    let over = LoadOptions {
        base_file: Some(config.prefix.env_file()),
        ..LoadOptions::new([("KONG_HEADERS".to_owned(), "server".to_owned())])
    };
    let over = Config::load(&over).unwrap();
    assert!(over.proxy.headers.server && !over.proxy.headers.via);
    assert_eq!(over.listeners.proxy, config.listeners.proxy);
}

#[test]
fn whole_numbers_are_shown_without_a_fraction() {
    assert_eq!(Value::from(&ConfigValue::Number(5.0)).to_string(), "5");
    assert_eq!(Value::from(&ConfigValue::Number(0.5)).to_string(), "0.5");
}

#[test]
fn one_node_at_a_time_holds_a_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let options = LoadOptions {
        prefix: Some(directory.path().join("node")),
        ..LoadOptions::new([])
    };
    let prefix = Config::load(&options).unwrap().prefix;
    assert_eq!(prefix.running().unwrap(), None);
    prefix.create().unwrap();
    // A file that a crash left behind is no node.
    std::fs::write(prefix.pid_file(), "1\n").unwrap();
    assert_eq!(prefix.running().unwrap(), None);
    let mut claim = prefix.claim().unwrap().unwrap();
    claim.write().unwrap();
    assert_eq!(prefix.running().unwrap(), Some(std::process::id()));
    assert!(prefix.claim().unwrap().is_none());
    drop(claim);
    assert!(!prefix.pid_file().exists());
    assert_eq!(prefix.running().unwrap(), None);
    assert!(prefix.claim().unwrap().is_some());
}
