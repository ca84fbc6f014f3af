//! Properties of the proxy's behaviour.

use std::fs;
use std::time::Duration;

use crate::addresses::TrustedIps;
use crate::checks::Reader;

/// How requests are proxied.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// `headers`
    pub headers: HeaderTokens,
    /// `headers_upstream`: whether `X-Kong-Request-Id` is sent upstream.
    pub upstream_request_id: bool,
    /// `trusted_ips`
    pub trusted_ips: TrustedIps,
    /// `real_ip_header`, as written.
    pub real_ip_header: String,
    /// `real_ip_recursive`
    pub real_ip_recursive: bool,
    /// `error_default_type`
    pub error_default_type: String,
    /// Texts of the `error_template_*` files.
    pub error_templates: ErrorTemplates,
    /// `upstream_keepalive_*`
    pub upstream_keepalive: UpstreamKeepalive,
    /// `router_flavor`
    pub router_flavor: RouterFlavor,
    /// `port_maps`
    pub port_maps: Vec<PortMap>,
    /// `allow_debug_header`
    pub allow_debug_header: bool,
    /// `lua_max_*`
    pub visible: VisibleItems,
    /// Whether `worker_consistency` is `strict`.
    pub strict_consistency: bool,
    /// `worker_state_update_frequency`
    pub state_update_frequency: Duration,
    /// `request_debug`
    pub request_debug: bool,
    /// `request_debug_token`
    pub request_debug_token: Option<Secret>,
}

/// A text that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("******")
    }
}

/// The headers that the gateway adds to responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct HeaderTokens {
    pub server: bool,
    pub via: bool,
    pub proxy_latency: bool,
    pub response_latency: bool,
    pub admin_latency: bool,
    pub upstream_latency: bool,
    pub upstream_status: bool,
    pub request_id: bool,
}

impl HeaderTokens {
    fn parse<'a>(items: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut tokens = Self::default();
        let mut off = false;
        for (index, item) in items.into_iter().enumerate() {
            match item.to_ascii_lowercase().as_str() {
                // Elsewhere than first it says nothing.
                "off" => off |= index == 0,
                "server_tokens" => (tokens.server, tokens.via) = (true, true),
                "latency_tokens" => {
                    (tokens.proxy_latency, tokens.response_latency) = (true, true);
                    (tokens.admin_latency, tokens.upstream_latency) = (true, true);
                }
                "server" => tokens.server = true,
                "via" => tokens.via = true,
                "x-kong-proxy-latency" => tokens.proxy_latency = true,
                "x-kong-response-latency" => tokens.response_latency = true,
                "x-kong-admin-latency" => tokens.admin_latency = true,
                "x-kong-upstream-latency" => tokens.upstream_latency = true,
                "x-kong-upstream-status" => tokens.upstream_status = true,
                "x-kong-request-id" => tokens.request_id = true,
                _ => return Err(format!("headers: invalid entry '{item}'")),
            }
        }
        Ok(if off { Self::default() } else { tokens })
    }
}

/// Custom error bodies; none: the built-in ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ErrorTemplates {
    pub html: Option<String>,
    pub json: Option<String>,
    pub xml: Option<String>,
    pub plain: Option<String>,
}

/// Connections kept open to upstreams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamKeepalive {
    /// Idle connections per upstream and worker; 0: none.
    pub pool_size: usize,
    /// Requests on one connection; none: no limit.
    pub max_requests: Option<u64>,
    /// Longest idle time; none: no limit.
    pub idle_timeout: Option<Duration>,
}

/// How routes are written and matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RouterFlavor {
    Traditional,
    TraditionalCompatible,
    Expressions,
}

/// Connections on the listener's port count as connections on the outside port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PortMap {
    pub outside: u16,
    pub listener: u16,
}

/// How many items the router and plugins look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct VisibleItems {
    pub request_headers: usize,
    pub response_headers: usize,
    pub uri_args: usize,
    pub post_args: usize,
}

