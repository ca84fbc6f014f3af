//! Configuration of `rate-limiting`.

use std::sync::Arc;

use kong_schema::check::when;
use kong_schema::{Choice, EntityCheck, FieldDef, Kind, Object, Record, Schema, Shorthand, Validator, check};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Configuration of `rate-limiting`.
#[derive(Debug, Clone, Deserialize, Record)]
#[kong(check = check_limits, check = check_sync_rate, shorthands = redis_aliases("rate-limiting"))]
pub struct Config {
    /// Requests a second.
    #[kong(gt = 0)]
    pub second: Option<f64>,
    /// Requests a minute.
    #[kong(gt = 0)]
    pub minute: Option<f64>,
    /// Requests an hour.
    #[kong(gt = 0)]
    pub hour: Option<f64>,
    /// Requests a day.
    #[kong(gt = 0)]
    pub day: Option<f64>,
    /// Requests a month.
    #[kong(gt = 0)]
    pub month: Option<f64>,
    /// Requests a year.
    #[kong(gt = 0)]
    pub year: Option<f64>,
    /// What requests are counted by; without it (no consumer, no such header) the client's address.
    #[kong(default = "consumer")]
    pub limit_by: Option<LimitBy>,
    /// Header whose value requests are counted by (`limit_by: header`).
    #[kong(kind = "header_name")]
    pub header_name: Option<String>,
    /// Path whose requests are counted together (`limit_by: path`).
    #[kong(kind = "path")]
    pub path: Option<String>,
    /// Where counters live: `local` on each node; `cluster` in the datastore, `redis` in Redis.
    #[kong(default = "local", len_min = 0)]
    pub policy: Option<Policy>,
    /// Let requests pass when the counters cannot be reached.
    #[kong(required, default = true)]
    pub fault_tolerant: bool,
    /// Connection to Redis.
    #[kong(required)]
    pub redis: Redis,
    /// Send no rate limit headers to clients.
    #[kong(required, default = false)]
    pub hide_client_headers: bool,
    /// Status of a refusal.
    #[kong(default = 429, gt = 0)]
    pub error_code: Option<f64>,
    /// Message of a refusal.
    #[kong(default = "API rate limit exceeded")]
    pub error_message: Option<String>,
    /// Seconds between two synchronisations with Redis; -1: count there at once.
    #[kong(required, default = -1)]
    pub sync_rate: f64,
}

/// What requests are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Choice)]
#[serde(rename_all = "lowercase")]
pub enum LimitBy {
    /// Consumer, else credential, else address.
    Consumer,
    /// Credential, else address.
    Credential,
    /// Address.
    Ip,
    /// Service, else address.
    Service,
    /// Value of a header, else address.
    Header,
    /// One path, else address.
    Path,
}

/// Where counters live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Choice)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// On each node.
    Local,
    /// In the datastore.
    Cluster,
    /// In Redis.
    Redis,
}

/// Connection to Redis.
#[derive(Debug, Clone, Deserialize, Record)]
pub struct Redis {
    /// Host name or address.
    #[kong(kind = "host")]
    pub host: Option<String>,
    /// Port.
    #[kong(kind = "port", default = 6379)]
    pub port: Option<u16>,
    /// Milliseconds to connect, to send and to read.
    #[kong(kind = "timeout", default = 2000)]
    pub timeout: Option<u64>,
    /// User.
    #[kong(referenceable)]
    pub username: Option<String>,
    /// Password.
    #[kong(referenceable, encrypted, len_min = 0)]
    pub password: Option<String>,
    /// Database number.
    #[kong(default = 0)]
    pub database: Option<i64>,
    /// Use TLS.
    #[kong(optional, default = false)]
    pub ssl: Option<bool>,
    /// Verify the server's certificate.
    #[kong(optional, default = false)]
    pub ssl_verify: Option<bool>,
    /// Name that the certificate must have.
    #[kong(optional, kind = "sni")]
    pub server_name: Option<String>,
}

/// Names of the windows, shortest first.
pub const PERIODS: [&str; 6] = ["second", "minute", "hour", "day", "month", "year"];

