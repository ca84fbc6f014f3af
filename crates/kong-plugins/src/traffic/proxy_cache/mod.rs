//! `proxy-cache`: answers from stored responses (plugins-auth-traffic.md §4.4).

mod admin;
pub mod config;
mod directives;
mod key;
mod store;

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::{Bytes, BytesMut};
use kong_message::{Body, ResponseHead};
use kong_plugin::context::{Access, BodyFilter, HeaderFilter};
use kong_plugin::{
    Action, AdminRoute, Exchange, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError,
    PluginResult, Source, Step,
};
use kong_schema::{ALL_PROTOCOLS, EntityCheck};

use self::config::Config;
use self::directives::{Directives, MediaType};
use self::key::Vary;
pub use self::store::Store;
use self::store::{LONGEST_BODY, Stored};

/// Headers that belong to one connection or are made anew.
const NOT_REPEATED: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "x-cache-status",
    "x-cache-key",
];

/// See the module.
pub struct ProxyCache {
    config: Config,
    types: Vec<MediaType>,
    vary: Vary,
    /// Part of the store.
    part: Arc<str>,
    store: Arc<Store>,
}

/// A response that is to be stored.
struct Pending {
    key: String,
    request_body: Bytes,
    /// Known once its head is.
    response: Option<Stored>,
    body: BytesMut,
}

impl PluginDefinition for ProxyCache {
    const NAME: &'static str = "proxy-cache";
    const PRIORITY: i32 = 100;
    const PHASES: Phases = Phases::ACCESS.with(Phases::HEADER_FILTER).with(Phases::BODY_FILTER);
    const OBSERVES_INSTANCES: bool = true;
    const PROTOCOLS: &'static [&'static str] = ALL_PROTOCOLS;

    type Config = Config;
    type State = Store;

    fn checks() -> Vec<EntityCheck> {
        config::checks()
    }

    fn new(config: Config, _instance: Instance, store: &Arc<Store>, _env: &PluginEnv) -> Result<Self, PluginError> {
        let mut vary = Vary {
            query: config.vary_query_params.clone(),
            headers: config.vary_headers.clone().unwrap_or_default(),
            ignore_case: config.ignore_uri_case.unwrap_or(false),
        };
        vary.query = vary.query.filter(|names| !names.is_empty());
        Ok(ProxyCache {
            types: config
                .content_type
                .iter()
                .filter_map(|kind| MediaType::parse(kind))
                .collect(),
            vary,
            part: Arc::from(config.memory.dictionary_name.as_str()),
            store: store.clone(),
            config,
        })
    }

    fn configure(store: &Arc<Store>, instances: &[Instance], _env: &PluginEnv) {
        let part = |instance: &Instance| {
            let name = instance
                .config
                .get("memory")
                .and_then(|memory| memory.get("dictionary_name")?.as_str());
            (instance.id, Arc::from(name.unwrap_or("kong_db_cache")))
        };
        store.set_instances(instances.iter().map(part).collect());
    }

    fn routes(store: &Arc<Store>, _env: &PluginEnv) -> Vec<AdminRoute> {
        admin::routes(store)
    }
}

