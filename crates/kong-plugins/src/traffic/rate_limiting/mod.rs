//! `rate-limiting`: how many requests are admitted in calendar windows (plugins-auth-traffic.md §4.2).
//!
//! On the request path: see [`counters`]; header names and the limits' values are made once per instance.

pub mod config;
pub mod counters;
mod number;
mod windows;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use kong_plugin::context::Access;
use kong_plugin::{Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, Step};
use kong_schema::{Entity, EntityCheck, Schema};
use smallvec::SmallVec;
use uuid::Uuid;

use self::config::{Config, LimitBy, Policy};
use self::counters::{Counters, Verdict, Window};

/// See the module.
pub struct RateLimiting {
    limits: Vec<Limit>,
    limit_by: LimitBy,
    header_name: String,
    path: String,
    policy: Policy,
    hide_client_headers: bool,
    /// Outside 400–599 it is an error at run time, as the schema accepts it.
    error_code: f64,
    error_message: String,
    /// Route and service of the instance's own scope: what its counters belong to.
    scope: [u8; 32],
    id: Uuid,
    counters: Arc<Counters>,
}

/// A configured window.
struct Limit {
    period: usize,
    limit: f64,
    /// Requests that are admitted: the limit, rounded up.
    cap: u32,
    limit_value: Bytes,
    limit_header: Bytes,
    remaining_header: Bytes,
}

impl Limit {
    fn new(period: usize, limit: f64) -> Self {
        const NAMES: [&str; 6] = ["Second", "Minute", "Hour", "Day", "Month", "Year"];
        let name = NAMES.get(period).copied().unwrap_or_default();
        Limit {
            period,
            limit,
            cap: if limit >= f64::from(u32::MAX) {
                u32::MAX
            } else {
                limit.ceil() as u32
            },
            limit_value: number::any(limit),
            limit_header: Bytes::from(format!("X-RateLimit-Limit-{name}")),
            remaining_header: Bytes::from(format!("X-RateLimit-Remaining-{name}")),
        }
    }
}

impl PluginDefinition for RateLimiting {
    const NAME: &'static str = "rate-limiting";
    const PRIORITY: i32 = 910;
    const PHASES: Phases = Phases::ACCESS;

    type Config = Config;
    type State = Counters;

    fn checks() -> Vec<EntityCheck> {
        config::checks()
    }

    fn schema_without_datastore() -> Option<Arc<Schema>> {
        let mut schema = (*Self::schema()).clone();
        config::forbid_cluster_policy(&mut schema)?;
        Some(schema.into())
    }

    fn entities() -> Vec<Arc<Schema>> {
        vec![kong_model::credentials::RatelimitingMetric::schema()]
    }

    fn new(
        config: Config,
        instance: Instance,
        counters: &Arc<Counters>,
        _env: &PluginEnv,
    ) -> Result<Self, PluginError> {
        let mut scope = [0; 32];
        let (route, service) = scope.split_at_mut(16);
        route.copy_from_slice(instance.route_id.unwrap_or_default().as_bytes());
        service.copy_from_slice(instance.service_id.unwrap_or_default().as_bytes());
        let limits = config.limits().into_iter().enumerate();
        Ok(RateLimiting {
            limits: limits
                .filter_map(|(period, limit)| Some(Limit::new(period, limit?)))
                .collect(),
            limit_by: config.limit_by.unwrap_or(LimitBy::Consumer),
            header_name: config.header_name.unwrap_or_default(),
            path: config.path.unwrap_or_default(),
            policy: config.policy.unwrap_or(Policy::Local),
            hide_client_headers: config.hide_client_headers,
            error_code: config.error_code.unwrap_or(429.0),
            error_message: config
                .error_message
                .unwrap_or_else(|| "API rate limit exceeded".to_owned()),
            scope,
            id: instance.id,
            counters: counters.clone(),
        })
    }
}

