//! What is wrong with a configuration is said in the words that users of the original know.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kong_config::{Config, ConfigError, ConfigErrors, LoadOptions};

fn load(settings: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let environment = settings
        .iter()
        .map(|(name, value)| (format!("KONG_{}", name.to_uppercase()), value.to_string()));
    Config::load(&LoadOptions::new(
        environment.chain([("KONG_PREFIX".to_owned(), "/tmp/kong-test".to_owned())]),
    ))
}

fn messages(settings: &[(&str, &str)]) -> Vec<String> {
    match load(settings) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_wrong_value_is_named_with_the_known_message() {
    let missing = "/nonexistent/file";
    let rows: &[(&[(&str, &str)], &str)] = &[
        (
            &[("log_level", "loud")],
            "log_level has an invalid value: 'loud' (debug, info, notice, warn, error, crit, alert, emerg)",
        ),
        (
            &[("role", "boss")],
            "role has an invalid value: 'boss' (traditional, control_plane, data_plane)",
        ),
        (
            &[("router_flavor", "x")],
            "router_flavor has an invalid value: 'x' (traditional, traditional_compatible, expressions)",
        ),
        (
            &[("error_default_type", "image/png")],
            "error_default_type has an invalid value: 'image/png' (application/json, application/xml, text/html, text/plain)",
        ),
        (&[("port_maps", "80")], "invalid port mapping (`port_maps`): 80"),
        (
            &[("port_maps", "80:8000, 443:x")],
            "invalid port mapping (`port_maps`): 443:x",
        ),
        (&[("port_maps", "0:8000")], "invalid port mapping (`port_maps`): 0:8000"),
        (&[("ssl_cert", missing)], "ssl_cert_key must be specified"),
        (&[("ssl_cert_key", missing)], "ssl_cert must be specified"),
        (&[("admin_ssl_cert", missing)], "admin_ssl_cert_key must be specified"),
        (&[("status_ssl_cert_key", missing)], "status_ssl_cert must be specified"),
        (
            &[("ssl_cert", "/a,/b"), ("ssl_cert_key", "/c")],
            "ssl_cert was specified 2 times while ssl_cert_key was specified 1 times",
        ),
        (
            &[("ssl_cert", missing), ("ssl_cert_key", missing)],
            "ssl_cert: failed loading certificate from /nonexistent/file",
        ),
        (
            &[("ssl_cert", missing), ("ssl_cert_key", missing)],
            "ssl_cert_key: failed loading key from /nonexistent/file",
        ),
        (
            &[("headers", "server_tokens, x-powered-by")],
            "headers: invalid entry 'x-powered-by'",
        ),
        (&[("headers_upstream", "via")], "headers_upstream: invalid entry 'via'"),
        (
            &[("dns_resolver", "8.8.8.8, ns.test")],
            "dns_resolver must be a comma separated list in the form of IPv4/6 or IPv4/6:port, got 'ns.test'",
        ),
        (
            &[("resolver_address", "8.8.8.8:x")],
            "resolver_address must be a comma separated list in the form of IPv4/6 or IPv4/6:port, got '8.8.8.8:x'",
        ),
        (&[("dns_hostsfile", missing)], "dns_hostsfile: file does not exist"),
        (
            &[("resolver_hosts_file", missing)],
            "resolver_hosts_file: file does not exist",
        ),
        (&[("dns_order", "A, TXT")], "dns_order: invalid entry 'TXT'"),
        (
            &[("resolver_family", "A, LAST")],
            "resolver_family: invalid entry 'LAST'",
        ),
        (
            &[("trusted_ips", "10.0.0.0/8, host")],
            "trusted_ips must be a comma separated list in the form of IPv4 or IPv6 address or CIDR block or 'unix:', got 'host'",
        ),
        (
            &[("pg_max_concurrent_queries", "-1")],
            "pg_max_concurrent_queries must be greater than 0",
        ),
        (
            &[("pg_ro_pool_size", "1.5")],
            "pg_ro_pool_size must be an integer greater than 0",
        ),
        (
            &[("worker_state_update_frequency", "0")],
            "worker_state_update_frequency must be greater than 0",
        ),
        (&[("proxy_server", "proxy:3128")], "proxy_server missing scheme"),
        (
            &[("proxy_server", "socks5://proxy:3128")],
            "proxy_server only supports \"http\" and \"https\", got socks5",
        ),
        (&[("proxy_server", "http://")], "proxy_server missing host"),
        (
            &[("proxy_server", "http://proxy/?a=b")],
            "fragments, query strings or parameters are meaningless in proxy configuration",
        ),
        (
            &[("role", "control_plane"), ("admin_listen", "off")],
            "admin_listen must be specified when role = \"control_plane\"",
        ),
        (
            &[("role", "control_plane"), ("cluster_listen", "off")],
            "cluster_listen must be specified when role = \"control_plane\"",
        ),
        (
            &[("role", "control_plane"), ("database", "off")],
            "in-memory storage can not be used when role = \"control_plane\"",
        ),
        (
            &[("role", "control_plane"), ("cluster_mtls", "pki")],
            "cluster_ca_cert must be specified when cluster_mtls = \"pki\"",
        ),
        (
            &[("role", "control_plane"), ("cluster_use_proxy", "on")],
            "cluster_use_proxy can not be used when role = \"control_plane\"",
        ),
        (
            &[("role", "control_plane"), ("cluster_dp_labels", "a:b")],
            "cluster_dp_labels can not be used when role = \"control_plane\"",
        ),
        (
            &[("role", "data_plane"), ("proxy_listen", "off")],
            "proxy_listen must be specified when role = \"data_plane\"",
        ),
        (
            &[("role", "data_plane")],
            "only in-memory storage can be used when role = \"data_plane\"\nHint: set database = off in your kong.conf",
        ),
        (
            &[("role", "data_plane"), ("cluster_use_proxy", "on")],
            "cluster_use_proxy is turned on but no proxy_server is configured",
        ),
        (
            &[("role", "data_plane")],
            "cluster certificate and key must be provided to use Hybrid mode",
        ),
        (
            &[("cluster_dp_labels", "a:b")],
            "cluster_dp_labels can only be used when role = \"data_plane\"",
        ),
        (
            &[("cluster_data_plane_purge_delay", "59")],
            "cluster_data_plane_purge_delay must be 60 or greater",
        ),
        (
            &[("cluster_max_payload", "1024")],
            "cluster_max_payload must be 4194304 (4MB) or greater",
        ),
        (
            &[("upstream_keepalive_pool_size", "-1")],
            "upstream_keepalive_pool_size must be 0 or greater",
        ),
        (
            &[("upstream_keepalive_max_requests", "-1")],
            "upstream_keepalive_max_requests must be 0 or greater",
        ),
        (
            &[("upstream_keepalive_idle_timeout", "-1")],
            "upstream_keepalive_idle_timeout must be 0 or greater",
        ),
        (
            &[("lua_max_req_headers", "0")],
            "lua_max_req_headers must be an integer between 1 and 1000",
        ),
        (
            &[("lua_max_post_args", "1001")],
            "lua_max_post_args must be an integer between 1 and 1000",
        ),
        (
            &[("lua_max_uri_args", "1.5")],
            "lua_max_uri_args must be an integer between 1 and 1000",
        ),
        (
            &[("tracing_sampling_rate", "1.1")],
            "tracing_sampling_rate must be between 0 and 1",
        ),
        (
            &[("tracing_instrumentations", "router, moon")],
            "invalid tracing type: moon",
        ),
        (
            &[("tracing_instrumentations", "off, router")],
            "invalid tracing types: off, other types are mutually exclusive",
        ),
        (&[("node_id", "me")], "node_id must be a valid UUID"),
        (
            &[("node_id", "0f8fad5bd9cb469fa16570867728950e")],
            "node_id must be a valid UUID",
        ),
        (
            &[("admin_gui_path", "manager")],
            "admin_gui_path must start with a slash ('/')",
        ),
        (
            &[("admin_gui_path", "/manager/")],
            "admin_gui_path must not end with a slash ('/')",
        ),
        (
            &[("admin_gui_path", "/man.ager")],
            "admin_gui_path can only contain letters, digits, hyphens ('-'), underscores ('_'), and slashes ('/')",
        ),
        (
            &[("admin_gui_path", "/a//b")],
            "admin_gui_path must not contain continuous slashes ('/')",
        ),
        (
            &[("cassandra_lb_policy", "DCAwareRoundRobin")],
            "must specify 'cassandra_local_datacenter' when DCAwareRoundRobin policy is in use",
        ),
        (
            &[("pg_password", "{vault://env/no-such-name}")],
            "failed to dereference '{vault://env/no-such-name}': could not get value from external vault (no value found) for config option 'pg_password'",
        ),
        (
            &[("trusted_ips", "10.0.0.1, {vault://env/no-such-name}")],
            "failed to dereference '{vault://env/no-such-name}': could not get value from external vault (no value found) for config option 'trusted_ips[2]'",
        ),
        (
            &[("client_max_body_size", "lots")],
            "client_max_body_size must be a size such as 8k or 10m, got 'lots'",
        ),
        (
            &[("nginx_worker_processes", "0")],
            "nginx_worker_processes must be auto or a number from 1 to 1024, got '0'",
        ),
        (
            &[("nginx_http_keepalive_timeout", "soon")],
            "invalid value of the server directive keepalive_timeout: 'soon'",
        ),
    ];
    for (settings, message) in rows {
        let messages = messages(settings);
        assert!(
            messages.iter().any(|m| m == message),
            "{settings:?} said {messages:#?}, not {message:?}"
        );
    }
}

#[test]
fn a_malformed_listener_is_named_by_its_property() {
    for family in ["proxy", "admin", "admin_gui", "status", "cluster", "stream"] {
        let property = format!("{family}_listen");
        let messages = messages(&[(&property, "8000")]);
        assert!(
            messages[0].starts_with(&format!("{property} must be of form: [off] | <ip>:<port> [ssl] [")),
            "{messages:?}"
        );
    }
}

#[test]
fn what_cannot_be_ignored_is_refused_until_it_is_built() {
    let rows: &[&[(&str, &str)]] = &[
        &[("role", "control_plane")],
        &[("role", "data_plane")],
        &[("stream_listen", "127.0.0.1:9000")],
        &[("proxy_listen", "127.0.0.1:8000 proxy_protocol")],
        &[("admin_listen", "127.0.0.1:8001 proxy_protocol")],
        &[("ssl_cipher_suite", "modern")],
        &[("ssl_cipher_suite", "old")],
        &[("ssl_cipher_suite", "fips")],
        &[("ssl_cipher_suite", "custom")],
        &[("client_ssl", "on")],
        &[("cluster_mtls", "pki")],
        &[("cluster_cert", "/etc/hosts")],
        &[("wasm", "on")],
        &[("lua_ssl_trusted_certificate", "/etc/hosts")],
        &[("nginx_proxy_ssl_verify_client", "on")],
        &[("nginx_http_proxy_ssl_verify", "on")],
        &[("nginx_proxy_deny", "all")],
        &[("database", "postgres")],
        &[("database", "cassandra")],
        &[("pg_host", "db.test")],
        &[("cassandra_contact_points", "db.test")],
    ];
    for settings in rows {
        let errors = load(settings).expect_err(&format!("{settings:?}"));
        let refused = errors
            .iter()
            .filter(|error| matches!(error, ConfigError::Refused { .. }))
            .count();
        assert!(refused >= 1, "{settings:?}: {errors:?}");
    }
}

#[test]
fn defaults_and_harmless_values_of_refused_properties_are_fine() {
    for settings in [
        ("role", "traditional"),
        ("stream_listen", "off"),
        ("client_ssl", "off"),
        ("ssl_cipher_suite", "intermediate"),
        ("cluster_listen", "off"),
        ("wasm", "off"),
        ("wasm", "false"),
        ("cluster_ocsp", "off"),
        ("lua_ssl_trusted_certificate", "system"),
        ("cluster_listen", "0.0.0.0:8005"),
    ] {
        assert_eq!(messages(&[settings]), [""; 0], "{settings:?}");
    }
}

#[test]
fn every_error_is_collected_and_the_first_is_shown() {
    let errors = load(&[("log_level", "loud"), ("headers", "x"), ("port_maps", "x")]).unwrap_err();
    assert_eq!(errors.iter().count(), 3);
    assert!(errors.to_string().starts_with("log_level has an invalid value"));
}

#[test]
fn a_secret_is_never_part_of_a_message() {
    let pem = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----";
    let messages = messages(&[
        ("cluster_cert_key", pem),
        ("ssl_cert", "/nonexistent"),
        ("ssl_cert_key", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0"),
    ]);
    assert!(messages.len() >= 3, "{messages:?}");
    assert!(!messages.concat().contains("c2VjcmV0"), "{messages:?}");
}

#[test]
fn a_missing_file_is_named() {
    let options = LoadOptions {
        file: Some("/nonexistent/kong.conf".into()),
        ..LoadOptions::new([])
    };
    assert_eq!(
        Config::load(&options).unwrap_err().to_string(),
        "no file at: /nonexistent/kong.conf"
    );
}
