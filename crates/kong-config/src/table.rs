//! The one declaration of every property. `kong.conf.default`, the documentation table, parsing, defaults, redaction
//! and the refusal of what is not built yet all come from here.

use crate::property::Kind::{Boolean, Choice, Flag, List, Listeners, Number, Text};
use crate::property::{Property, Section, Subsystem};

const fn p(name: &'static str, kind: crate::property::Kind, default: &'static str, doc: &'static str) -> Property {
    Property::new(name, kind, default, doc)
}

const ONE_ERROR_LOG: &str = "all messages of the process go to `proxy_error_log`";
const NO_STREAM: &str = "stream (TCP, TLS, UDP) proxying is not built yet";
const NO_HYBRID: &str = "hybrid mode is not built yet";
const NO_LUA: &str = "the host for Lua plugins is not built yet";
const NO_LUA_VM: &str = "tunes the Lua virtual machine of the original, which is absent here";
const NO_WASM: &str = "WebAssembly filters are not built yet";
const NO_MANAGER: &str = "the Manager UI is not built yet; the listener is accepted and not opened";
const NO_POSTGRES: &str = "the Postgres store is not built yet";
const NO_CASSANDRA: &str = "the Cassandra store is not built yet";
const NO_NGINX: &str = "tunes nginx, which is absent here";
const NO_TRACING: &str = "tracing spans are not built yet";
const NO_UPSTREAM_CLIENT_CERTIFICATE: &str = "sending a client certificate to upstreams is not built yet";
const TICKETS: &str = "sessions are always resumed by tickets, whose keys change every few hours";
const NO_ACCESS_LOG: &str = "only proxied requests are logged so far";
const ALL_ITEMS: &str = "all of them are looked at so far";
const ONLY_CUSTOM: &str = "is read only with `ssl_cipher_suite = custom`, which is not built yet";

const ROLES: &[&str] = &["traditional", "control_plane", "data_plane"];
const LOG_LEVELS: &[&str] = &["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"];
const CONSISTENCIES: &[&str] =
    &["ALL", "EACH_QUORUM", "QUORUM", "LOCAL_QUORUM", "ONE", "TWO", "THREE", "LOCAL_ONE"];
const BALANCING: &[&str] = &["RoundRobin", "RequestRoundRobin", "DCAwareRoundRobin", "RequestDCAwareRoundRobin"];
const CIPHER_SUITES: &[&str] = &["modern", "intermediate", "old", "fips", "custom"];
const ERROR_TYPES: &[&str] = &["application/json", "application/xml", "text/html", "text/plain"];

/// Every property, in the order of `kong.conf`.
pub const SECTIONS: &[Section] = &[
    Section { title: "General", about: "", properties: GENERAL },
    Section {
        title: "Hybrid mode",
        about: "A control plane holds the configuration, data planes serve the traffic.",
        properties: HYBRID,
    },
    Section {
        title: "Listeners and server",
        about: "A listener is `<address>:<port>` and flags; several are separated by commas; `off` opens none. IPv6 \
                addresses stand in brackets. Flags: ssl, http2, proxy_protocol, deferred, bind, reuseport, \
                backlog=N, ipv6only=on|off, so_keepalive=on|off|idle:interval:count (stream listeners: udp, without \
                http2 and deferred). http2, deferred and bind are accepted and have no effect yet; proxy_protocol is \
                refused.",
        properties: LISTENERS,
    },
    Section {
        title: "TLS",
        about: "Certificates and keys may be given as a path, as PEM text, or as base64 of PEM text. A family \
                (proxy, admin, status) with a TLS listener and no certificate gets self-signed ones under the prefix.",
        properties: TLS,
    },
    Section { title: "Proxy behaviour", about: "", properties: PROXY },
    Section {
        title: "Server directives",
        about: "`nginx_<context>_<directive>` sets what nginx directives of that name set; contexts are main, events, \
                http, upstream, proxy, location, admin, status, stream, supstream and sproxy. The value NONE means \
                the built-in default. Directives that are honoured: see the table of server directives in \
                docs/configuration.md; those that decide who may connect or what is verified are refused, others are \
                ignored with a warning.",
        properties: DIRECTIVES,
    },
    Section {
        title: "Datastore",
        about: "Where the configuration is kept. Left unset, `database` is `postgres` when a pg_* property is set, \
                `cassandra` when a cassandra_* property is, else `sqlite`: a file under the prefix that needs no \
                server.",
        properties: DATASTORE,
    },
    Section { title: "Entity cache and cluster events", about: "", properties: CACHE },
    Section { title: "DNS", about: "How upstream names are resolved.", properties: DNS },
    Section { title: "Vaults, Lua and WebAssembly", about: "", properties: EXTENSIONS },
];