impl Proxy {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let values = reader.values;
        let headers = values.list("headers");
        let headers = HeaderTokens::parse(headers.iter().map(String::as_str))
            .map_err(|message| reader.invalid(message))
            .unwrap_or_default();
        let mut upstream_request_id = false;
        let mut upstream_off = false;
        for (index, item) in values.list("headers_upstream").iter().enumerate() {
            match item.to_ascii_lowercase().as_str() {
                "x-kong-request-id" => upstream_request_id = true,
                "off" => upstream_off |= index == 0,
                _ => reader.invalid(format!("headers_upstream: invalid entry '{item}'")),
            }
        }
        let trusted = values.list("trusted_ips");
        let trusted_ips = TrustedIps::parse(trusted.iter().map(String::as_str))
            .map_err(|message| reader.invalid(message))
            .unwrap_or_default();
        Self {
            headers,
            upstream_request_id: upstream_request_id && !upstream_off,
            trusted_ips,
            real_ip_header: values.owned("real_ip_header").unwrap_or_else(|| "X-Real-IP".into()),
            real_ip_recursive: values.is_on("real_ip_recursive"),
            error_default_type: values
                .owned("error_default_type")
                .unwrap_or_else(|| "text/plain".into()),
            error_templates: ErrorTemplates {
                html: template(reader, "error_template_html"),
                json: template(reader, "error_template_json"),
                xml: template(reader, "error_template_xml"),
                plain: template(reader, "error_template_plain"),
            },
            upstream_keepalive: keepalive(reader),
            router_flavor: match values.text("router_flavor") {
                Some("traditional") => RouterFlavor::Traditional,
                Some("expressions") => RouterFlavor::Expressions,
                _ => RouterFlavor::TraditionalCompatible,
            },
            port_maps: port_maps(reader),
            allow_debug_header: values.is_on("allow_debug_header"),
            visible: VisibleItems {
                request_headers: visible(reader, "lua_max_req_headers"),
                response_headers: visible(reader, "lua_max_resp_headers"),
                uri_args: visible(reader, "lua_max_uri_args"),
                post_args: visible(reader, "lua_max_post_args"),
            },
            strict_consistency: values.text("worker_consistency") == Some("strict"),
            state_update_frequency: state_update_frequency(reader),
            request_debug: values.is_on("request_debug"),
            request_debug_token: values.owned("request_debug_token").map(Secret),
        }
    }
}

/// An unreadable template is no reason not to start: the built-in body stands in.
fn template(reader: &mut Reader<'_>, name: &str) -> Option<String> {
    let path = reader.values.text(name)?;
    match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) => {
            reader.warnings.push(format!(
                "{name}: cannot read {path}, using the built-in template: {error}"
            ));
            None
        }
    }
}

fn keepalive(reader: &mut Reader<'_>) -> UpstreamKeepalive {
    const MESSAGE: &str = "must be 0 or greater";
    let pool_size = reader
        .integer("upstream_keepalive_pool_size", 0..=1 << 32, MESSAGE)
        .unwrap_or(512);
    let max_requests = reader
        .integer("upstream_keepalive_max_requests", 0..=1 << 53, MESSAGE)
        .unwrap_or(10_000);
    let idle = reader
        .at_least("upstream_keepalive_idle_timeout", 0.0, MESSAGE)
        .unwrap_or(60.0);
    UpstreamKeepalive {
        pool_size: pool_size as usize,
        max_requests: (max_requests > 0).then_some(max_requests),
        idle_timeout: Duration::try_from_secs_f64(idle).ok().filter(|idle| !idle.is_zero()),
    }
}

fn port_maps(reader: &mut Reader<'_>) -> Vec<PortMap> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if digits {
            text.parse::<u16>().ok().filter(|&port| port > 0)
        } else {
            None
        }
    };
    let mut maps = Vec::new();
    for item in reader.values.list("port_maps") {
        let pair = item
            .split_once(':')
            .and_then(|(outside, inside)| Some((port(outside)?, port(inside)?)));
        match pair {
            Some((outside, listener)) => maps.push(PortMap { outside, listener }),
            None => reader.invalid(format!("invalid port mapping (`port_maps`): {item}")),
        }
    }
    maps
}

fn visible(reader: &mut Reader<'_>, name: &str) -> usize {
    reader
        .integer(name, 1..=1000, "must be an integer between 1 and 1000")
        .unwrap_or(100) as usize
}

fn state_update_frequency(reader: &mut Reader<'_>) -> Duration {
    let seconds = reader.values.number("worker_state_update_frequency").unwrap_or(5.0);
    if seconds <= 0.0 {
        reader.invalid("worker_state_update_frequency must be greater than 0");
    }
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(5))
}
