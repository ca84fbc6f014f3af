//! Which value holds: precedence, aliases, the datastore, the prefix, and how texts become typed values.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use kong_config::{Config, DatabaseKind, LoadOptions, PortMap, Role, RouterFlavor, log};

type Settings<'a> = &'a [(&'a str, &'a str)];

fn options(settings: &[(&str, &str)]) -> LoadOptions {
    LoadOptions::new(
        settings
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string())),
    )
}

fn load(settings: &[(&str, &str)]) -> Config {
    Config::load(&LoadOptions {
        prefix: Some("/tmp/kong-test".into()),
        ..options(settings)
    })
    .unwrap()
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kong.conf");
    std::fs::write(
        &file,
        "log_level = debug # why\nprefix = /tmp/from-file\nplugins = a\\#b\nwhat\n",
    )
    .unwrap();
    let with = |settings: &[(&str, &str)], prefix: Option<&str>| {
        let options = LoadOptions {
            file: Some(file.clone()),
            prefix: prefix.map(Into::into),
            ..options(settings)
        };
        Config::load(&options).unwrap()
    };
    assert_eq!(load(&[]).logs.level, log::Level::Notice);
    let config = with(&[], None);
    assert_eq!(config.logs.level, log::Level::Debug);
    assert_eq!(config.prefix.path, Path::new("/tmp/from-file"));
    assert_eq!(config.plugins.names, ["a#b"]);
    assert!(
        config.warnings.iter().any(|warning| warning.contains("kong.conf:4 ")),
        "{:?}",
        config.warnings
    );
    let environment = [("KONG_LOG_LEVEL", "error"), ("KONG_PREFIX", "/tmp/from-environment/")];
    let config = with(&environment, None);
    assert_eq!(config.logs.level, log::Level::Error);
    assert_eq!(config.prefix.path, Path::new("/tmp/from-environment"));
    assert_eq!(
        with(&environment, Some("/tmp/argument")).prefix.path,
        Path::new("/tmp/argument")
    );
}

#[test]
fn an_empty_value_in_the_environment_unsets_a_property() {
    let config = load(&[("KONG_ADMIN_LISTEN", ""), ("KONG_REAL_IP_HEADER", "")]);
    assert!(config.listeners.admin.is_empty());
    assert!(!config.effective().contains_key("real_ip_header"));
}

#[test]
fn unknown_names_are_dropped_and_dynamic_ones_kept() {
    let config = load(&[
        ("KONG_NO_SUCH_THING", "1"),
        ("KONG_PLUGINSERVER_GO_SOCKET", "/tmp/go.socket"),
    ]);
    assert!(!config.effective().contains_key("no_such_thing"));
    assert_eq!(config.text("pluginserver_go_socket"), Some("/tmp/go.socket"));
}

#[test]
fn aliases_set_what_they_stand_for() {
    let config = load(&[
        ("KONG_NGINX_MAIN_DAEMON", "off"),
        ("KONG_NGINX_MAIN_WORKER_PROCESSES", "3"),
        ("KONG_NGINX_PROXY_REAL_IP_HEADER", "X-Client"),
        ("KONG_NGINX_PROXY_REAL_IP_RECURSIVE", "on"),
        ("KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE", "1k"),
        ("KONG_NGINX_PROXY_CLIENT_BODY_BUFFER_SIZE", "2k"),
        ("KONG_ROUTER_CONSISTENCY", "strict"),
    ]);
    assert!(!config.server.daemon);
    assert_eq!(config.server.worker_processes, 3);
    assert_eq!(config.proxy.real_ip_header, "X-Client");
    assert!(config.proxy.real_ip_recursive && config.proxy.strict_consistency);
    assert_eq!(config.server.client_max_body_size, Some(1024));
    assert_eq!(config.server.client_body_buffer_size, 2048);
}

