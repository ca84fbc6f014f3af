//! Properties of the server: workers, client connections, and the `nginx_<context>_<directive>` family.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::checks::Reader;
use crate::errors::ConfigError;
use crate::units;
use crate::values::Values;

/// How the process serves client connections.
#[derive(Debug, Clone)]
pub struct Server {
    /// Workers; `auto` is the number of cores.
    pub worker_processes: usize,
    /// Whether `kong start` goes to the background.
    pub daemon: bool,
    /// `nginx_user`, as written.
    pub user: Option<String>,
    /// `shutdown_drain_timeout`: how long SIGTERM lets requests finish.
    pub terminate_drain: Duration,
    /// `worker_shutdown_timeout`: how long SIGQUIT lets requests finish; none: without limit.
    pub quit_drain: Option<Duration>,
    /// Request bodies up to this size stay in memory.
    pub client_body_buffer_size: u64,
    /// Largest request body; none: no limit.
    pub client_max_body_size: Option<u64>,
    /// First buffer of a request head.
    pub client_header_buffer_size: u64,
    /// Number and size of the further buffers; the size bounds the request line and each header line.
    pub large_client_header_buffers: (u32, u64),
    /// Longest wait for a request head.
    pub client_header_timeout: Duration,
    /// Longest pause within a request body.
    pub client_body_timeout: Duration,
    /// Longest pause while a response is sent.
    pub send_timeout: Duration,
    /// Longest idle time of a client connection; zero: one request per connection.
    pub keepalive_timeout: Duration,
    /// Requests on one client connection.
    pub keepalive_requests: u64,
    /// Whether header names may contain `_`; the original's default is on.
    pub underscores_in_headers: bool,
    /// Charset for textual types; none: not added.
    pub charset: Option<String>,
    /// Largest response head of an upstream; none: the built-in size.
    pub proxy_buffer_size: Option<u64>,
    /// Conditions of `proxy_next_upstream`; none: the built-in ones.
    pub next_upstream: Option<Vec<String>>,
    /// `proxy_next_upstream_tries`
    pub next_upstream_tries: Option<u64>,
    /// `proxy_next_upstream_timeout`
    pub next_upstream_timeout: Option<Duration>,
    /// Largest Admin API body; none: no limit.
    pub admin_max_body_size: Option<u64>,
    /// Every injected directive, by `<context>_<directive>`.
    pub directives: BTreeMap<String, String>,
}

/// Directives that are honoured, with the contexts in which they are looked for (the first wins) and what they set.
pub(crate) const HONOURED: &[(&str, &[&str], &str)] = &[
    (
        "large_client_header_buffers",
        PROXY,
        "number and size of buffers for a request head (4 8k)",
    ),
    ("client_header_timeout", PROXY, "longest wait for a request head (60s)"),
    (
        "client_body_timeout",
        PROXY,
        "longest pause within a request body (60s)",
    ),
    ("send_timeout", PROXY, "longest pause while a response is sent (60s)"),
    (
        "keepalive_timeout",
        PROXY,
        "longest idle time of a client connection (75s)",
    ),
    ("charset", PROXY, "charset added to textual types (UTF-8)"),
    (
        "worker_shutdown_timeout",
        &["main"],
        "how long SIGQUIT lets requests finish (no limit)",
    ),
];

/// Directives that are read and checked, and honoured by nothing yet.
const READ_ONLY: &[(&str, &[&str])] = &[
    ("client_header_buffer_size", PROXY),
    ("underscores_in_headers", PROXY),
    ("proxy_buffer_size", PROXY),
    ("proxy_next_upstream", PROXY),
    ("proxy_next_upstream_tries", PROXY),
    ("proxy_next_upstream_timeout", PROXY),
];
const PROXY: &[&str] = &["location", "proxy", "http"];

/// Beginnings of directives that decide who may connect or what is verified.
const GUARDS: &[&str] = &[
    "ssl_",
    "proxy_ssl_",
    "grpc_ssl_",
    "uwsgi_ssl_",
    "allow",
    "deny",
    "satisfy",
    "auth_",
    "limit_conn",
    "limit_req",
    "limit_except",
    "set_real_ip_from",
    "secure_link",
    "valid_referers",
    "internal",
];