const GENERAL: &[Property] = &[
    p("prefix", Text, "/usr/local/kong/", "Working directory: process id, logs, generated certificates, the SQLite \
       file. Left unset and not writable for the user who starts the node, `$XDG_STATE_HOME/kong` or \
       `~/.local/state/kong` is used and named at start."),
    p("log_level", Choice(LOG_LEVELS), "notice", "The least severe messages that are logged."),
    p("proxy_access_log", Text, "logs/access.log", "Where proxied requests are logged; `off`: nowhere. Relative to \
       the prefix. The name of a format may follow the path."),
    p("proxy_error_log", Text, "logs/error.log", "Where the process logs its messages. In the foreground the \
       messages go to standard error unless this is set to something else than its default."),
    p("proxy_stream_access_log", Text, "logs/access.log basic", "Access log of stream listeners.").not_yet(NO_STREAM),
    p("proxy_stream_error_log", Text, "logs/error.log", "Error log of stream listeners.").no_effect(ONE_ERROR_LOG),
    p("admin_access_log", Text, "logs/admin_access.log", "Access log of the Admin API; `off`: none.").not_yet(NO_ACCESS_LOG),
    p("admin_error_log", Text, "logs/error.log", "Error log of the Admin API.").no_effect(ONE_ERROR_LOG),
    p("admin_gui_access_log", Text, "logs/admin_gui_access.log", "Access log of the Manager UI.").not_yet(NO_MANAGER),
    p("admin_gui_error_log", Text, "logs/admin_gui_error.log", "Error log of the Manager UI.").no_effect(ONE_ERROR_LOG),
    p("status_access_log", Text, "off", "Access log of the Status API; `off`: none.").not_yet(NO_ACCESS_LOG),
    p("status_error_log", Text, "logs/status_error.log", "Error log of the Status API.").no_effect(ONE_ERROR_LOG),
    p("vaults", List, "bundled", "Kinds of vaults that may be used: `bundled` (env), names, or `off`.")
        .not_yet("the kinds are not restricted so far"),
    p("plugins", List, "bundled", "Plugins that may be configured: `bundled`, names, or `off`. The node does not \
       start when a stored plugin is not among them."),
    p("pluginserver_names", List, "", "Names of external plugin servers, each with `pluginserver_<name>_socket`, \
       `_start_cmd` and `_query_cmd`.").not_yet("external plugin servers are not built yet"),
    p("port_maps", List, "", "`<outside port>:<listener port>` pairs, for nodes behind a port mapping."),
    p("anonymous_reports", Boolean, "on", "Usage reports.").no_effect("this gateway never sends any"),
    p("proxy_server", Text, "", "Forward proxy (URL) for connections that are told to use one.").secret()
        .not_yet(NO_HYBRID),
    p("proxy_server_ssl_verify", Boolean, "on", "Verify the forward proxy's certificate.").refused(NO_HYBRID),
    p("error_template_html", Text, "", "File with the template of HTML error pages: the first `%s` becomes the \
       message, the second the request id."),
    p("error_template_json", Text, "", "Template file of JSON errors."),
    p("error_template_xml", Text, "", "Template file of XML errors."),
    p("error_template_plain", Text, "", "Template file of plain-text errors."),
    p("node_id", Text, "", "UUID of this node; unset: a new one at every start."),
    p("dedicated_config_processing", Boolean, "on", "A process of its own for configuration on data planes.")
        .aliases(&["privileged_worker"]).no_effect("configuration is always processed off the request path"),
    p("tracing_instrumentations", List, "off", "What produces tracing spans: off, all, request, db_query, dns_query, \
       router, http_client, balancer, plugin_rewrite, plugin_access, plugin_header_filter.")
        .aliases(&["opentelemetry_tracing"]).not_yet(NO_TRACING),
    p("tracing_sampling_rate", Number, "0.01", "Share of traces that are kept, 0 to 1.")
        .aliases(&["opentelemetry_tracing_sampling_rate"]).not_yet(NO_TRACING),
    p("request_debug", Boolean, "on", "Answer `X-Kong-Request-Debug` with where the time went.")
        .not_yet("request debugging is not built yet"),
    p("request_debug_token", Text, "", "Token for request debugging from other hosts; unset: random.").secret()
        .not_yet("request debugging is not built yet"),
    p("allow_debug_header", Boolean, "off", "Answer `Kong-Debug: 1` with the matched route and service."),
    p("kic", Boolean, "off", "Set by the ingress controller.").no_effect("used for usage reports only"),
];

