//! From configuration properties to the settings of the parts.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kong_balancer::RecordKind;
use kong_config::{Config, RouterFlavor};
use kong_http::{ErrorPages, ServerConfig};
use kong_proxy::error_page::{Format, Templates};
use kong_proxy::{Cidr, DnsSettings, HeaderTokens, ProxySettings};

pub(crate) fn proxy(config: &Config) -> Arc<ProxySettings> {
    let proxy = &config.proxy;
    let mut templates = Templates::default();
    let texts = &proxy.error_templates;
    for (format, text) in [
        (Format::Html, &texts.html),
        (Format::Json, &texts.json),
        (Format::Xml, &texts.xml),
        (Format::Plain, &texts.plain),
    ] {
        if let Some(text) = text {
            templates.set(format, text.clone());
        }
    }
    Arc::new(ProxySettings {
        headers: HeaderTokens {
            server: proxy.headers.server,
            via: proxy.headers.via,
            proxy_latency: proxy.headers.proxy_latency,
            response_latency: proxy.headers.response_latency,
            upstream_latency: proxy.headers.upstream_latency,
            upstream_status: proxy.headers.upstream_status,
            request_id: proxy.headers.request_id,
            upstream_request_id: proxy.upstream_request_id,
        },
        trusted_ips: trusted_ips(config),
        real_ip_header: proxy.real_ip_header.to_ascii_lowercase(),
        real_ip_recursive: proxy.real_ip_recursive,
        error_default_type: proxy.error_default_type.clone(),
        templates,
        allow_debug_header: proxy.allow_debug_header,
        charset: config.server.charset.clone(),
        client_body_buffer_size: usize::try_from(config.server.client_body_buffer_size).unwrap_or(usize::MAX),
        client_max_body_size: config.server.client_max_body_size.unwrap_or(0),
        body_directory: config.prefix.join("client_body_temp"),
        keepalive_pool_size: proxy.upstream_keepalive.pool_size,
        keepalive_max_requests: proxy.upstream_keepalive.max_requests.unwrap_or(0),
        keepalive_idle_timeout: proxy.upstream_keepalive.idle_timeout.unwrap_or(Duration::ZERO),
        port_maps: proxy.port_maps.iter().map(|map| (map.listener, map.outside)).collect(),
    })
}

fn trusted_ips(config: &Config) -> Vec<Cidr> {
    let blocks = config.proxy.trusted_ips.blocks.iter();
    blocks.filter_map(|block| Cidr::parse(&block.to_string())).collect()
}

/// How names are resolved.
pub(crate) fn dns(config: &kong_config::Dns) -> DnsSettings {
    let kinds = config.order.iter().filter_map(|name| match name.as_str() {
        "A" => Some(RecordKind::A),
        "AAAA" => Some(RecordKind::Aaaa),
        "SRV" => Some(RecordKind::Srv),
        // Aliases are followed whatever is asked for.
        _ => None,
    });
    DnsSettings {
        servers: config.servers.clone(),
        hosts_file: config.hosts_file.clone(),
        order: kinds.collect(),
        last_first: config.order.iter().any(|name| name == "LAST"),
        srv_by_form: config.new_client,
        valid_ttl: config.valid_ttl,
        stale_ttl: config.stale_ttl,
        not_found_ttl: config.not_found_ttl,
        error_ttl: config.error_ttl,
        cache_size: usize::try_from(config.cache_size).unwrap_or(usize::MAX),
    }
}

/// Limits of client connections, with the worker's error pages.
pub(crate) fn server(config: &kong_config::Server, pages: Rc<dyn ErrorPages>) -> Rc<ServerConfig> {
    let (count, size) = config.large_client_header_buffers;
    let max_line = usize::try_from(size).unwrap_or(usize::MAX);
    Rc::new(ServerConfig {
        header_timeout: config.client_header_timeout,
        body_timeout: config.client_body_timeout,
        send_timeout: config.send_timeout,
        idle_timeout: config.keepalive_timeout,
        max_requests: config.keepalive_requests,
        max_line,
        max_head: max_line.saturating_mul(count as usize),
        max_body: config.client_max_body_size.unwrap_or(0),
        pages,
        ..ServerConfig::default()
    })
}

pub(crate) fn flavor(flavor: RouterFlavor) -> (kong_model::RouterFlavor, kong_router::Flavor) {
    match flavor {
        RouterFlavor::Traditional => (kong_model::RouterFlavor::Traditional, kong_router::Flavor::Traditional),
        RouterFlavor::TraditionalCompatible => (
            kong_model::RouterFlavor::TraditionalCompatible,
            kong_router::Flavor::TraditionalCompatible,
        ),
        RouterFlavor::Expressions => (kong_model::RouterFlavor::Expressions, kong_router::Flavor::Expressions),
    }
}
