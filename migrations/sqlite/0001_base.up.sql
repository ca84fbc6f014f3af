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