const HYBRID: &[Property] = &[
    p("role", Choice(ROLES), "traditional", "What this node does.").refused(NO_HYBRID),
    p("cluster_mtls", Choice(&["shared", "pki"]), "shared", "How control and data planes trust each other.")
        .refused(NO_HYBRID),
    p("cluster_cert", Text, "", "Certificate shared by the planes.").pem().refused(NO_HYBRID),
    p("cluster_cert_key", Text, "", "Its key.").pem().secret().refused(NO_HYBRID),
    p("cluster_ca_cert", Text, "", "Authority that signed the data planes' certificates (pki).").pem()
        .refused(NO_HYBRID),
    p("cluster_server_name", Text, "", "Name to verify in the control plane's certificate (pki).").refused(NO_HYBRID),
    p("cluster_control_plane", Text, "127.0.0.1:8005", "Where a data plane finds its control plane.")
        .refused(NO_HYBRID),
    p("cluster_listen", Listeners(Subsystem::Http), "0.0.0.0:8005", "Where a control plane listens for data planes.")
        .refused_except(NO_HYBRID, &["off"]),
    p("cluster_data_plane_purge_delay", Number, "1209600", "Seconds after which a silent data plane is forgotten.")
        .refused(NO_HYBRID),
    p("cluster_ocsp", Choice(&["on", "off", "optional"]), "off", "Check data planes' certificates with OCSP.")
        .refused(NO_HYBRID),
    p("cluster_max_payload", Number, "16777216", "Largest message between the planes, bytes.").refused(NO_HYBRID),
    p("cluster_use_proxy", Boolean, "off", "Reach the control plane through `proxy_server`.").refused(NO_HYBRID),
    p("cluster_dp_labels", List, "", "Labels of this data plane, `key:value`.").refused(NO_HYBRID),
    p("cluster_rpc", Boolean, "off", "The second generation of the protocol.").refused(NO_HYBRID),
    p("cluster_incremental_sync", Boolean, "off", "Incremental synchronisation (needs `cluster_rpc`).")
        .refused(NO_HYBRID),
    p("cluster_cjson", Boolean, "off", "Which JSON decoder data planes use.").no_effect("there is one JSON decoder"),
];

