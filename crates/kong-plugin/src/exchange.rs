//! One HTTP request on its way through the gateway.
//!
//! On the request path: one allocation (the boxed exchange) per request, no locks; header edits are an overlay.

use std::any::Any;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use kong_message::{Body, BodyError, ConnInfo, HeaderBlock, RequestHead, ResponseHead};
use kong_model::{Consumer, Route, Service};
use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::plan::Chosen;
use crate::{Entities, LogValue, NodeIdentity, Plan};

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Client {
    /// Address of the direct peer.
    pub peer: SocketAddr,
    /// Address after real-ip processing (upstream.md §6).
    pub ip: IpAddr,
    /// Port after real-ip processing.
    pub port: u16,
    /// The direct peer is in `trusted_ips`: its `X-Forwarded-*` headers count.
    pub is_trusted: bool,
}

/// What authenticated the request: the stored credential, or what a plugin made of a token. Cheap to clone, so that a
/// plugin makes it once per cached credential and not once per request.
#[derive(Debug, Clone, Default)]
pub struct Credential {
    /// Id of the credential entity, if there is one.
    pub id: Option<Arc<str>>,
    /// Value of `X-Credential-Identifier`.
    pub identifier: Option<Arc<str>>,
    /// The entity or the plugin's own object.
    pub value: Option<Arc<Value>>,
}

/// Where a response comes from (`kong.response.get_source`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// A plugin or the gateway answered.
    #[default]
    Exit,
    /// The service answered.
    Service,
    /// Something failed.
    Error,
}

impl Source {
    /// PDK name: `exit`, `service`, `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Exit => "exit",
            Source::Service => "service",
            Source::Error => "error",
        }
    }
}

/// Timeouts of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// TCP and TLS establishment.
    pub connect: Duration,
    /// Longest gap between two writes.
    pub write: Duration,
    /// Longest gap between two reads.
    pub read: Duration,
}

/// The request as it will be sent to the service. Headers are those of [`Exchange::head`], edited in place.
#[derive(Debug, Clone)]
pub struct UpstreamRequest {
    /// `http`, `https`, `grpc`, `grpcs`.
    pub scheme: &'static str,
    /// Name or address to resolve and connect to.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Escaped path, without query.
    pub path: String,
    /// Value of `Host`; `None`: derived from `host` and `port`, or the client's with `preserve_host`.
    pub host_header: Option<Bytes>,
    /// Further tries after the first.
    pub retries: u32,
    /// Timeouts of one try.
    pub timeouts: UpstreamTimeouts,
}

/// One attempt to reach a peer (log serializer `tries`).
#[derive(Debug, Clone)]
pub struct Try {
    /// Wall-clock start.
    pub started: SystemTime,
    /// Time spent choosing the peer.
    pub balancer: Duration,
    /// Peer.
    pub address: SocketAddr,
    /// `failed` or `next`; `None` for the successful try.
    pub state: Option<&'static str>,
    /// Status of a failed try, 502 or 504.
    pub code: Option<u16>,
}

/// Points in time of a request; all monotonic except `wall`.
#[derive(Debug, Clone)]
pub struct Timings {
    /// Wall clock at `received`.
    pub wall: SystemTime,
    /// Request head complete.
    pub received: Instant,
    /// Peer of the last try chosen.
    pub peer_chosen: Option<Instant>,
    /// First byte of the upstream response head.
    pub upstream_head: Option<Instant>,
    /// Response fully sent, or given up.
    pub finished: Option<Instant>,
}

/// Latencies in milliseconds (upstream.md §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LatencySummary {
    /// Request start → peer of the last try chosen.
    pub proxy: Option<u64>,
    /// Peer chosen → upstream response head.
    pub upstream: Option<u64>,
    /// Request start → now.
    pub total: u64,
}

/// Values that plugins share within a request (`kong.ctx.shared`).
pub type Shared = Map<String, Value>;

/// Polled while the gateway waits for the upstream's response head; the first that resolves abandons the upstream
/// and its response is used instead (how a tower `TimeoutLayer` acts as a plugin).
pub type Guard = Pin<Box<dyn Future<Output = (ResponseHead, Body)>>>;

/// Reads a body fully, into memory or a temporary file.
pub trait BufferBody {
    /// The result has a known length and can be replayed.
    fn buffer(&self, body: Body) -> Pin<Box<dyn Future<Output = Result<Body, BodyError>> + '_>>;
}