fn now(exchange: &Exchange) -> u64 {
    exchange
        .timings
        .wall
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

impl ProxyCache {
    fn shows(&self, exchange: &Exchange, setting: Option<bool>) -> bool {
        setting.unwrap_or(true) || exchange.headers().contains("kong-debug")
    }

    fn set_status(&self, cx: &mut Access<'_>, status: &'static str) {
        if self.shows(cx, self.config.response_headers.status) {
            cx.set_response_header("X-Cache-Status", status);
        }
    }

    /// Whether a stored response is too old for the request.
    fn is_stale(&self, stored: &Stored, request: &Directives, now: u64) -> bool {
        let age = now.saturating_sub(stored.timestamp);
        if !self.config.cache_control {
            return age > self.config.cache_ttl.unwrap_or(300);
        }
        request.seconds("max-age").is_some_and(|most| age > most)
            || request
                .seconds("max-stale")
                .is_some_and(|most| age.saturating_sub(stored.ttl) > most)
            || request
                .seconds("min-fresh")
                .is_some_and(|least| stored.ttl.saturating_sub(age) < least)
    }

    fn answer(&self, cx: &mut Access<'_>, stored: &Stored, now: u64) -> Action {
        self.set_status(cx, "Hit");
        if self.shows(cx, self.config.response_headers.age) {
            cx.set_response_header("Age", now.saturating_sub(stored.timestamp).to_string());
        }
        let mut head = ResponseHead::new(stored.status);
        for (name, value) in &stored.headers {
            head.headers.append(name, value);
        }
        cx.count_as_proxied();
        Action::Answer(Box::new(head), Body::from_bytes(stored.body.clone()))
    }

    /// Seconds for which a response is fresh; `None`: it is not to be stored.
    fn lifetime(&self, exchange: &Exchange) -> Option<u64> {
        let head = exchange.response.as_ref()?;
        if exchange.source != Source::Service || !self.config.response_code.contains(&head.status) {
            return None;
        }
        let mut types = head.headers.get_all("content-type");
        let kind = match (types.next(), types.next()) {
            (Some(kind), None) => MediaType::parse(std::str::from_utf8(kind).ok()?)?,
            _ => return None,
        };
        if !self.types.iter().any(|range| kind.matches(range)) {
            return None;
        }
        if !self.config.cache_control {
            return Some(self.config.cache_ttl.unwrap_or(300));
        }
        let directives = Directives::of(&head.headers);
        if ["private", "no-store", "no-cache"]
            .iter()
            .any(|name| directives.has(name))
        {
            return None;
        }
        Some(directives.lifetime(&head.headers, now(exchange))).filter(|seconds| *seconds > 0)
    }
}

impl Plugin for ProxyCache {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        let directives = match self.config.cache_control {
            true => Directives::of(cx.headers()),
            false => Directives::default(),
        };
        let is_method = self.config.request_method.iter().any(|method| method == cx.method());
        if !is_method || directives.has("no-store") || directives.has("no-cache") {
            self.set_status(cx, "Bypass");
            return Step::CONTINUE;
        }
        let key = key::of(cx, &self.vary);
        if self.shows(cx, self.config.response_headers.key) {
            cx.set_response_header("X-Cache-Key", key.clone());
        }
        let now = now(cx);
        match self.store.get(&self.part, &key) {
            Some(stored) if !self.is_stale(&stored, &directives, now) => {
                return Step::Ready(Ok(self.answer(cx, &stored, now)));
            }
            Some(_) => self.set_status(cx, "Refresh"),
            None if directives.has("only-if-cached") => return Step::respond(LocalResponse::exit(504)),
            None => self.set_status(cx, "Miss"),
        }
        let pending = move |request_body| Pending {
            key,
            request_body,
            response: None,
            body: BytesMut::new(),
        };
        match &cx.body {
            Body::Empty => cx.set_state(pending(Bytes::new())),
            Body::Memory(bytes) => {
                let bytes = bytes.clone();
                cx.set_state(pending(bytes));
            }
            _ => {
                return Step::wait(async move {
                    let body = cx.read_body().await.map_err(PluginError::new)?.unwrap_or_default();
                    cx.set_state(pending(body));
                    PluginResult::Ok(Action::Continue)
                });
            }
        }
        Step::CONTINUE
    }

    fn header_filter<'a>(&'a self, cx: &'a mut HeaderFilter<'_>) -> Step<'a> {
        if cx.state::<Pending>().is_none() {
            return Step::CONTINUE;
        }
        let Some(ttl) = self.lifetime(cx) else {
            if self.shows(cx, self.config.response_headers.status) && cx.source == Source::Service {
                cx.set_header("X-Cache-Status", "Bypass");
            }
            return Step::CONTINUE;
        };
        // The answer to a HEAD request has no body to store.
        let Some(head) = cx.response.as_ref().filter(|_| cx.method() != "HEAD") else {
            return Step::CONTINUE;
        };
        let is_repeated = |name: &[u8]| {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            !NOT_REPEATED.contains(&name.as_str()) && !name.contains("ratelimit-remaining")
        };
        let headers = head.headers.iter().filter(|(name, _)| is_repeated(name));
        let response = Stored {
            status: head.status,
            headers: headers
                .map(|(n, v)| (Bytes::copy_from_slice(n), Bytes::copy_from_slice(v)))
                .collect(),
            body: Bytes::new(),
            timestamp: now(cx),
            ttl,
            stays: self.config.storage_ttl.unwrap_or(ttl),
            request_body: Bytes::new(),
        };
        if let Some(pending) = cx.state_mut::<Pending>() {
            pending.response = Some(response);
        }
        Step::CONTINUE
    }

    fn body_filter(&self, cx: &mut BodyFilter<'_>, chunk: &mut Bytes, last: bool) -> Result<(), PluginError> {
        let Some(pending) = cx.state_mut::<Pending>() else {
            return Ok(());
        };
        if pending.response.is_none() {
            return Ok(());
        }
        if pending.body.len() + chunk.len() > LONGEST_BODY {
            pending.response = None;
            pending.body = BytesMut::new();
            return Ok(());
        }
        pending.body.extend_from_slice(chunk);
        if last && let Some(mut response) = pending.response.take() {
            response.body = std::mem::take(&mut pending.body).freeze();
            response.request_body = std::mem::take(&mut pending.request_body);
            self.store.put(&self.part, std::mem::take(&mut pending.key), response);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