const LISTENERS: &[Property] = &[
    p("proxy_listen", Listeners(Subsystem::Http),
      "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384",
      "Where traffic is accepted."),
    p("stream_listen", Listeners(Subsystem::Stream), "off", "Where TCP, TLS and UDP traffic is accepted.")
        .refused(NO_STREAM),
    p("admin_listen", Listeners(Subsystem::Http),
      "127.0.0.1:8001 reuseport backlog=16384, 127.0.0.1:8444 http2 ssl reuseport backlog=16384",
      "Where the Admin API is served. Whoever reaches it controls the gateway."),
    p("admin_gui_listen", Listeners(Subsystem::Http), "0.0.0.0:8002, 0.0.0.0:8445 ssl", "Where the Manager UI is \
       served.").not_yet(NO_MANAGER),
    p("status_listen", Listeners(Subsystem::Http), "127.0.0.1:8007 reuseport backlog=16384",
      "Where the Status API is served."),
    p("admin_gui_url", List, "", "Origins from which the Manager UI calls the Admin API."),
    p("admin_gui_path", Text, "/", "Path under which the Manager UI is served.").not_yet(NO_MANAGER),
    p("admin_gui_api_url", Text, "", "Where the Manager UI finds the Admin API.").not_yet(NO_MANAGER),
    p("nginx_user", Text, "kong kong", "Account and group of the server.").aliases(&["nginx_main_user"])
        .no_effect("the process keeps the account that started it"),
    p("nginx_worker_processes", Text, "auto", "Number of workers (threads, one event loop each); `auto`: one per \
       core.").aliases(&["nginx_main_worker_processes"]),
    p("nginx_daemon", Flag, "on", "`off` keeps the node in the foreground.").aliases(&["nginx_main_daemon"]),
    p("nginx_main_worker_rlimit_nofile", Text, "auto", "Open files per worker.").no_effect(
        "the limit of the process is used"),
    p("nginx_events_worker_connections", Text, "auto", "Connections per worker.").no_effect(
        "the limit on open files is the bound"),
    p("nginx_events_multi_accept", Flag, "on", "Accept several connections at once.").no_effect(NO_NGINX),
    p("mem_cache_size", Text, "128m", "Memory for cached entities."),
    p("worker_events_max_payload", Number, "65535", "Largest message between workers, bytes.")
        .no_effect("workers share memory"),
    p("openresty_path", Text, "", "Where OpenResty is installed.").no_effect(NO_NGINX),
    p("shutdown_drain_timeout", Number, "0", "Seconds that SIGTERM gives requests in flight before the node stops \
       (0: none, as in the original). A property of this gateway, for orchestrators that send SIGTERM only."),
];

const TLS: &[Property] = &[
    p("ssl_cert", List, "", "Certificates of the proxy listeners (one per kind of key).").pem(),
    p("ssl_cert_key", List, "", "Their keys, in the same order.").pem().secret(),
    p("admin_ssl_cert", List, "", "Certificates of the Admin API.").pem(),
    p("admin_ssl_cert_key", List, "", "Their keys.").pem().secret(),
    p("admin_gui_ssl_cert", List, "", "Certificates of the Manager UI.").pem().not_yet(NO_MANAGER),
    p("admin_gui_ssl_cert_key", List, "", "Their keys.").pem().secret().not_yet(NO_MANAGER),
    p("status_ssl_cert", List, "", "Certificates of the Status API.").pem(),
    p("status_ssl_cert_key", List, "", "Their keys.").pem().secret(),
    p("client_ssl", Boolean, "off", "Send a certificate of this node to TLS upstreams.")
        .refused(NO_UPSTREAM_CLIENT_CERTIFICATE),
    p("client_ssl_cert", Text, "", "That certificate.").pem().no_effect("is read only with `client_ssl = on`"),
    p("client_ssl_cert_key", Text, "", "Its key.").pem().secret().no_effect("is read only with `client_ssl = on`"),
    p("ssl_cipher_suite", Choice(CIPHER_SUITES), "intermediate", "`modern`: TLS 1.3 only; `intermediate`: TLS 1.2 \
       and 1.3 with forward secrecy; old, fips, custom.")
        .refused("only the intermediate suite is built yet"),
    p("ssl_ciphers", Text, "", "Ciphers (custom suite).").no_effect(ONLY_CUSTOM),
    p("ssl_protocols", Text, "TLSv1.2 TLSv1.3", "Protocol versions (custom suite).").no_effect(ONLY_CUSTOM),
    p("ssl_prefer_server_ciphers", Flag, "on", "The server's order of ciphers wins (custom suite).")
        .no_effect(ONLY_CUSTOM),
    p("ssl_dhparam", Text, "", "Diffie-Hellman parameters.").no_effect("only elliptic-curve key exchange is offered"),
    p("ssl_session_tickets", Flag, "on", "Resume TLS sessions by tickets.").not_yet(TICKETS),
    p("ssl_session_timeout", Text, "1d", "How long a TLS session may be resumed.").not_yet(TICKETS),
    p("ssl_session_cache_size", Text, "10m", "Memory for resumable TLS sessions.").no_effect(TICKETS),
];