impl Config {
    /// Limits in the order of [`PERIODS`].
    pub fn limits(&self) -> [Option<f64>; 6] {
        [self.second, self.minute, self.hour, self.day, self.month, self.year]
    }
}

/// Checks of the whole plugin.
pub fn checks() -> Vec<EntityCheck> {
    let periods: Vec<String> = PERIODS.iter().map(|period| format!("config.{period}")).collect();
    let periods: Vec<&str> = periods.iter().map(String::as_str).collect();
    vec![
        check::at_least_one_of(&periods),
        when("config.policy").eq("redis").then("config.redis.host").required(),
        when("config.policy").eq("redis").then("config.redis.port").required(),
        when("config.policy")
            .eq("redis")
            .then("config.redis.timeout")
            .required(),
        when("config.limit_by")
            .eq("header")
            .then("config.header_name")
            .required(),
        when("config.limit_by").eq("path").then("config.path").required(),
    ]
}

/// Leaves the policy `cluster` out: it counts in the datastore. `None` if the schema has no policies.
pub(crate) fn forbid_cluster_policy(schema: &mut Schema) -> Option<()> {
    let policy = schema.def_mut("config.policy")?;
    policy.validators.iter_mut().find_map(|validator| match validator {
        Validator::OneOf(choices) => {
            choices.retain(|choice| choice != "cluster");
            Some(())
        }
        _ => None,
    })
}

/// A longer window may not have a smaller limit.
fn check_limits(config: &Value) -> Result<(), Value> {
    let limits = PERIODS
        .iter()
        .filter_map(|period| Some((*period, config.get(period)?.as_f64()?)));
    let mut shorter: Option<(&str, f64)> = None;
    for (period, limit) in limits {
        if let Some((name, smaller)) = shorter
            && limit < smaller
        {
            return Err(format!(
                "The limit for {period}({limit:.1}) cannot be lower than the limit for {name}({smaller:.1})"
            )
            .into());
        }
        shorter = Some((period, limit));
    }
    Ok(())
}

fn check_sync_rate(config: &Value) -> Result<(), Value> {
    let is_redis = config.get("policy").and_then(Value::as_str) == Some("redis");
    let rate = config.get("sync_rate").and_then(Value::as_f64).unwrap_or(-1.0);
    if rate != -1.0 && !is_redis {
        return Err("sync_rate can only be used with the redis policy".into());
    }
    if rate != -1.0 && rate < 0.02 {
        return Err("sync_rate must be greater than 0.02, or -1 to disable".into());
    }
    Ok(())
}

/// The flat names that `config.redis.*` had before.
pub fn redis_aliases(plugin: &'static str) -> Vec<Shorthand> {
    let text = |len_min| FieldDef {
        validators: if len_min {
            vec![kong_schema::Validator::LenMin(0)]
        } else {
            Vec::new()
        },
        ..FieldDef::default()
    };
    let of = |kind| FieldDef {
        kind,
        ..FieldDef::default()
    };
    [
        ("host", text(false)),
        ("port", of(Kind::Integer)),
        ("password", text(true)),
        ("username", text(false)),
        ("ssl", of(Kind::Boolean)),
        ("ssl_verify", of(Kind::Boolean)),
        ("server_name", text(false)),
        ("timeout", of(Kind::Integer)),
        ("database", of(Kind::Integer)),
    ]
    .into_iter()
    .map(|(name, def)| Shorthand {
        name: format!("redis_{name}"),
        def,
        expand: Arc::new(move |value: &Value| {
            let mut redis: Object = Map::new();
            redis.insert(name.to_owned(), value.clone());
            let mut members = Map::new();
            members.insert("redis".to_owned(), Value::Object(redis));
            members
        }),
        replaced_with: Some(vec!["redis".to_owned(), name.to_owned()]),
        deprecation: Some(json!({
            "message": format!("{plugin}: config.redis_{name} is deprecated, please use config.redis.{name} instead"),
            "removal_in_version": "4.0",
            "replaced_with": [{ "path": ["redis", name] }],
        })),
    })
    .collect()
}
