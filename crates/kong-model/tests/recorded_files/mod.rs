//! Files recorded from the original, and the plugin that the tests use.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kong_model::PluginSchema;
use kong_schema::{AsRecord, HTTP_PROTOCOLS, PluginScopes, Record, plugin_schema};
use serde_json::Value;

pub fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance")
}

pub fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

#[derive(Record)]
struct KeyAuth {
    #[kong(required, default = ["apikey"], elements(kind = "header_name"))]
    key_names: Vec<String>,
    #[kong(required, default = false)]
    hide_credentials: bool,
    anonymous: Option<String>,
    #[kong(required, default = true)]
    key_in_header: bool,
    #[kong(required, default = true)]
    key_in_query: bool,
    #[kong(required, default = false)]
    key_in_body: bool,
    #[kong(required, default = true)]
    run_on_preflight: bool,
    #[kong(optional)]
    realm: Option<String>,
}

pub fn key_auth() -> PluginSchema {
    let schema = plugin_schema(
        "key-auth",
        KeyAuth::record(),
        PluginScopes::NO_CONSUMER,
        HTTP_PROTOCOLS,
        HTTP_PROTOCOLS,
        Vec::new(),
    );
    PluginSchema {
        name: "key-auth".into(),
        version: "3.9.3".into(),
        priority: 1250,
        schema: Arc::new(schema),
    }
}
