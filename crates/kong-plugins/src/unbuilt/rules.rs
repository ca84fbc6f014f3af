//! What the documents of the schemas cannot say: types with a function, checks, and what shorthands stand for. The
//! texts are those of plugins-auth-traffic.md and plugins-transform-observe.md.

use std::sync::Arc;

use kong_schema::{CheckError, Custom, EntityCheck, FieldDef, Object, Record, Schema, Validator, random_secret, types};
use serde_json::{Value, json};

use super::lua_syntax;
use crate::traffic::rate_limiting::config::forbid_cluster_policy;

/// `Some`: the document had every field that was named.
type Fits = Option<()>;

/// The document says everything.
pub(super) fn none(_schema: &mut Schema) -> Fits {
    Some(())
}

/// Gives fields the validators of a reusable type.
fn typed(schema: &mut Schema, kind: fn() -> FieldDef, paths: &[&str]) -> Fits {
    for path in paths {
        let known = schema.def_mut(path)?;
        let of_kind = kind().validators.into_iter();
        // The document says what is no function.
        known
            .validators
            .extend(of_kind.filter(|v| matches!(v, Validator::Custom(_))));
    }
    Some(())
}

/// Adds a function that sees the value of a field.
fn checked(
    schema: &mut Schema,
    path: &str,
    name: &str,
    check: impl Fn(&Value) -> Result<(), String> + Send + Sync + 'static,
) -> Fits {
    let custom = Custom::new(name, move |value| check(value).map_err(Value::from));
    schema.def_mut(path)?.validators.push(Validator::Custom(custom));
    Some(())
}

/// Adds a function that sees a valid record.
fn record_checked(
    schema: &mut Schema,
    path: &str,
    name: &str,
    check: impl Fn(&Value) -> Result<(), String> + Send + Sync + 'static,
) -> Fits {
    let custom = Custom::new(name, move |value| check(value).map_err(Value::from));
    schema.record_mut(path)?.checks.push(custom);
    Some(())
}

/// Puts a function in the place that the document keeps for one.
fn custom_check(
    checks: &mut [EntityCheck],
    name: &str,
    check: impl Fn(&Object) -> Result<(), CheckError> + Send + Sync + 'static,
) -> Fits {
    let place = checks.iter_mut().find_map(|c| match c {
        EntityCheck::Custom(custom) if custom.name.is_empty() => Some(custom),
        _ => None,
    })?;
    name.clone_into(&mut place.name);
    place.check = Arc::new(check);
    Some(())
}

fn expand(record: &mut Record, name: &str, to: impl Fn(&Value) -> Object + Send + Sync + 'static) -> Fits {
    let shorthand = record.shorthands.iter_mut().find(|s| s.name == name)?;
    shorthand.expand = Arc::new(to);
    Some(())
}

fn member(name: &str, value: Value) -> Object {
    std::iter::once((name.to_owned(), value)).collect()
}

/// Lua code that must compile.
fn compiled(schema: &mut Schema, path: &str, prefix: &str) -> Fits {
    let prefix = prefix.to_owned();
    checked(schema, path, "lua", move |code| {
        let code = code.as_str().unwrap_or_default();
        lua_syntax::check(code).map_err(|error| format!("{prefix}: {error}"))
    })
}

/// The fields that a log plugin adds to its entries.
fn custom_fields(schema: &mut Schema) -> Fits {
    compiled(schema, "config.custom_fields_by_lua.*", "Error parsing function")
}

fn functions(schema: &mut Schema) -> Fits {
    let prefix = format!("error parsing {}", schema.name);
    for phase in [
        "certificate",
        "rewrite",
        "access",
        "header_filter",
        "body_filter",
        "log",
    ] {
        compiled(schema, &format!("config.{phase}.*"), &prefix)?;
    }
    Some(())
}

pub(super) fn pre_function(schema: &mut Schema) -> Fits {
    functions(schema)
}

pub(super) fn post_function(schema: &mut Schema) -> Fits {
    functions(schema)
}

pub(super) fn syslog(schema: &mut Schema) -> Fits {
    custom_fields(schema)
}

/// Makes the schema that of a node without a datastore; `None` if it is the same.
pub(super) fn without_datastore(schema: &mut Schema) -> Option<()> {
    match schema.name.as_str() {
        "response-ratelimiting" => forbid_cluster_policy(schema),
        "acme" => custom_check(&mut schema.entity_checks, "storage", |plugin| {
            let storage = plugin.get("config").and_then(|config| config.get("storage"));
            match storage.and_then(Value::as_str) {
                Some("kong") => Err(CheckError::entity("\"kong\" storage can't be used with dbless mode")),
                _ => Ok(()),
            }
        }),
        _ => None,
    }
}

