//! The life of a request, written down once.
//!
//! [`Gateway`] is a `tower::Service`, so any tower layer can be placed around it. Inside, phases are not layers: Kong runs
//! every plugin's `access`, then every `header_filter` in the *same* order, which an onion cannot express.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use kong_http::Tunnel;
use kong_message::{Body, HeaderBlock, Request, Response, ResponseHead};
use kong_plugin::pipeline::{self, Flow};
use kong_plugin::{Action, Exchange, LocalResponse, Phases, Source, UpstreamRequest};
use kong_router::uri::{self, PathHandling, StrippedPath};
use kong_router::{Flavor, HeaderLookup, RequestQuery, Scheme, header_name_matches};

use crate::error_page::Producer;
use crate::filtered_body::FilteredBody;
use crate::flight::InFlight;
use crate::forward::{self, Forwarding};
use crate::local::{self, Asker};
use crate::snapshot::{RouteEntry, ServiceEntry, Snapshot};
use crate::upstream::{self, Sent};
use crate::worker::Worker;
use crate::{buffered, hash_input, response_head};

/// The gateway's pipeline for one connection, as a service from requests to responses. It never fails: every failure is
/// a response.
pub struct Gateway {
    worker: Rc<Worker>,
    counts_connection: bool,
}

impl Gateway {
    /// For a new client connection of this worker; counted in its statistics until dropped.
    pub fn connection(worker: Rc<Worker>) -> Self {
        worker.stats.connection_opened();
        Gateway {
            worker,
            counts_connection: true,
        }
    }

    /// For requests that arrive by other ways than a connection.
    pub fn detached(worker: Rc<Worker>) -> Self {
        Gateway {
            worker,
            counts_connection: false,
        }
    }
}

impl Clone for Gateway {
    fn clone(&self) -> Self {
        Gateway::detached(self.worker.clone())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if self.counts_connection {
            self.worker.stats.connection_closed();
        }
    }
}

impl tower_service::Service<Request> for Gateway {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>>>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let worker = self.worker.clone();
        Box::pin(async move { Ok(serve(worker, request).await) })
    }
}

/// What the stages before the response decided.
enum Outcome {
    /// The service answered.
    Proxied(Box<ResponseHead>, Body, Option<Tunnel>),
    /// A response that is complete.
    Ready(Source, Box<ResponseHead>, Body),
    /// An answer of the gateway or a plugin, to be rendered.
    Local(Source, LocalResponse),
    /// An error document of the proxy core.
    Core(u16),
}

async fn serve(worker: Rc<Worker>, request: Request) -> Response {
    let snapshot = worker.snapshot();
    // Limits on heads and bodies, and malformed requests, were dealt with by the codec. A request id, the client's
    // address and the normalised path are there from the start.
    let mut flight = worker.exchange(request, &snapshot);
    let Some(exchange) = flight.exchange() else {
        return Response::status(500);
    };
    let outcome = decide(&worker, &snapshot, exchange).await;
    respond(worker, flight, outcome).await
}

