-- Tables that belong to no entity. Names and columns follow the original's database (times are Unix seconds).

CREATE TABLE cluster_events (
    id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    at REAL NOT NULL,
    nbf REAL,
    expire_at REAL NOT NULL,
    channel TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (at, id)
) WITHOUT ROWID;

-- One row per entity and tag; expires with its entity.
CREATE TABLE tags (
    entity_name TEXT NOT NULL,
    ws_id TEXT NOT NULL,
    tag TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    ttl REAL,
    PRIMARY KEY (entity_name, ws_id, tag, entity_id)
) WITHOUT ROWID;
CREATE INDEX tags_entity_idx ON tags (entity_id, tag);
CREATE INDEX tags_tag_idx ON tags (tag, entity_id);

CREATE TABLE ratelimiting_metrics (
    identifier TEXT NOT NULL,
    period TEXT NOT NULL,
    period_date INTEGER NOT NULL,
    service_id TEXT NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    route_id TEXT NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    value INTEGER NOT NULL,
    ttl REAL,
    PRIMARY KEY (identifier, period, period_date, service_id, route_id)
) WITHOUT ROWID;
CREATE INDEX ratelimiting_metrics_ttl_idx ON ratelimiting_metrics (ttl) WHERE ttl IS NOT NULL;

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT,
    comment TEXT,
    created_at INTEGER,
    updated_at INTEGER,
    meta TEXT,
    config TEXT
);
CREATE UNIQUE INDEX workspaces_name_unique ON workspaces (name);

-- Core entities. A foreign field x is the column x_id; records, maps and lists are JSON text.

CREATE TABLE parameters (
    created_at INTEGER,
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT
);

CREATE TABLE consumers (
    id TEXT PRIMARY KEY NOT NULL,
    created_at INTEGER,
    updated_at INTEGER,
    username TEXT,
    custom_id TEXT,
    tags TEXT,
    ws_id TEXT
);
CREATE UNIQUE INDEX consumers_username_unique ON consumers (username, ws_id);
CREATE UNIQUE INDEX consumers_custom_id_unique ON consumers (custom_id, ws_id);

CREATE TABLE certificates (
    id TEXT PRIMARY KEY NOT NULL,
    created_at INTEGER,
    updated_at INTEGER,
    cert TEXT,
    key TEXT,
    cert_alt TEXT,
    key_alt TEXT,
    tags TEXT,
    ws_id TEXT
);

CREATE TABLE ca_certificates (
    id TEXT PRIMARY KEY NOT NULL,
    created_at INTEGER,
    updated_at INTEGER,
    cert TEXT,
    cert_digest TEXT,
    tags TEXT
);
CREATE UNIQUE INDEX ca_certificates_cert_digest_unique ON ca_certificates (cert_digest);

CREATE TABLE services (
    id TEXT PRIMARY KEY NOT NULL,
    created_at INTEGER,
    updated_at INTEGER,
    name TEXT,
    retries INTEGER,
    protocol TEXT,
    host TEXT,
    port INTEGER,
    path TEXT,
    connect_timeout INTEGER,
    write_timeout INTEGER,
    read_timeout INTEGER,
    tags TEXT,
    client_certificate_id TEXT REFERENCES certificates (id) ON DELETE RESTRICT,
    tls_verify INTEGER,
    tls_verify_depth INTEGER,
    ca_certificates TEXT,
    enabled INTEGER,
    ws_id TEXT
);
CREATE UNIQUE INDEX services_name_unique ON services (name, ws_id);
CREATE INDEX services_client_certificate_id_idx ON services (client_certificate_id, id);

CREATE TABLE routes (
    id TEXT PRIMARY KEY NOT NULL,
    created_at INTEGER,
    updated_at INTEGER,
    name TEXT,
    protocols TEXT,
    https_redirect_status_code INTEGER,
    strip_path INTEGER,
    preserve_host INTEGER,
    request_buffering INTEGER,
    response_buffering INTEGER,
    tags TEXT,
    service_id TEXT REFERENCES services (id) ON DELETE RESTRICT,
    snis TEXT,
    sources TEXT,
    destinations TEXT,
    methods TEXT,
    hosts TEXT,
    paths TEXT,
    headers TEXT,
    regex_priority INTEGER,
    path_handling TEXT,
    expression TEXT,
    priority INTEGER,
    ws_id TEXT
);
CREATE UNIQUE INDEX routes_name_unique ON routes (name, ws_id);
CREATE INDEX routes_service_id_idx ON routes (service_id, id);

CREATE TABLE snis (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT,
    created_at INTEGER,
    updated_at INTEGER,
    tags TEXT,
    certificate_id TEXT REFERENCES certificates (id) ON DELETE RESTRICT,
    ws_id TEXT
);
CREATE UNIQUE INDEX snis_name_unique ON snis (name);
CREATE INDEX snis_certificate_id_idx ON snis (certificate_id, id);

