//! Rules of properties whose subject is not built yet, so that a wrong value is found today.

use crate::checks::Reader;

const TRACING_TYPES: &[&str] = &[
    "off",
    "all",
    "request",
    "db_query",
    "dns_query",
    "router",
    "http_client",
    "balancer",
    "plugin_rewrite",
    "plugin_access",
    "plugin_header_filter",
];

pub(crate) fn check(reader: &mut Reader<'_>) {
    check_tracing(reader);
    reader.read("proxy_server", proxy_server);
    reader.read("admin_gui_path", admin_gui_path);
}

fn check_tracing(reader: &mut Reader<'_>) {
    let kinds = reader.values.list("tracing_instrumentations");
    for kind in &kinds {
        if !TRACING_TYPES.contains(&kind.as_str()) {
            reader.invalid(format!("invalid tracing type: {kind}"));
        }
    }
    if kinds.len() > 1 && kinds.iter().any(|kind| kind == "off") {
        reader.invalid("invalid tracing types: off, other types are mutually exclusive");
    }
    if reader
        .values
        .number("tracing_sampling_rate")
        .is_some_and(|rate| !(0.0..=1.0).contains(&rate))
    {
        reader.invalid("tracing_sampling_rate must be between 0 and 1");
    }
}

/// `http[s]://[user:password@]host[:port]` and nothing after it.
fn proxy_server(url: &str) -> Result<(), String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err("proxy_server missing scheme".into());
    };
    if scheme != "http" && scheme != "https" {
        return Err(format!(
            "proxy_server only supports \"http\" and \"https\", got {scheme}"
        ));
    }
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#', ';']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let name = host.split(':').next().unwrap_or_default();
    if name.is_empty() {
        return Err("proxy_server missing host".into());
    }
    if after.contains(['?', '#', ';']) {
        return Err("fragments, query strings or parameters are meaningless in proxy configuration".into());
    }
    Ok(())
}

fn admin_gui_path(path: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_/".contains(&b);
    if !path.starts_with('/') {
        return Err("admin_gui_path must start with a slash ('/')".into());
    }
    if path.len() > 1 && path.ends_with('/') {
        return Err("admin_gui_path must not end with a slash ('/')".into());
    }
    if !path.bytes().all(allowed) {
        return Err(
            "admin_gui_path can only contain letters, digits, hyphens ('-'), underscores ('_'), and slashes ('/')"
                .into(),
        );
    }
    if path.contains("//") {
        return Err("admin_gui_path must not contain continuous slashes ('/')".into());
    }
    Ok(())
}