/// From the request to the head of a response.
async fn decide(worker: &Rc<Worker>, snapshot: &Snapshot, exchange: &mut Exchange) -> Outcome {
    // `rewrite` of the global plugins: nothing is routed yet.
    if let Some(outcome) = answered(pipeline::rewrite(exchange).await) {
        pipeline::collect_global(exchange);
        return outcome;
    }

    // The route decides about everything that follows. What plugins see of the request is as the client sent it, so the
    // forwarding headers are worked out now and written at the very end.
    let forwarding = Forwarding::of(exchange);
    let Some(routed) = route(snapshot, exchange) else {
        pipeline::collect_global(exchange);
        return Outcome::Local(
            Source::Exit,
            LocalResponse::error(404, "no Route matched with those values"),
        );
    };

    // HTTPS enforcement and protocol mismatches come before any plugin.
    if let Some(refusal) = refuse_protocol(&routed.entry, exchange, &forwarding) {
        pipeline::collect_global(exchange);
        return refusal;
    }

    // `access` of the plugins of this route, service and, once authenticated, consumer.
    let service = exchange.service.as_ref().map(|service| service.id);
    exchange.plan = snapshot.plans.of(routed.entry.route.id, service).clone();
    if let Some(outcome) = answered(pipeline::access(exchange).await) {
        return outcome;
    }
    if exchange.upstream.is_none() {
        return Outcome::Local(
            Source::Exit,
            LocalResponse::error(503, "no Service found with those values"),
        );
    }

    // A buffered request can be sent again to another peer, with its length.
    if routed.entry.route.request_buffering
        && let Body::Stream(_) = exchange.body
    {
        let body = std::mem::take(&mut exchange.body);
        match exchange.buffering.clone().buffer(body).await {
            Ok(buffered) => exchange.body = buffered,
            Err(error) => return Outcome::Core(upstream::status_of_body(&error)),
        }
    }

    // A `Connection` that lists `Content-Length` takes the length away, and with it the body.
    if forward::lists_content_length(&exchange.head.headers) {
        exchange.body = Body::Empty;
    }

    // Peers are tried until one answers.
    let tls = routed.service.as_ref().and_then(|service| service.tls.as_ref());
    match upstream::send(worker, snapshot, exchange, &forwarding, routed.stripped.as_deref(), tls).await {
        Sent::Response(response) => Outcome::Proxied(Box::new(response.head), response.body, response.tunnel),
        Sent::Guarded(head, body) => Outcome::Ready(Source::Exit, Box::new(head), body),
        Sent::Local(response) => Outcome::Local(Source::Error, response),
        Sent::Core(status) => Outcome::Core(status),
    }
}

/// From the head of a response to the response.
async fn respond(worker: Rc<Worker>, mut flight: InFlight, outcome: Outcome) -> Response {
    let settings = worker.settings.clone();
    let Some(exchange) = flight.exchange() else {
        return Response::status(500);
    };
    let mut tunnel = None;
    let mut upstream_status = None;
    let (source, head, body) = match outcome {
        Outcome::Proxied(mut head, body, upgraded) => {
            // What concerns only the hop to the upstream stops here.
            let keeps_trailer = exchange
                .head
                .headers
                .get("te")
                .is_some_and(|te| te.eq_ignore_ascii_case(b"trailers"));
            response_head::strip_hop_by_hop(&mut head, keeps_trailer, upgraded.is_some().then_some("websocket"));
            upstream_status = Some(head.status);
            tunnel = upgraded;
            (Source::Service, *head, body)
        }
        // A plugin may say that its answer stands for the service's (a cache hit).
        Outcome::Ready(source, head, body) => match exchange.source {
            Source::Service => (Source::Service, *head, body),
            _ => (source, *head, body),
        },
        Outcome::Local(source, response) => {
            let (head, body) = local::render(response, &Asker::of(exchange), &settings);
            (source, head, body)
        }
        Outcome::Core(status) => {
            upstream_status = matches!(status, 502 | 504).then_some(status);
            let (head, body) = local::document(Producer::Core, status, None, &Asker::of(exchange), &settings);
            (Source::Error, head, body)
        }
    };
    exchange.source = source;
    exchange.response = Some(head);
    exchange.response_body = body;
    if let Some(status) = upstream_status {
        response_head::set_upstream_status(exchange, &settings, status);
    }
    hash_input::set_cookie(exchange);

    // `response` of plugins that want the whole answer; an upgraded connection has none.
    if source == Source::Service && tunnel.is_none() && pipeline::has_phase(exchange, Phases::RESPONSE) {
        buffered::run(exchange, &settings).await;
    }

    // `header_filter` in the order of `access`, then the gateway's own headers.
    pipeline::header_filter(exchange).await;
    let is_proxied = response_head::is_proxied(exchange);
    response_head::finish(exchange, &settings, is_proxied);

    // `body_filter` on each chunk, then the response leaves; `log` runs when it is over.
    let head = sent_head(exchange);
    let body = std::mem::take(&mut exchange.response_body);
    let read = exchange.upstream.as_ref().map(|upstream| upstream.timeouts);
    let filters = tunnel.is_none() && pipeline::has_phase(exchange, Phases::BODY_FILTER);
    let mut response = if filters {
        filter(flight, head, body)
    } else {
        finish(flight, head, body)
    };
    if let (Some(tunnel), Some(timeouts)) = (tunnel, read) {
        tunnel.into_upgrade(timeouts.read, timeouts.write).attach(&mut response);
    }
    response
}