/// Prefixes of the keys of acme's storage, which a namespace may not imitate.
const ACME_KEYS: [&str; 6] = [
    "kong_acme:account:",
    "kong_acme:cert_key:",
    "kong_acme:fail_backoff:",
    "kong_acme:renew_config:",
    "kong_acme:renew_last_run",
    "kong_acme:update_lock:",
];

pub(super) fn acme(schema: &mut Schema) -> Fits {
    typed(schema, types::url, &["config.api_uri"])?;
    checked(schema, "config.domains.*", "host", |value| {
        let host = value.as_str().unwrap_or_default().replace('*', "abc");
        kong_schema::address::Address::parse(&host)
            .map(drop)
            .map_err(|error| error.to_string())
    })?;
    let hosts = [
        "config.storage_config.redis.host",
        "config.storage_config.consul.host",
        "config.storage_config.vault.host",
    ];
    typed(schema, types::host, &hosts)?;
    let names = [
        "config.storage_config.redis.server_name",
        "config.storage_config.vault.tls_server_name",
    ];
    typed(schema, types::sni, &names)?;
    let namespace = "config.storage_config.redis.extra_options.namespace";
    checked(schema, namespace, "namespace", |value| {
        let text = value.as_str().unwrap_or_default();
        match ACME_KEYS.iter().find(|word| text.starts_with(**word)) {
            Some(word) => Err(format!("namespace can't be prefixed with reserved word: {word}")),
            None => Ok(()),
        }
    })
}

/// Checks of a record that describes a model.
fn model(schema: &mut Schema, path: &str) -> Fits {
    typed(schema, types::url, &[&format!("{path}.model.options.upstream_url")])?;
    let record = schema.record_mut(path)?;
    custom_check(&mut record.entity_checks, "statistics", |llm| {
        let text = |pointer: &[&str]| {
            let mut members = pointer.iter();
            let first = members.next().and_then(|name| llm.get(*name));
            members.fold(first, |value, name| value?.get(name)).cloned()
        };
        let has_no_statistics = text(&["model", "provider"]) == Some(json!("anthropic"))
            && text(&["route_type"]) == Some(json!("llm/v1/completions"))
            && text(&["logging", "log_statistics"]) == Some(json!(true));
        if has_no_statistics {
            return Err(CheckError::entity(
                "anthropic does not support statistics when route_type is llm/v1/completions",
            ));
        }
        Ok(())
    })
}

pub(super) fn ai_proxy(schema: &mut Schema) -> Fits {
    model(schema, "config")
}

pub(super) fn ai_request_transformer(schema: &mut Schema) -> Fits {
    typed(
        schema,
        types::host,
        &["config.http_proxy_host", "config.https_proxy_host"],
    )?;
    model(schema, "config.llm")
}

pub(super) fn ai_response_transformer(schema: &mut Schema) -> Fits {
    ai_request_transformer(schema)
}

pub(super) fn aws_lambda(schema: &mut Schema) -> Fits {
    typed(schema, types::host, &["config.aws_region", "config.host"])?;
    typed(schema, types::url, &["config.aws_sts_endpoint_url", "config.proxy_url"])?;
    custom_check(&mut schema.entity_checks, "proxy_url", |plugin| {
        let url = plugin.get("config").and_then(|config| config.get("proxy_url"));
        let scheme = url.and_then(Value::as_str).and_then(|url| url.split_once("://"));
        match scheme {
            Some((scheme, _)) if scheme != "http" => Err(CheckError::entity("proxy_url scheme must be http")),
            _ => Ok(()),
        }
    })
}

pub(super) fn datadog(schema: &mut Schema) -> Fits {
    typed(schema, types::host, &["config.host"])
}

pub(super) fn http_log(schema: &mut Schema) -> Fits {
    typed(schema, types::url, &["config.http_endpoint"])?;
    typed(schema, types::header_name, &["config.headers.@keys"])?;
    custom_fields(schema)?;
    record_checked(schema, "config", "authorization", |config| {
        let url = config.get("http_endpoint").and_then(Value::as_str).unwrap_or_default();
        let authority = url.split_once("//").map_or("", |(_, rest)| rest);
        let has_user = authority.split('/').next().unwrap_or_default().contains('@');
        let headers = config.get("headers").and_then(Value::as_object);
        let has_header = headers.is_some_and(|h| h.keys().any(|name| name.eq_ignore_ascii_case("authorization")));
        if has_user && has_header {
            return Err(
                "specifying both an 'Authorization' header and user info in 'http_endpoint' is not allowed".to_owned(),
            );
        }
        Ok(())
    })
}