const PROXY: &[Property] = &[
    p("headers", List, "server_tokens, latency_tokens, x-kong-request-id", "Headers added to responses: \
       server_tokens (Server, Via), latency_tokens (X-Kong-Proxy-Latency, X-Kong-Response-Latency, \
       X-Kong-Admin-Latency, X-Kong-Upstream-Latency), any of those by name, X-Kong-Upstream-Status, \
       X-Kong-Request-Id, or `off`."),
    p("headers_upstream", List, "x-kong-request-id", "Headers added to requests sent upstream: X-Kong-Request-Id or \
       `off`."),
    p("trusted_ips", List, "", "Addresses (CIDR blocks, or `unix:`) whose X-Forwarded-* headers are believed."),
    p("real_ip_header", Text, "X-Real-IP", "Header from which a trusted peer's client address is taken.")
        .aliases(&["nginx_proxy_real_ip_header"]),
    p("real_ip_recursive", Flag, "off", "Skip trusted addresses in that header, from the right.")
        .aliases(&["nginx_proxy_real_ip_recursive"]),
    p("error_default_type", Choice(ERROR_TYPES), "text/plain", "Type of error bodies for clients that accept \
       anything."),
    p("upstream_keepalive_pool_size", Number, "512", "Idle connections kept per upstream and worker; 0: none."),
    p("upstream_keepalive_max_requests", Number, "10000", "Requests after which an upstream connection is closed; 0: \
       no limit."),
    p("upstream_keepalive_idle_timeout", Number, "60", "Seconds after which an idle upstream connection is closed; \
       0: never."),
    p("lua_max_req_headers", Number, "100", "Request headers that are looked at by the router and plugins (1 to \
       1000).").not_yet(ALL_ITEMS),
    p("lua_max_resp_headers", Number, "100", "Response headers that plugins see (1 to 1000).").not_yet(ALL_ITEMS),
    p("lua_max_uri_args", Number, "100", "Query arguments that plugins see (1 to 1000).").not_yet(ALL_ITEMS),
    p("lua_max_post_args", Number, "100", "Form arguments that plugins see (1 to 1000).").not_yet(ALL_ITEMS),
    p("router_flavor", Choice(&["traditional", "traditional_compatible", "expressions"]), "traditional_compatible",
      "How routes are written and matched."),
    p("worker_consistency", Choice(&["strict", "eventual"]), "eventual", "`strict` is deprecated.")
        .aliases(&["router_consistency"])
        .no_effect("a change is always visible to the next request on the node that took it"),
    p("worker_state_update_frequency", Number, "5", "Seconds between looks for pending router changes (> 0).")
        .no_effect("changes are applied at once"),
];

const DIRECTIVES: &[Property] = &[
    p("client_body_buffer_size", Text, "8k", "Request bodies up to this size are kept in memory, larger ones in a \
       temporary file.").aliases(&["nginx_proxy_client_body_buffer_size", "nginx_http_client_body_buffer_size"]),
    p("client_max_body_size", Text, "0", "Largest request body; 0: no limit.")
        .aliases(&["nginx_proxy_client_max_body_size", "nginx_http_client_max_body_size"]),
    p("nginx_http_charset", Text, "UTF-8", "Charset added to textual types that name none; `off`: none."),
    p("nginx_http_keepalive_requests", Number, "10000", "Requests on one client connection.")
        .aliases(&["nginx_proxy_keepalive_requests"]),
    p("nginx_admin_client_max_body_size", Text, "10m", "Largest body of an Admin API request."),
    p("nginx_admin_client_body_buffer_size", Text, "10m", "Admin API bodies kept in memory.")
        .no_effect("Admin API bodies are always kept in memory, up to nginx_admin_client_max_body_size"),
    p("nginx_http_lua_regex_match_limit", Number, "100000", "Steps of one regular expression.")
        .no_effect("regular expressions run in linear time"),
    p("nginx_http_lua_regex_cache_max_entries", Number, "8192", "Cached regular expressions.").no_effect(NO_LUA_VM),
];