/// The head to send. Only the log phase still wants the headers afterwards; the access log makes do with the status.
pub(crate) fn sent_head(exchange: &mut Exchange) -> ResponseHead {
    let is_wanted = pipeline::has_phase(exchange, Phases::LOG) || pipeline::has_phase(exchange, Phases::BODY_FILTER);
    if is_wanted {
        return exchange.response.clone().unwrap_or_else(|| ResponseHead::new(500));
    }
    let status = exchange.status().unwrap_or(500);
    exchange
        .response
        .replace(ResponseHead::new(status))
        .unwrap_or_else(|| ResponseHead::new(status))
}

/// The response of a request whose log phase runs once it was sent.
pub(crate) fn finish(flight: InFlight, head: ResponseHead, body: Body) -> Response {
    let mut response = Response::new(head, body);
    response.on_finish = Some(Box::new(flight));
    response
}

/// Puts `body_filter` between the body and the client.
fn filter(mut flight: InFlight, mut head: ResponseHead, body: Body) -> Response {
    // A filter may change the length. What is complete already is filtered at once and keeps a known length.
    match body {
        Body::Empty | Body::Memory(_) => {
            let mut chunk = match body {
                Body::Memory(bytes) => bytes,
                _ => bytes::Bytes::new(),
            };
            if let Some(exchange) = flight.exchange() {
                pipeline::body_filter(exchange, &mut chunk, true);
            }
            finish(flight, head, Body::from_bytes(chunk))
        }
        stream => {
            head.headers.remove("content-length");
            let flight = Rc::new(RefCell::new(flight));
            let body = Body::from_stream(FilteredBody::new(stream, flight.clone()));
            let mut response = Response::new(head, body);
            response.on_finish = Some(Box::new(move |report| flight.borrow_mut().finish(report)));
            response
        }
    }
}

/// The outcome of a phase that did not say "go on".
fn answered(flow: Flow) -> Option<Outcome> {
    match flow {
        Flow::Continue => None,
        Flow::Answered(Action::Respond(response)) if !(100..=599).contains(&response.status) => {
            tracing::error!("a plugin answered with status {}", response.status);
            Some(Outcome::Local(Source::Error, LocalResponse::default_error(500)))
        }
        Flow::Answered(Action::Respond(response)) => Some(Outcome::Local(Source::Exit, response)),
        Flow::Answered(Action::Answer(head, body)) => Some(Outcome::Ready(Source::Exit, head, body)),
        Flow::Answered(Action::Continue) => None,
        Flow::Failed => Some(Outcome::Local(Source::Error, LocalResponse::default_error(500))),
    }
}

/// A matched request.
struct Routed {
    entry: Arc<RouteEntry>,
    service: Option<Arc<ServiceEntry>>,
    /// What `strip_path` took away, if it was more than a slash.
    stripped: Option<Vec<u8>>,
}

/// Header lines that the router looks at (`lua_max_req_headers`).
const MAX_HEADERS: usize = 100;

struct Headers<'a>(&'a HeaderBlock);

impl HeaderLookup for Headers<'_> {
    fn any(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0
            .iter()
            .take(MAX_HEADERS)
            .any(|(received, value)| header_name_matches(received, name) && visit(value))
    }

    fn any_field(&self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
        self.0.iter().take(MAX_HEADERS).any(|(name, value)| visit(name, value))
    }
}

