//! `cors`: which pages of other origins may use the API (plugins-auth-traffic.md §3.2).
//!
//! On the request path: nothing before the response but a look at the method; configured values are joined once.

mod origin;

use std::sync::Arc;

use bytes::Bytes;
use kong_message::HeaderBlock;
use kong_plugin::context::{Access, HeaderFilter};
use kong_plugin::{Exchange, Instance, LocalResponse, Phases, Plugin, PluginDefinition, PluginEnv, PluginError, Step};
use kong_schema::{PluginScopes, Record};
use serde::Deserialize;
use serde_json::Value;

use self::origin::{Origins, Verdict};

/// Methods that are allowed unless said otherwise.
const METHODS: &str = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT";

/// Configuration of `cors`.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Config {
    /// Origins that may use the API: `*`, origins, or regular expressions; unset: all.
    #[kong(elements(custom = origin::check))]
    pub origins: Option<Vec<String>>,
    /// Request headers that pages may send; unset: what they ask for.
    pub headers: Option<Vec<String>>,
    /// Response headers that pages may read.
    pub exposed_headers: Option<Vec<String>>,
    /// Methods that pages may use.
    #[kong(
        default = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"],
        elements(one_of("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"))
    )]
    pub methods: Option<Vec<String>>,
    /// Seconds for which browsers may remember the answer to a preflight.
    pub max_age: Option<f64>,
    /// Pages may send cookies and credentials.
    #[kong(required, default = false)]
    pub credentials: bool,
    /// Pages of public networks may use the API in a private one.
    #[kong(required, default = false)]
    pub private_network: bool,
    /// Hand preflight requests to the service.
    #[kong(required, default = false)]
    pub preflight_continue: bool,
}

/// See the module.
pub struct Cors {
    origins: Origins,
    allow_headers: Option<Bytes>,
    expose_headers: Option<Bytes>,
    allow_methods: Bytes,
    max_age: Option<Bytes>,
    credentials: bool,
    private_network: bool,
    preflight_continue: bool,
}

impl PluginDefinition for Cors {
    const NAME: &'static str = "cors";
    const PRIORITY: i32 = 2000;
    const PHASES: Phases = Phases::ACCESS.with(Phases::HEADER_FILTER);
    const SCOPES: PluginScopes = PluginScopes::NO_CONSUMER;

    type Config = Config;
    type State = ();

    fn new(config: Config, _instance: Instance, _state: &Arc<()>, _env: &PluginEnv) -> Result<Self, PluginError> {
        let join = |list: Option<Vec<String>>| {
            list.filter(|list| !list.is_empty())
                .map(|list| Bytes::from(list.join(",")))
        };
        let max_age = config.max_age.map(|age| Value::from(age).to_string());
        Ok(Cors {
            origins: Origins::new(config.origins.unwrap_or_default())?,
            allow_headers: join(config.headers),
            expose_headers: join(config.exposed_headers),
            allow_methods: join(config.methods).unwrap_or_else(|| Bytes::from_static(METHODS.as_bytes())),
            max_age: max_age.map(|age| Bytes::from(age.strip_suffix(".0").unwrap_or(&age).to_owned())),
            credentials: config.credentials,
            private_network: config.private_network,
            preflight_continue: config.preflight_continue,
        })
    }
}

/// A preflight that was handed on: its response is the service's alone.
struct Untouched;

/// What a response says about the origin.
struct Decision {
    /// Value of `Access-Control-Allow-Origin`; `None`: removed.
    allow: Option<Bytes>,
    varies: bool,
    allows_credentials: bool,
}

fn is_preflight(exchange: &Exchange) -> bool {
    exchange.method() == "OPTIONS"
        && exchange.headers().contains("origin")
        && exchange.headers().contains("access-control-request-method")
}

impl Cors {
    fn decide(&self, headers: &HeaderBlock) -> Decision {
        let origin = headers.get("origin");
        match self.origins.judge(origin) {
            verdict @ (Verdict::All | Verdict::AllOfList) => match origin.filter(|_| self.credentials) {
                Some(origin) => Decision {
                    allow: Some(Bytes::copy_from_slice(origin)),
                    varies: true,
                    allows_credentials: true,
                },
                None => Decision {
                    allow: Some(Bytes::from_static(b"*")),
                    varies: verdict == Verdict::AllOfList,
                    allows_credentials: false,
                },
            },
            Verdict::Allowed(allow) => Decision {
                allow: Some(allow),
                varies: true,
                allows_credentials: self.credentials,
            },
            Verdict::Refused => Decision {
                allow: None,
                varies: true,
                allows_credentials: self.credentials,
            },
        }
    }

    fn answer_preflight(&self, headers: &HeaderBlock) -> LocalResponse {
        let decision = self.decide(headers);
        let mut response = LocalResponse::exit(200);
        let mut set = |name: &'static str, value: Bytes| {
            response.headers.push((Bytes::from_static(name.as_bytes()), value));
        };
        if let Some(allow) = decision.allow {
            set("Access-Control-Allow-Origin", allow);
        }
        if decision.varies {
            set("Vary", Bytes::from_static(b"Origin"));
        }
        if decision.allows_credentials {
            set("Access-Control-Allow-Credentials", Bytes::from_static(b"true"));
        }
        let asked = || {
            headers
                .get("access-control-request-headers")
                .map(Bytes::copy_from_slice)
        };
        if let Some(allowed) = self.allow_headers.clone().or_else(asked) {
            set("Access-Control-Allow-Headers", allowed);
        }
        set("Access-Control-Allow-Methods", self.allow_methods.clone());
        if let Some(age) = &self.max_age {
            set("Access-Control-Max-Age", age.clone());
        }
        if self.private_network && headers.get("access-control-request-private-network") == Some(b"true") {
            set("Access-Control-Allow-Private-Network", Bytes::from_static(b"true"));
        }
        response
    }
}

/// A preflight was answered here: the response is complete.
struct Answered;

impl Plugin for Cors {
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        if !is_preflight(cx) {
            return Step::CONTINUE;
        }
        if self.preflight_continue {
            cx.set_state(Untouched);
            return Step::CONTINUE;
        }
        cx.set_state(Answered);
        Step::respond(self.answer_preflight(cx.headers()))
    }

    fn header_filter<'a>(&'a self, cx: &'a mut HeaderFilter<'_>) -> Step<'a> {
        if cx.state::<Untouched>().is_some() || cx.state::<Answered>().is_some() {
            return Step::CONTINUE;
        }
        let decision = self.decide(cx.headers());
        match decision.allow {
            Some(allow) => cx.set_header("Access-Control-Allow-Origin", allow),
            None => {
                cx.remove_header("Access-Control-Allow-Origin");
            }
        }
        if decision.varies {
            cx.add_header("Vary", "Origin");
        }
        if decision.allows_credentials {
            cx.set_header("Access-Control-Allow-Credentials", "true");
        }
        if let Some(exposed) = &self.expose_headers {
            cx.set_header("Access-Control-Expose-Headers", exposed);
        }
        Step::CONTINUE
    }
}

#[cfg(test)]
mod tests;