/// One HTTP request on its way through the gateway, and the response on its way back.
///
/// Plugins see it through the phase contexts of [`crate::context`], which deref to it for reading and offer the edits
/// that are legal in their phase. Fields are public for the data plane, which builds it.
pub struct Exchange {
    /// Request head: bytes received plus edits. What a plugin sets here is what later plugins and the service see.
    pub head: RequestHead,
    /// Request body.
    pub body: Body,
    /// Connection it arrived on.
    pub conn: Rc<ConnInfo>,
    /// How many requests the connection has carried, this one included.
    pub requests_on_connection: u64,
    /// Request id: 32 lower-case hex digits.
    pub id: [u8; 32],
    /// `http` or `https`: of the listener.
    pub scheme: &'static str,
    /// Port of the listener after `port_maps`.
    pub host_port: u16,
    /// Who is at the other end.
    pub client: Client,
    /// Normalised path (routing.md §2), raw bytes ≥ 0x80 included.
    pub path: Vec<u8>,
    /// Query as it will be sent; differs from the received one once a plugin rewrote it. `None`: no `?`.
    pub query: Option<Bytes>,

    /// Matched route.
    pub route: Option<Arc<Route>>,
    /// Its service.
    pub service: Option<Arc<Service>>,
    /// Regex captures of the matched path: `(number or name, value)`.
    pub captures: Vec<(String, String)>,
    /// What will be sent upstream; set after routing when there is a service.
    pub upstream: Option<UpstreamRequest>,

    /// Authenticated consumer.
    pub consumer: Option<Arc<Consumer>>,
    /// What authenticated it.
    pub credential: Option<Credential>,

    /// Instances that run for this request.
    pub plan: Arc<Plan>,
    /// Instances collected in `access`, in order of execution.
    pub collected: SmallVec<[Chosen; 8]>,
    /// Per-request state of plugins; see [`Exchange::state`].
    pub states: Vec<Box<dyn Any>>,
    /// Values shared between plugins.
    pub shared: Shared,
    /// Values added to log entries.
    pub log_values: Vec<LogValue>,
    /// Response headers that plugins set before there is a response; applied at the start of `header_filter`.
    pub early_response_headers: Vec<(Bytes, Bytes)>,
    /// See [`Guard`].
    pub guards: Vec<Guard>,

    /// Response head, once known.
    pub response: Option<ResponseHead>,
    /// Response body, from the moment the head is known until it is sent.
    pub response_body: Body,
    /// Where it came from.
    pub source: Source,
    /// Tries so far.
    pub tries: Vec<Try>,
    /// Points in time.
    pub timings: Timings,
    /// Bytes sent to the client, head included; known in `log`.
    pub bytes_sent: u64,
    /// Bytes received from the client, head included, as far as read.
    pub bytes_received: u64,
    /// The client went away before the response was complete (499 in logs).
    pub is_client_gone: bool,

    /// Entities loaded on demand.
    pub entities: Entities,
    /// Who this node is.
    pub node: Arc<NodeIdentity>,
    /// Reads request bodies.
    pub buffering: Rc<dyn BufferBody>,
}

impl Exchange {
    /// Method as sent.
    pub fn method(&self) -> &str {
        self.head.method.as_str()
    }

    /// Request headers, edits included.
    pub fn headers(&self) -> &HeaderBlock {
        &self.head.headers
    }

    /// First value of a request header, if it is valid UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get_str(name)
    }

    /// Host that the request is for, lower case, without port.
    pub fn host_name(&self) -> Option<String> {
        let host = std::str::from_utf8(self.head.host()?).ok()?;
        let name = match host.rfind(':') {
            Some(at) if !host[at..].contains(']') => &host[..at],
            _ => host,
        };
        Some(name.to_ascii_lowercase())
    }

    /// Request id as text.
    pub fn request_id(&self) -> &str {
        // The id is made of hex digits.
        std::str::from_utf8(&self.id).unwrap_or_default()
    }

    /// Status of the response, once known.
    pub fn status(&self) -> Option<u16> {
        self.response.as_ref().map(|head| head.status)
    }

    /// Per-request state that a plugin stored with [`Exchange::set_state`], by its type. Use a private type.
    pub fn state<T: 'static>(&self) -> Option<&T> {
        self.states.iter().find_map(|state| state.downcast_ref())
    }

    /// As [`Exchange::state`], mutable.
    pub fn state_mut<T: 'static>(&mut self) -> Option<&mut T> {
        self.states.iter_mut().find_map(|state| state.downcast_mut())
    }

    /// Stores per-request state, replacing one of the same type.
    pub fn set_state<T: 'static>(&mut self, value: T) {
        match self.state_mut::<T>() {
            Some(old) => *old = value,
            None => self.states.push(Box::new(value)),
        }
    }

    /// Latencies as of now.
    pub fn latencies(&self) -> LatencySummary {
        let t = &self.timings;
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        LatencySummary {
            proxy: t.peer_chosen.map(|at| millis(at.saturating_duration_since(t.received))),
            upstream: t
                .peer_chosen
                .zip(t.upstream_head)
                .map(|(a, b)| millis(b.saturating_duration_since(a))),
            total: millis(
                t.finished
                    .unwrap_or_else(Instant::now)
                    .saturating_duration_since(t.received),
            ),
        }
    }
}