impl Plugin for RateLimiting {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        if self.policy != Policy::Local {
            return Step::fail(format!(
                "instance {}: the policy '{}' is not available in this version, use 'local'",
                self.id,
                if self.policy == Policy::Redis {
                    "redis"
                } else {
                    "cluster"
                }
            ));
        }
        let now = cx.timings.wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut asked: SmallVec<[Window; 6]> = SmallVec::new();
        asked.extend(self.limits.iter().map(|limit| Window {
            period: limit.period,
            start: windows::start(limit.period, now),
            cap: limit.cap,
        }));
        let verdict = self.counters.count(&self.identity(cx), &asked, now);
        if !self.hide_client_headers {
            self.tell(cx, &asked, verdict, now);
        }
        match verdict {
            Verdict::Admitted(_) => Step::CONTINUE,
            Verdict::Refused(_) => self.refuse(),
        }
    }
}

/// Scope, kind and value of what is counted.
type Identity = SmallVec<[u8; 96]>;

impl RateLimiting {
    fn identity(&self, cx: &Access<'_>) -> Identity {
        let mut identity = Identity::from_slice(&self.scope);
        // Says whether there was something to add.
        let mut add = |kind: u8, value: &[u8]| {
            identity.push(kind);
            identity.extend_from_slice(value);
            true
        };
        let credential = || cx.credential.as_ref().and_then(|credential| credential.id.as_deref());
        let is_found = match self.limit_by {
            LimitBy::Consumer => match (&cx.consumer, credential()) {
                (Some(consumer), _) => add(b'c', consumer.id.as_bytes()),
                (None, Some(id)) => add(b'k', id.as_bytes()),
                (None, None) => false,
            },
            LimitBy::Credential => credential().is_some_and(|id| add(b'k', id.as_bytes())),
            LimitBy::Ip => false,
            LimitBy::Service => cx
                .service
                .as_ref()
                .is_some_and(|service| add(b's', service.id.as_bytes())),
            LimitBy::Header => {
                let value = cx.headers().get(&self.header_name).filter(|value| !value.is_empty());
                value.is_some_and(|value| add(b'h', value))
            }
            LimitBy::Path => cx.path == self.path.as_bytes() && add(b'p', &cx.path),
        };
        if !is_found {
            match cx.client.ip {
                IpAddr::V4(ip) => add(b'4', &ip.octets()),
                IpAddr::V6(ip) => add(b'6', &ip.octets()),
            };
        }
        identity
    }

    /// Sets the headers that tell the client of its limits.
    fn tell(&self, cx: &mut Access<'_>, asked: &[Window], verdict: Verdict, now: u64) {
        let (usage, taken) = match verdict {
            Verdict::Admitted(usage) => (usage, 1.0),
            Verdict::Refused(usage) => (usage, 0.0),
        };
        // Window with the least left; of equal ones the longest.
        let mut governing: Option<(f64, &Limit, &Window)> = None;
        for ((limit, window), used) in self.limits.iter().zip(asked).zip(usage) {
            let remaining = (limit.limit - f64::from(used) - taken).max(0.0);
            cx.set_response_header(limit.limit_header.clone(), limit.limit_value.clone());
            cx.set_response_header(limit.remaining_header.clone(), number::any(remaining));
            if governing.is_none_or(|(least, ..)| remaining <= least) {
                governing = Some((remaining, limit, window));
            }
        }
        let Some((remaining, limit, window)) = governing else {
            return;
        };
        let reset = number::whole(windows::reset(window.period, window.start, now));
        let name = |name: &'static str| Bytes::from_static(name.as_bytes());
        cx.set_response_header(name("RateLimit-Limit"), limit.limit_value.clone());
        cx.set_response_header(name("RateLimit-Remaining"), number::any(remaining));
        cx.set_response_header(name("RateLimit-Reset"), reset.clone());
        if matches!(verdict, Verdict::Refused(_)) {
            cx.set_response_header(name("Retry-After"), reset);
        }
    }

    fn refuse(&self) -> Step<'static> {
        let code = self.error_code;
        if code.fract() != 0.0 || !(400.0..600.0).contains(&code) {
            return Step::fail(format!(
                "instance {}: error_code {code} is not between 400 and 599",
                self.id
            ));
        }
        Step::respond(LocalResponse::error(code as u16, self.error_message.clone()))
    }
}

#[cfg(test)]
mod tests;