const DATASTORE: &[Property] = &[
    p("database", Choice(&["postgres", "cassandra", "sqlite", "off"]), "", "postgres, cassandra, sqlite, or off \
       (DB-less). Postgres and Cassandra are not built yet: a node that is told to use them refuses to start."),
    p("sqlite_path", Text, "kong.sqlite", "The SQLite file, relative to the prefix. A property of this gateway."),
    p("pg_host", Text, "127.0.0.1", "Host of the Postgres server.").not_yet(NO_POSTGRES),
    p("pg_port", Number, "5432", "Its port.").not_yet(NO_POSTGRES),
    p("pg_timeout", Number, "5000", "Milliseconds to connect, read and write.").not_yet(NO_POSTGRES),
    p("pg_user", Text, "kong", "Account.").not_yet(NO_POSTGRES),
    p("pg_password", Text, "", "Its password.").secret().not_yet(NO_POSTGRES),
    p("pg_database", Text, "kong", "Name of the database.").not_yet(NO_POSTGRES),
    p("pg_schema", Text, "", "Schema; unset: the connection's search path.").not_yet(NO_POSTGRES),
    p("pg_ssl", Boolean, "off", "Connect with TLS.").not_yet(NO_POSTGRES),
    p("pg_ssl_verify", Boolean, "off", "Verify the server's certificate.").not_yet(NO_POSTGRES),
    p("pg_max_concurrent_queries", Number, "0", "Queries at a time; 0: no limit.").not_yet(NO_POSTGRES),
    p("pg_semaphore_timeout", Number, "60000", "Milliseconds that a query waits for its turn.").not_yet(NO_POSTGRES),
    p("pg_keepalive_timeout", Number, "", "Milliseconds that an idle connection is kept.").not_yet(NO_POSTGRES),
    p("pg_pool_size", Number, "", "Connections kept.").not_yet(NO_POSTGRES),
    p("pg_backlog", Number, "", "Connections that may wait for a free one.").not_yet(NO_POSTGRES),
    p("pg_ro_host", Text, "", "Host of a read replica; what is not set below is as for the primary.")
        .not_yet(NO_POSTGRES),
    p("pg_ro_port", Number, "", "Its port.").not_yet(NO_POSTGRES),
    p("pg_ro_timeout", Number, "", "Milliseconds.").not_yet(NO_POSTGRES),
    p("pg_ro_user", Text, "", "Account.").not_yet(NO_POSTGRES),
    p("pg_ro_password", Text, "", "Its password.").secret().not_yet(NO_POSTGRES),
    p("pg_ro_database", Text, "", "Name of the database.").not_yet(NO_POSTGRES),
    p("pg_ro_schema", Text, "", "Schema.").not_yet(NO_POSTGRES),
    p("pg_ro_ssl", Boolean, "", "Connect with TLS.").not_yet(NO_POSTGRES),
    p("pg_ro_ssl_verify", Boolean, "", "Verify the server's certificate.").not_yet(NO_POSTGRES),
    p("pg_ro_max_concurrent_queries", Number, "", "Queries at a time.").not_yet(NO_POSTGRES),
    p("pg_ro_semaphore_timeout", Number, "", "Milliseconds that a query waits for its turn.").not_yet(NO_POSTGRES),
    p("pg_ro_keepalive_timeout", Number, "", "Milliseconds that an idle connection is kept.").not_yet(NO_POSTGRES),
    p("pg_ro_pool_size", Number, "", "Connections kept.").not_yet(NO_POSTGRES),
    p("pg_ro_backlog", Number, "", "Connections that may wait for a free one.").not_yet(NO_POSTGRES),
    p("_debug_pg_ttl_cleanup_interval", Number, "300", "Seconds between deletions of expired rows.")
        .not_yet(NO_POSTGRES),
    p("cassandra_contact_points", List, "127.0.0.1", "Hosts of the cluster.").not_yet(NO_CASSANDRA),
    p("cassandra_port", Number, "9042", "Their port.").not_yet(NO_CASSANDRA),
    p("cassandra_keyspace", Text, "kong", "Keyspace.").not_yet(NO_CASSANDRA),
    p("cassandra_write_consistency", Choice(CONSISTENCIES), "ONE", "Consistency of writes.")
        .aliases(&["cassandra_consistency"]).not_yet(NO_CASSANDRA),
    p("cassandra_read_consistency", Choice(CONSISTENCIES), "ONE", "Consistency of reads.")
        .aliases(&["cassandra_consistency"]).not_yet(NO_CASSANDRA),
    p("cassandra_timeout", Number, "5000", "Milliseconds to connect, read and write.").not_yet(NO_CASSANDRA),
    p("cassandra_ssl", Boolean, "off", "Connect with TLS.").not_yet(NO_CASSANDRA),
    p("cassandra_ssl_verify", Boolean, "off", "Verify the servers' certificates.").not_yet(NO_CASSANDRA),
    p("cassandra_username", Text, "kong", "Account, used when a password is set too.").not_yet(NO_CASSANDRA),
    p("cassandra_password", Text, "", "Its password.").secret().not_yet(NO_CASSANDRA),
    p("cassandra_lb_policy", Choice(BALANCING), "RequestRoundRobin", "Which server coordinates a query.")
        .not_yet(NO_CASSANDRA),
    p("cassandra_local_datacenter", Text, "", "Nearest datacentre (for the DCAware policies).").not_yet(NO_CASSANDRA),
    p("cassandra_refresh_frequency", Number, "60", "Seconds between looks at the topology; 0: never.")
        .not_yet(NO_CASSANDRA),
    p("cassandra_repl_strategy", Choice(&["SimpleStrategy", "NetworkTopologyStrategy"]), "SimpleStrategy",
      "How a new keyspace is replicated.").not_yet(NO_CASSANDRA),
    p("cassandra_repl_factor", Number, "1", "Copies (SimpleStrategy).").not_yet(NO_CASSANDRA),
    p("cassandra_data_centers", List, "dc1:2,dc2:3", "Copies per datacentre (NetworkTopologyStrategy).")
        .not_yet(NO_CASSANDRA),
    p("cassandra_schema_consensus_timeout", Number, "10000", "Milliseconds that migrations wait for agreement.")
        .not_yet(NO_CASSANDRA),
    p("declarative_config", Text, "", "File with the whole configuration, for `database = off`."),
    p("declarative_config_string", Text, "", "The same, as text.").secret(),
    p("lmdb_environment_path", Text, "dbless.lmdb", "Where DB-less nodes keep their configuration.")
        .no_effect("DB-less configuration is kept in memory"),
    p("lmdb_map_size", Text, "2048m", "Largest size of it.").no_effect("DB-less configuration is kept in memory"),
];