impl Server {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let values = reader.values;
        let directives = directives(values);
        check_directives(reader, &directives);
        let find = |name: &str| {
            let honoured = HONOURED.iter().map(|(name, contexts, _)| (*name, *contexts));
            let (_, contexts) = honoured
                .chain(READ_ONLY.iter().copied())
                .find(|(known, _)| *known == name)?;
            contexts
                .iter()
                .find_map(|context| directives.get(&format!("{context}_{name}")).cloned())
        };
        let mut read = DirectiveReader { reader, find: &find };
        let client_header_buffer_size = read.size("client_header_buffer_size").unwrap_or(1 << 10);
        let large_client_header_buffers = read
            .parse("large_client_header_buffers", |text| {
                let (count, size) = text.split_once(char::is_whitespace)?;
                Some((count.parse().ok().filter(|&count| count > 0)?, units::parse_size(size)?))
            })
            .unwrap_or((4, 8 << 10));
        let minute = Duration::from_secs(60);
        let client_header_timeout = read.duration("client_header_timeout").unwrap_or(minute);
        let client_body_timeout = read.duration("client_body_timeout").unwrap_or(minute);
        let send_timeout = read.duration("send_timeout").unwrap_or(minute);
        // A second value is only what the `Keep-Alive` header says.
        let keepalive_timeout = read
            .parse("keepalive_timeout", |text| {
                units::parse_duration(text.split_whitespace().next()?)
            })
            .unwrap_or(Duration::from_secs(75));
        let underscores_in_headers = find("underscores_in_headers").is_none_or(|text| text == "on");
        let charset = match find("charset") {
            Some(text) => Some(text),
            None => values.owned("nginx_http_charset"),
        };
        let proxy_buffer_size = read.size("proxy_buffer_size");
        let next_upstream = find("proxy_next_upstream").map(|t| t.split_whitespace().map(str::to_owned).collect());
        let next_upstream_tries = read.parse("proxy_next_upstream_tries", |text| text.parse().ok());
        let next_upstream_timeout = read.duration("proxy_next_upstream_timeout");
        let quit_drain = read.duration("worker_shutdown_timeout");
        let unless_none = |name: &str| values.text(name) != Some("NONE");
        Self {
            worker_processes: worker_processes(reader),
            daemon: values.is_on("nginx_daemon"),
            user: values.owned("nginx_user"),
            terminate_drain: reader.seconds("shutdown_drain_timeout").unwrap_or_default(),
            quit_drain,
            client_body_buffer_size: match unless_none("client_body_buffer_size") {
                true => reader.size("client_body_buffer_size").unwrap_or(8 << 10),
                false => 16 << 10,
            },
            client_max_body_size: match unless_none("client_max_body_size") {
                true => reader.size("client_max_body_size").filter(|&size| size > 0),
                false => Some(1 << 20),
            },
            client_header_buffer_size,
            large_client_header_buffers,
            client_header_timeout,
            client_body_timeout,
            send_timeout,
            keepalive_timeout,
            keepalive_requests: match unless_none("nginx_http_keepalive_requests") {
                true => reader
                    .integer(
                        "nginx_http_keepalive_requests",
                        0..=1 << 53,
                        "must be an integer of 0 or more",
                    )
                    .unwrap_or(10_000),
                false => 1_000,
            },
            underscores_in_headers,
            charset: charset.filter(|charset| charset != "off" && charset != "NONE"),
            proxy_buffer_size,
            next_upstream,
            next_upstream_tries,
            next_upstream_timeout,
            admin_max_body_size: match unless_none("nginx_admin_client_max_body_size") {
                true => reader.size("nginx_admin_client_max_body_size").filter(|&size| size > 0),
                false => Some(1 << 20),
            },
            directives,
        }
    }
}

/// Reads directives; what is malformed is an error that names the directive.
struct DirectiveReader<'r, 'v, F: Fn(&str) -> Option<String>> {
    reader: &'r mut Reader<'v>,
    find: &'r F,
}

impl<F: Fn(&str) -> Option<String>> DirectiveReader<'_, '_, F> {
    fn parse<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = (self.find)(name)?;
        let value = parse(text.trim());
        if value.is_none() {
            self.reader
                .invalid(format!("invalid value of the server directive {name}: '{text}'"));
        }
        value
    }

    fn size(&mut self, name: &str) -> Option<u64> {
        self.parse(name, units::parse_size)
    }

    fn duration(&mut self, name: &str) -> Option<Duration> {
        self.parse(name, units::parse_duration)
    }
}

/// The undeclared `nginx_*` values by `<context>_<directive>`, without those that say NONE.
fn directives(values: &Values) -> BTreeMap<String, String> {
    let undeclared = values
        .entries
        .iter()
        .filter(|(name, _)| crate::table::property(name).is_none());
    undeclared
        .filter_map(|(name, entry)| Some((name.strip_prefix("nginx_")?.to_owned(), entry.text.clone())))
        .filter(|(_, text)| text != "NONE")
        .collect()
}

fn check_directives(reader: &mut Reader<'_>, directives: &BTreeMap<String, String>) {
    for (name, value) in directives {
        let Some((context, directive)) = name.split_once('_') else {
            continue;
        };
        let honoured = HONOURED
            .iter()
            .any(|(honoured, contexts, _)| *honoured == directive && contexts.contains(&context));
        if honoured {
            continue;
        }
        let property = format!("nginx_{name}");
        if GUARDS.iter().any(|guard| directive.starts_with(guard)) {
            let reason = "this server directive decides who may connect or what is verified".to_owned();
            reader.errors.push(ConfigError::Refused {
                property,
                value: value.clone(),
                reason,
            });
        } else {
            reader
                .warnings
                .push(format!("{property} is ignored: this server directive is not honoured"));
        }
    }
}

fn worker_processes(reader: &mut Reader<'_>) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match reader.values.text("nginx_worker_processes") {
        None | Some("auto") => cores,
        Some(text) => match text.parse::<usize>() {
            Ok(workers @ 1..=1024) => workers,
            _ => {
                let message = format!("nginx_worker_processes must be auto or a number from 1 to 1024, got '{text}'");
                reader.invalid(message);
                cores
            }
        },
    }
}