pub(super) fn ldap_auth(schema: &mut Schema) -> Fits {
    typed(schema, types::host, &["config.ldap_host"])
}

pub(super) fn loggly(schema: &mut Schema) -> Fits {
    typed(schema, types::host, &["config.host"])?;
    custom_fields(schema)
}

pub(super) fn oauth2(schema: &mut Schema) -> Fits {
    const FLOWS: [&str; 4] = [
        "enable_authorization_code",
        "enable_implicit_grant",
        "enable_client_credentials",
        "enable_password_grant",
    ];
    record_checked(schema, "config", "flows", |config| {
        if FLOWS.iter().any(|flow| config.get(flow) == Some(&Value::Bool(true))) {
            return Ok(());
        }
        Err(format!(
            "at least one of these fields must be true: {}",
            FLOWS.join(", ")
        ))
    })
}

pub(super) fn opentelemetry(schema: &mut Schema) -> Fits {
    typed(schema, types::url, &["config.traces_endpoint", "config.logs_endpoint"])?;
    typed(schema, types::header_name, &["config.headers.@keys"])?;
    let config = schema.record_mut("config")?;
    let endpoint = config.shorthands.iter_mut().find(|s| s.name == "endpoint")?;
    endpoint.def.validators.extend(types::url().validators);
    expand(config, "endpoint", |value| member("traces_endpoint", value.clone()))
}

pub(super) fn response_ratelimiting(schema: &mut Schema) -> Fits {
    typed(schema, types::host, &["config.redis.host"])?;
    typed(schema, types::sni, &["config.redis.server_name"])?;
    checked(schema, "config.limits", "order", |limits| {
        limits
            .as_object()
            .into_iter()
            .flat_map(Object::values)
            .try_for_each(periods_are_ordered)
    })
}

/// A longer period may not have a smaller limit.
fn periods_are_ordered(limit: &Value) -> Result<(), String> {
    let mut shorter: Option<(&str, f64)> = None;
    for period in ["second", "minute", "hour", "day", "month", "year"] {
        let Some(value) = limit.get(period).and_then(Value::as_f64) else {
            continue;
        };
        if let Some((name, smaller)) = shorter
            && value < smaller
        {
            return Err(format!(
                "the limit for {period}({value:.1}) cannot be lower than the limit for {name}({smaller:.1})"
            ));
        }
        shorter = Some((period, value));
    }
    Ok(())
}

pub(super) fn session(schema: &mut Schema) -> Fits {
    // Made once for each process; every instance without a secret of its own is stored with this one.
    let mut secret = random_secret();
    secret.extend(random_secret().chars().take(12));
    schema.def_mut("config.secret")?.default = Some(secret.into());
    let config = schema.record_mut("config")?;
    let renamed = [
        ("cookie_lifetime", "rolling_timeout"),
        ("cookie_discard", "stale_ttl"),
        ("cookie_httponly", "cookie_http_only"),
        ("cookie_persistent", "remember"),
    ];
    for (old, new) in renamed {
        expand(config, old, move |value| member(new, value.clone()))?;
    }
    expand(config, "cookie_idletime", |value| {
        let timeout = if value.is_null() { json!(0) } else { value.clone() };
        member("idling_timeout", timeout)
    })?;
    expand(config, "cookie_samesite", |value| {
        let policy = if value == "off" { json!("Lax") } else { value.clone() };
        member("cookie_same_site", policy)
    })
}

pub(super) fn statsd(schema: &mut Schema) -> Fits {
    typed(schema, types::host, &["config.host"])
}

pub(super) fn tcp_log(schema: &mut Schema) -> Fits {
    typed(schema, types::host, &["config.host"])?;
    custom_fields(schema)
}

pub(super) fn udp_log(schema: &mut Schema) -> Fits {
    typed(schema, types::host, &["config.host"])?;
    custom_fields(schema)
}

pub(super) fn zipkin(schema: &mut Schema) -> Fits {
    typed(schema, types::url, &["config.http_endpoint"])?;
    checked(schema, "config.static_tags", "distinct", |tags| {
        let mut seen = std::collections::HashSet::new();
        let names = tags.as_array().into_iter().flatten().filter_map(|tag| tag.get("name"));
        for name in names.filter_map(Value::as_str) {
            if !seen.insert(name) {
                return Err(format!("repeated tags are not allowed: {name}"));
            }
        }
        Ok(())
    })
}