const CACHE: &[Property] = &[
    p("db_update_frequency", Number, "5", "Seconds between looks for changes made by other nodes."),
    p("db_update_propagation", Number, "0", "Seconds that a change is held back, for replicated databases.")
        .not_yet("no replicated database can be used yet"),
    p("db_cache_ttl", Number, "0", "Seconds that an entity stays cached; 0: until it changes."),
    p("db_cache_neg_ttl", Number, "", "The same for the fact that there is none; unset: as `db_cache_ttl`."),
    p("db_resurrect_ttl", Number, "30", "Seconds that an expired entity is used while the database fails."),
    p("db_cache_warmup_entities", List, "services", "Entities loaded into the cache at start.")
        .no_effect("services, routes and plugins are always in memory"),
];

const DNS: &[Property] = &[
    p("dns_resolver", List, "", "Name servers, `<ip>[:<port>]`; unset: those of the system."),
    p("dns_hostsfile", Text, "/etc/hosts", "File of static names."),
    p("dns_order", List, "LAST, SRV, A, CNAME", "Record types in the order in which they are tried: LAST, SRV, A, \
       AAAA, CNAME."),
    p("dns_valid_ttl", Number, "", "Seconds that an answer is kept, whatever it says itself."),
    p("dns_stale_ttl", Number, "3600", "Seconds that an expired answer is used while it is refreshed."),
    p("dns_cache_size", Number, "10000", "Answers kept per worker."),
    p("dns_not_found_ttl", Number, "30", "Seconds that an empty answer is kept."),
    p("dns_error_ttl", Number, "1", "Seconds that a failure is kept."),
    p("dns_no_sync", Boolean, "off", "Ask once per request instead of once for all that wait.")
        .no_effect("one question at a time serves all that wait for a name"),
    p("new_dns_client", Boolean, "off", "The second DNS client, with the resolver_* properties."),
    p("resolver_address", List, "", "Name servers of the second client."),
    p("resolver_hosts_file", Text, "/etc/hosts", "File of static names."),
    p("resolver_family", List, "A, SRV", "Record types that are asked for: A, AAAA, SRV."),
    p("resolver_valid_ttl", Number, "", "Seconds that an answer is kept, whatever it says itself."),
    p("resolver_error_ttl", Number, "1", "Seconds that failures and empty answers are kept."),
    p("resolver_stale_ttl", Number, "3600", "Seconds that an expired answer is used."),
    p("resolver_lru_cache_size", Number, "10000", "Answers kept per worker."),
    p("resolver_mem_cache_size", Text, "5m", "Memory for answers.")
        .no_effect("answers are counted, not measured"),
];