CREATE TABLE upstreams (
    id TEXT PRIMARY KEY NOT NULL,
    created_at INTEGER,
    name TEXT,
    updated_at INTEGER,
    algorithm TEXT,
    hash_on TEXT,
    hash_fallback TEXT,
    hash_on_header TEXT,
    hash_fallback_header TEXT,
    hash_on_cookie TEXT,
    hash_on_cookie_path TEXT,
    hash_on_query_arg TEXT,
    hash_fallback_query_arg TEXT,
    hash_on_uri_capture TEXT,
    hash_fallback_uri_capture TEXT,
    slots INTEGER,
    healthchecks TEXT,
    tags TEXT,
    host_header TEXT,
    client_certificate_id TEXT REFERENCES certificates (id) ON DELETE RESTRICT,
    use_srv_name INTEGER,
    ws_id TEXT
);
CREATE UNIQUE INDEX upstreams_name_unique ON upstreams (name, ws_id);
CREATE INDEX upstreams_client_certificate_id_idx ON upstreams (client_certificate_id, id);

CREATE TABLE targets (
    id TEXT PRIMARY KEY NOT NULL,
    created_at REAL,
    updated_at REAL,
    upstream_id TEXT REFERENCES upstreams (id) ON DELETE CASCADE,
    target TEXT,
    weight INTEGER,
    tags TEXT,
    cache_key TEXT,
    ws_id TEXT
);
CREATE UNIQUE INDEX targets_cache_key_unique ON targets (cache_key);
CREATE INDEX targets_upstream_id_idx ON targets (upstream_id, id);

CREATE TABLE plugins (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT,
    instance_name TEXT,
    created_at INTEGER,
    updated_at INTEGER,
    route_id TEXT REFERENCES routes (id) ON DELETE CASCADE,
    service_id TEXT REFERENCES services (id) ON DELETE CASCADE,
    consumer_id TEXT REFERENCES consumers (id) ON DELETE CASCADE,
    config TEXT,
    protocols TEXT,
    enabled INTEGER,
    tags TEXT,
    cache_key TEXT,
    ws_id TEXT
);
CREATE UNIQUE INDEX plugins_instance_name_unique ON plugins (instance_name, ws_id);
CREATE UNIQUE INDEX plugins_cache_key_unique ON plugins (cache_key);
CREATE INDEX plugins_route_id_idx ON plugins (route_id, id);
CREATE INDEX plugins_service_id_idx ON plugins (service_id, id);
CREATE INDEX plugins_consumer_id_idx ON plugins (consumer_id, id);

CREATE TABLE sm_vaults (
    id TEXT PRIMARY KEY NOT NULL,
    prefix TEXT,
    name TEXT,
    description TEXT,
    config TEXT,
    created_at INTEGER,
    updated_at INTEGER,
    tags TEXT,
    ws_id TEXT
);
CREATE UNIQUE INDEX sm_vaults_prefix_unique ON sm_vaults (prefix);

CREATE TABLE key_sets (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT,
    tags TEXT,
    created_at INTEGER,
    updated_at INTEGER,
    ws_id TEXT
);
CREATE UNIQUE INDEX key_sets_name_unique ON key_sets (name, ws_id);

CREATE TABLE keys (
    id TEXT PRIMARY KEY NOT NULL,
    set_id TEXT REFERENCES key_sets (id) ON DELETE CASCADE,
    name TEXT,
    kid TEXT,
    jwk TEXT,
    pem TEXT,
    tags TEXT,
    created_at INTEGER,
    updated_at INTEGER,
    cache_key TEXT,
    ws_id TEXT
);
CREATE UNIQUE INDEX keys_name_unique ON keys (name, ws_id);
CREATE UNIQUE INDEX keys_cache_key_unique ON keys (cache_key);
CREATE INDEX keys_set_id_idx ON keys (set_id, id);

CREATE TABLE filter_chains (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT,
    enabled INTEGER,
    route_id TEXT REFERENCES routes (id) ON DELETE CASCADE,
    service_id TEXT REFERENCES services (id) ON DELETE CASCADE,
    filters TEXT,
    created_at INTEGER,
    updated_at INTEGER,
    tags TEXT,
    cache_key TEXT,
    ws_id TEXT
);
CREATE UNIQUE INDEX filter_chains_name_unique ON filter_chains (name, ws_id);
CREATE UNIQUE INDEX filter_chains_route_unique ON filter_chains (route_id, ws_id);
CREATE UNIQUE INDEX filter_chains_service_unique ON filter_chains (service_id, ws_id);
CREATE UNIQUE INDEX filter_chains_cache_key_unique ON filter_chains (cache_key);
CREATE INDEX filter_chains_route_id_idx ON filter_chains (route_id, id);
CREATE INDEX filter_chains_service_id_idx ON filter_chains (service_id, id);

CREATE TABLE clustering_data_planes (
    id TEXT PRIMARY KEY NOT NULL,
    last_seen INTEGER,
    updated_at INTEGER,
    ip TEXT,
    config_hash TEXT,
    hostname TEXT,
    version TEXT,
    sync_status TEXT,
    labels TEXT,
    cert_details TEXT,
    rpc_capabilities TEXT,
    ttl REAL
);
CREATE INDEX clustering_data_planes_ttl_idx ON clustering_data_planes (ttl) WHERE ttl IS NOT NULL;