/// Finds the route and derives from it what will be sent upstream.
fn route(snapshot: &Snapshot, exchange: &mut Exchange) -> Option<Routed> {
    let headers = Headers(&exchange.head.headers);
    let tls = exchange.conn.tls.as_ref();
    let mut destination = exchange.conn.local;
    destination.set_port(exchange.host_port);
    let query = RequestQuery {
        method: exchange.head.method.as_str(),
        host: exchange.head.host(),
        path: &exchange.path,
        query: exchange.head.query(),
        headers: &headers,
        scheme: if tls.is_some() { Scheme::Https } else { Scheme::Http },
        sni: tls.and_then(|tls| tls.sni.as_deref()),
        source: Some((exchange.client.ip, exchange.client.port).into()),
        destination: Some(destination),
    };
    let found = snapshot.router.find(&query)?;
    let entry = found.payload().clone();
    let matched = found.matched_path();
    let captures = found.captures();
    let service = snapshot.service_of(&entry).filter(|service| service.is_http());
    let stripped = StrippedPath::new(entry.route.strip_path, matched.as_deref());
    let upstream =
        service.map(|service| upstream_request(snapshot.router.flavor(), service, &entry, &exchange.path, stripped));
    let stripped = stripped.forwarded_prefix().map(<[u8]>::to_vec);
    exchange.captures = captures
        .iter()
        .flat_map(|c| c.iter())
        .map(|(key, value)| (key.to_string(), value.to_owned()))
        .collect();
    exchange.service = service.map(|service| service.service.clone());
    exchange.route = Some(entry.route.clone());
    exchange.upstream = upstream;
    Some(Routed {
        entry,
        service: service.cloned(),
        stripped,
    })
}

fn upstream_request(
    flavor: Flavor,
    service: &ServiceEntry,
    entry: &RouteEntry,
    path: &[u8],
    stripped: StrippedPath<'_>,
) -> UpstreamRequest {
    let base = service.service.path.as_deref().unwrap_or("/");
    let handling = PathHandling::of(&entry.route, flavor);
    let path = uri::upstream_path(handling, base.as_bytes(), path, stripped);
    UpstreamRequest {
        scheme: service.scheme,
        host: service.service.host.clone(),
        port: service.service.port,
        // The result is escaped, hence ASCII.
        path: String::from_utf8_lossy(&path).into_owned(),
        host_header: None,
        retries: service.retries,
        timeouts: service.timeouts,
    }
}

/// Refuses plaintext where only HTTPS is allowed, and what is not gRPC on gRPC routes (routing.md §8, §9).
fn refuse_protocol(entry: &RouteEntry, exchange: &Exchange, forwarding: &Forwarding) -> Option<Outcome> {
    if entry.is_https_only && forwarding.proto.as_slice() != b"https" {
        let status = entry.route.https_redirect_status_code;
        if status == 426 {
            let response = LocalResponse::error(426, "Please use HTTPS protocol")
                .header("Connection", "Upgrade")
                .header("Upgrade", "TLS/1.2, HTTP/1.1");
            return Some(Outcome::Local(Source::Exit, response));
        }
        let (mut head, body) = local::stock_page(status);
        let mut location = b"https://".to_vec();
        location.extend_from_slice(&forwarding.host);
        location.extend_from_slice(exchange.head.target_parts().path_and_query());
        head.headers.append("Location", location);
        return Some(Outcome::Ready(Source::Exit, Box::new(head), body));
    }
    if entry.is_grpc {
        let is_grpc = exchange
            .header("content-type")
            .is_some_and(|t| t.starts_with("application/grpc"));
        if !is_grpc {
            let response = LocalResponse::error(415, "Non-gRPC request matched gRPC route");
            return Some(Outcome::Local(Source::Exit, response));
        }
        if exchange.head.version != kong_message::Version::Http2 {
            let response = LocalResponse::error(426, "Please use HTTP2 protocol")
                .header("connection", "Upgrade")
                .header("upgrade", "HTTP/2");
            return Some(Outcome::Local(Source::Exit, response));
        }
    }
    None
}