const EXTENSIONS: &[Property] = &[
    p("vault_env_prefix", Text, "", "Put before the names that `{vault://env/…}` looks up in the environment."),
    p("lua_ssl_trusted_certificate", List, "system", "Authorities that the gateway's own connections trust: \
       `system`, paths, or PEM text.").refused("trusting other authorities than the system's is not built yet"),
    p("lua_ssl_verify_depth", Number, "1", "Longest chain of certificates for those connections.").no_effect(
        "chains are verified to the end, at any length"),
    p("lua_ssl_protocols", Text, "TLSv1.2 TLSv1.3", "Protocol versions for those connections.")
        .refused("choosing TLS versions of the gateway's own connections is not built yet"),
    p("lua_socket_pool_size", Number, "256", "Idle connections kept by Lua code.").no_effect(NO_LUA_VM),
    p("lua_package_path", Text, "./?.lua;./?/init.lua;", "Where Lua modules are searched.").not_yet(NO_LUA),
    p("lua_package_cpath", Text, "", "Where compiled Lua modules are searched.").not_yet(NO_LUA),
    p("untrusted_lua", Choice(&["on", "off", "sandbox"]), "sandbox", "What Lua code in plugin configurations may \
       do.").not_yet(NO_LUA),
    p("untrusted_lua_sandbox_requires", List, "", "Modules that sandboxed code may load.").not_yet(NO_LUA),
    p("untrusted_lua_sandbox_environment", List, "", "Globals that sandboxed code may use.").not_yet(NO_LUA),
    p("wasm", Boolean, "off", "WebAssembly filters.").refused(NO_WASM),
    p("wasm_filters_path", Text, "", "Where filters are found.").not_yet(NO_WASM),
    p("wasm_filters", List, "bundled, user", "Filters that may be used.").not_yet(NO_WASM),
    p("wasm_dynamic_module", Text, "", "The nginx module of the original.").no_effect(NO_NGINX),
];

/// Every property, in order.
pub fn properties() -> impl Iterator<Item = &'static Property> {
    SECTIONS.iter().flat_map(|section| section.properties)
}

/// The property of this name (not an alias).
pub fn property(name: &str) -> Option<&'static Property> {
    properties().find(|property| property.name == name)
}

/// Beginnings of names that are not declared one by one.
pub const DYNAMIC_PREFIXES: &[&str] = &[
    "nginx_main_", "nginx_events_", "nginx_http_", "nginx_upstream_", "nginx_proxy_", "nginx_location_",
    "nginx_admin_", "nginx_status_", "nginx_stream_", "nginx_supstream_", "nginx_sproxy_", "nginx_wasm_",
    "pluginserver_", "vault_",
];