#[test]
fn the_datastore_follows_from_what_is_set() {
    let rows: &[(Settings<'_>, DatabaseKind, &str)] = &[
        (
            &[],
            DatabaseKind::Sqlite,
            "neither database nor any pg_* or cassandra_* property is set",
        ),
        (
            &[("KONG_DATABASE", "sqlite"), ("KONG_PG_HOST", "db")],
            DatabaseKind::Sqlite,
            "database is set to sqlite",
        ),
        (
            &[("KONG_DATABASE", "off"), ("KONG_PG_HOST", "db")],
            DatabaseKind::Off,
            "database is set to off",
        ),
        (&[("KONG_DATABASE", "off")], DatabaseKind::Off, "database is set to off"),
    ];
    for (settings, kind, reason) in rows {
        let database = load(settings).database;
        assert_eq!(
            (database.kind, database.reason.as_str()),
            (*kind, *reason),
            "{settings:?}"
        );
    }
    let rows: &[(Settings<'_>, &str, &str)] = &[
        (
            &[("KONG_PG_HOST", "db")],
            "postgres",
            "database is not set and pg_host is",
        ),
        (
            &[("KONG_PG_HOST", "db"), ("KONG_PG_USER", "u")],
            "postgres",
            "database is not set and pg_host, pg_user are",
        ),
        (
            &[("KONG_CASSANDRA_PORT", "1")],
            "cassandra",
            "database is not set and cassandra_port is",
        ),
        (
            &[("KONG_DATABASE", "postgres")],
            "postgres",
            "database is set to postgres",
        ),
    ];
    for (settings, name, reason) in rows {
        let error = Config::load(&options(settings)).unwrap_err().to_string();
        let start = format!("database = {name} is not supported yet: {reason}; this store is not built yet");
        assert!(error.starts_with(&start), "{settings:?}: {error}");
    }
    let database = load(&[("KONG_SQLITE_PATH", "data/gateway.db")]).database;
    assert_eq!(database.sqlite_path, Path::new("/tmp/kong-test/data/gateway.db"));
}

#[test]
fn without_permission_for_the_usual_prefix_one_of_the_user_is_taken() {
    // Root may write anywhere, so only a set prefix and the order can be shown for every user.
    let config = load(&[]);
    assert_eq!(config.prefix.fallback, None);
    let home = tempfile::tempdir().unwrap();
    let prefix = Config::locate_prefix(&options(&[("HOME", &home.path().to_string_lossy())])).unwrap();
    match &prefix.fallback {
        None => assert_eq!(prefix.path, Path::new("/usr/local/kong")),
        Some(reason) => {
            assert_eq!(prefix.path, home.path().join(".local/state/kong"));
            assert!(reason.contains("/usr/local/kong"), "{reason}");
        }
    }
}

#[test]
fn proxy_properties_are_typed() {
    let config = load(&[
        ("KONG_HEADERS", "Via, X-Kong-Proxy-Latency"),
        ("KONG_HEADERS_UPSTREAM", "off"),
        ("KONG_TRUSTED_IPS", "10.0.0.0/8, ::1, unix:"),
        ("KONG_PORT_MAPS", "80:8000, 443:8443"),
        ("KONG_ROUTER_FLAVOR", "expressions"),
        ("KONG_UPSTREAM_KEEPALIVE_POOL_SIZE", "0"),
        ("KONG_UPSTREAM_KEEPALIVE_MAX_REQUESTS", "0"),
        ("KONG_UPSTREAM_KEEPALIVE_IDLE_TIMEOUT", "1.5"),
        ("KONG_WORKER_STATE_UPDATE_FREQUENCY", "0.1"),
        ("KONG_ALLOW_DEBUG_HEADER", "on"),
    ]);
    let proxy = &config.proxy;
    assert!(proxy.headers.via && proxy.headers.proxy_latency && !proxy.headers.server && !proxy.headers.request_id);
    assert!(!proxy.upstream_request_id && proxy.allow_debug_header);
    let trusted = |address: &str| proxy.trusted_ips.contains(address.parse::<IpAddr>().unwrap());
    assert!(trusted("10.1.2.3") && trusted("::1") && !trusted("127.0.0.1") && proxy.trusted_ips.unix);
    assert_eq!(
        proxy.port_maps[1],
        PortMap {
            outside: 443,
            listener: 8443
        }
    );
    assert_eq!(proxy.router_flavor, RouterFlavor::Expressions);
    assert_eq!(proxy.upstream_keepalive.pool_size, 0);
    assert_eq!(proxy.upstream_keepalive.max_requests, None);
    assert_eq!(proxy.upstream_keepalive.idle_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(proxy.state_update_frequency, Duration::from_millis(100));
}

#[test]
fn header_tokens_are_off_only_when_off_comes_first() {
    let tokens = |text: &str| load(&[("KONG_HEADERS", text)]).proxy.headers;
    assert_eq!(tokens("off"), Default::default());
    assert_eq!(tokens("off, via"), Default::default());
    assert!(tokens("Server,off").server);
    let all = tokens("server_tokens, latency_tokens, X-KONG-REQUEST-ID, x-kong-upstream-status");
    assert!(all.server && all.via && all.proxy_latency && all.response_latency && all.admin_latency);
    assert!(all.upstream_latency && all.upstream_status && all.request_id);
}

#[test]
fn server_directives_are_found_by_context() {
    let config = load(&[
        ("KONG_NGINX_HTTP_KEEPALIVE_TIMEOUT", "10s 5s"),
        ("KONG_NGINX_PROXY_KEEPALIVE_TIMEOUT", "20s"),
        ("KONG_NGINX_HTTP_CLIENT_HEADER_TIMEOUT", "1m"),
        ("KONG_NGINX_HTTP_LARGE_CLIENT_HEADER_BUFFERS", "8 16k"),
        ("KONG_NGINX_HTTP_KEEPALIVE_REQUESTS", "5"),
        ("KONG_NGINX_MAIN_WORKER_SHUTDOWN_TIMEOUT", "30s"),
        ("KONG_NGINX_HTTP_CHARSET", "off"),
        ("KONG_NGINX_HTTP_UNDERSCORES_IN_HEADERS", "off"),
        ("KONG_NGINX_HTTP_GZIP", "on"),
        ("KONG_NGINX_HTTP_SEND_TIMEOUT", "NONE"),
        ("KONG_NGINX_HTTP_CLIENT_MAX_BODY_SIZE", "NONE"),
    ]);
    let server = &config.server;
    assert_eq!(server.keepalive_timeout, Duration::from_secs(20));
    assert_eq!(server.client_header_timeout, Duration::from_secs(60));
    assert_eq!(server.large_client_header_buffers, (8, 16 << 10));
    assert_eq!(server.keepalive_requests, 5);
    assert_eq!(server.quit_drain, Some(Duration::from_secs(30)));
    assert_eq!(
        (server.charset.as_deref(), server.underscores_in_headers),
        (None, false)
    );
    assert_eq!(server.send_timeout, Duration::from_secs(60));
    assert_eq!(server.client_max_body_size, Some(1 << 20));
    assert!(
        config
            .warnings
            .iter()
            .any(|warning| warning.starts_with("nginx_http_gzip is ignored"))
    );
}

#[test]
fn without_settings_the_node_is_the_documented_one() {
    let config = load(&[]);
    assert_eq!(config.warnings, [""; 0]);
    assert_eq!(config.role, Role::Traditional);
    let ports = |listeners: &[kong_config::Listener]| listeners.iter().map(|l| (l.port, l.ssl)).collect::<Vec<_>>();
    assert_eq!(ports(&config.listeners.proxy), [(8000, false), (8443, true)]);
    assert_eq!(ports(&config.listeners.admin), [(8001, false), (8444, true)]);
    assert_eq!(ports(&config.listeners.status), [(8007, false)]);
    assert_eq!(config.server.client_body_buffer_size, 8 << 10);
    assert_eq!(config.server.client_max_body_size, None);
    assert_eq!(config.server.admin_max_body_size, Some(10 << 20));
    assert_eq!(
        config.server.worker_processes,
        std::thread::available_parallelism().unwrap().get()
    );
    assert_eq!(config.cache.resurrect_ttl, Duration::from_secs(30));
    assert!(config.plugins.bundled && config.vaults.bundled);
    assert_eq!(config.logs.status_access, None);
    assert_eq!(
        config.logs.proxy_access.unwrap().path,
        Path::new("/tmp/kong-test/logs/access.log")
    );
}

#[test]
fn numbers_that_are_none_count_as_unset_with_a_warning() {
    let config = load(&[("KONG_DB_CACHE_TTL", "soon"), ("KONG_ALLOW_DEBUG_HEADER", "yes")]);
    assert_eq!(config.cache.ttl, Duration::ZERO);
    assert!(
        config
            .warnings
            .iter()
            .any(|warning| warning == "db_cache_ttl is not a number: 'soon'")
    );
    assert!(
        config
            .warnings
            .iter()
            .any(|warning| warning.contains("'yes' means off"))
    );
}

#[test]
fn a_setting_whose_subject_is_not_built_gives_a_warning() {
    let warnings = load(&[
        ("KONG_TRACING_INSTRUMENTATIONS", "all"),
        ("KONG_DNS_RESOLVER", "127.0.0.1"),
    ])
    .warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("tracing_instrumentations has no effect yet: "),
        "{warnings:?}"
    );
}

#[test]
fn a_declarative_document_beside_a_database_gives_a_warning() {
    let document = ("KONG_DECLARATIVE_CONFIG", "/etc/hosts");
    assert_eq!(load(&[document, ("KONG_DATABASE", "off")]).warnings, [""; 0]);
    let warnings = load(&[document]).warnings;
    assert_eq!(
        warnings,
        ["declarative_config has no effect: it is read with database = off only"]
    );
}

#[test]
fn certificates_may_be_files_text_or_base64() {
    use base64::Engine as _;
    let prefix = tempfile::tempdir().unwrap();
    let files = kong_config::certificates::ensure(prefix.path(), kong_config::certificates::Family::Proxy).unwrap();
    let (certificate, key) = (&files[1].certificate, &files[1].key);
    let text = |path: &Path| std::fs::read_to_string(path).unwrap();
    let base64 = |path: &Path| base64::engine::general_purpose::STANDARD.encode(text(path));
    let path = |path: &Path| path.to_string_lossy().into_owned();
    for form in [&path as &dyn Fn(&Path) -> String, &text, &base64] {
        let config = load(&[("KONG_SSL_CERT", &form(certificate)), ("KONG_SSL_CERT_KEY", &form(key))]);
        assert_eq!(config.tls.proxy.len(), 1);
        assert_eq!(config.tls.proxy[0].key.read().unwrap().trim(), text(key).trim());
        // The node of a reload reads the same.
        assert!(!config.env_file_text().contains("# ssl_cert"));
    }
}
