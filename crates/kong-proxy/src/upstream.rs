//! Sends a request upstream: chooses a peer, tries, tries again (upstream.md §3, §14).

use std::borrow::Cow;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Instant, SystemTime};

use kong_http::{Endpoint, Failure, Timeouts, TlsTarget, UpstreamError, UpstreamHead, UpstreamResponse};
use kong_message::{Body, BodyError, ResponseHead};
use kong_plugin::{Exchange, LocalResponse, Try, UpstreamRequest};

use crate::certificates::UpstreamTls;
use crate::forward::{self, Forwarding};
use crate::peers::{NoPeer, Peers};
use crate::response_head::Decimal;
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// What came of the upstream.
pub(crate) enum Sent {
    /// It answered.
    Response(UpstreamResponse),
    /// A guard answered in its place.
    Guarded(ResponseHead, Body),
    /// The gateway's own code answers (producer A).
    Local(LocalResponse),
    /// The proxy core answers with this status (producer B).
    Core(u16),
}

/// Sends the exchange's request and waits for the response head.
pub(crate) async fn send(
    worker: &Worker,
    snapshot: &Snapshot,
    exchange: &mut Exchange,
    forwarding: &Forwarding,
    stripped_prefix: Option<&[u8]>,
    tls: Option<&UpstreamTls>,
) -> Sent {
    let Some(upstream) = exchange.upstream.take() else {
        return Sent::Core(500);
    };
    let peers = Peers::of(snapshot, exchange, &upstream);
    let sent = attempts(worker, peers, exchange, &upstream, forwarding, stripped_prefix, tls).await;
    exchange.upstream = Some(upstream);
    sent
}

async fn attempts(
    worker: &Worker,
    mut peers: Peers,
    exchange: &mut Exchange,
    upstream: &UpstreamRequest,
    forwarding: &Forwarding,
    stripped_prefix: Option<&[u8]>,
    tls: Option<&UpstreamTls>,
) -> Sent {
    let headers = forward::upstream_headers(exchange, forwarding, stripped_prefix, &worker.settings);
    let target = target(upstream, exchange.query.as_deref());
    let is_idempotent = exchange.head.method.is_idempotent();
    let preserved_host = match exchange.route.as_ref().is_some_and(|route| route.preserve_host) {
        true => exchange.head.headers.get("host").map(<[u8]>::to_vec),
        false => None,
    };
    let fixed_host = upstream.host_header.as_deref().or(preserved_host.as_deref());
    let mut body = std::mem::take(&mut exchange.body);
    let mut guards = std::mem::take(&mut exchange.guards);
    let mut last = 0;
    for attempt in 0..=upstream.retries {
        let (started, choosing) = (SystemTime::now(), Instant::now());
        let peer = match peers.next(worker, upstream).await {
            Ok(peer) => peer,
            Err(NoPeer::Exhausted) => break,
            Err(reason) => return no_peer(reason, upstream, attempt > 0),
        };
        let address = peer.address;
        let host: Cow<'_, [u8]> = match (fixed_host, &peer.host) {
            (Some(host), _) => Cow::Borrowed(host),
            (None, Some(host)) => host_header(upstream.scheme, host, address.port()),
            (None, None) => host_header(upstream.scheme, &upstream.host, address.port()),
        };
        let chosen = Instant::now();
        exchange.timings.peer_chosen = Some(chosen);
        exchange.tries.push(Try {
            started,
            balancer: chosen - choosing,
            address,
            state: None,
            code: None,
        });
        let endpoint = endpoint(worker, upstream, tls, address, &host);
        let head = UpstreamHead {
            method: &exchange.head.method,
            target: &target,
            host: Some(&host),
            headers: &headers,
            upgrade: forward::is_websocket_upgrade(&exchange.head.headers),
        };
        let timeouts = Timeouts {
            connect: upstream.timeouts.connect,
            write: upstream.timeouts.write,
            read: upstream.timeouts.read,
        };
        let sending = worker.client.send(&endpoint, &head, &mut body, &timeouts);
        let result = match guards.is_empty() {
            true => sending.await,
            false => match guarded(sending, &mut guards).await {
                Ok(result) => result,
                Err((head, body)) => return Sent::Guarded(head, body),
            },
        };
        match result {
            Ok(response) => {
                exchange.timings.upstream_head = Some(Instant::now());
                peers.answered(response.head.status, exchange);
                return Sent::Response(response);
            }
            Err(error) => {
                last = status_of(&error);
                if let Failure::RequestBody(body_error) = &error.failure {
                    exchange.tries.pop();
                    return Sent::Core(status_of_body(body_error));
                }
                tracing::error!(
                    "{error} while connecting to or reading from {address} ({}://{}), request_id: \"{}\"",
                    upstream.scheme,
                    upstream.host,
                    exchange.request_id()
                );
                if let Some(failed) = exchange.tries.last_mut() {
                    failed.state = Some("failed");
                    failed.code = Some(last);
                }
                let may_retry = !error.body_consumed && (is_idempotent || !error.request_sent);
                peers.failed(last, may_retry && attempt < upstream.retries);
                if !may_retry {
                    break;
                }
            }
        }
    }
    Sent::Core(last)
}

/// What the client gets when there is nobody to send to. On a retry it is the core's text for the status.
fn no_peer(reason: NoPeer, upstream: &UpstreamRequest, is_retry: bool) -> Sent {
    let (status, text) = match reason {
        NoPeer::NotFound => (503, "name resolution failed".to_owned()),
        NoPeer::Balancer | NoPeer::Exhausted => (503, "failure to get a peer from the ring-balancer".to_owned()),
        NoPeer::Failed(text) => {
            let host = &upstream.host;
            let text = format!("failed the initial dns/balancer resolve for '{host}' with: {text}");
            (500, text)
        }
    };
    match is_retry {
        true => Sent::Core(status),
        false => Sent::Local(LocalResponse::error(status, text)),
    }
}

/// Polls the guards beside the upstream; the first guard that resolves wins and the upstream is abandoned.
async fn guarded<F: Future>(sending: F, guards: &mut [kong_plugin::Guard]) -> Result<F::Output, (ResponseHead, Body)> {
    let mut sending = std::pin::pin!(sending);
    poll_fn(|cx| {
        if let Poll::Ready(output) = sending.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        for guard in guards.iter_mut() {
            if let Poll::Ready(answer) = guard.as_mut().poll(cx) {
                return Poll::Ready(Err(answer));
            }
        }
        Poll::Pending
    })
    .await
}

fn endpoint(
    worker: &Worker,
    upstream: &UpstreamRequest,
    tls: Option<&UpstreamTls>,
    addr: SocketAddr,
    host: &[u8],
) -> Endpoint {
    if !matches!(upstream.scheme, "https" | "grpcs") {
        return Endpoint::plain(addr);
    }
    let host = String::from_utf8_lossy(host);
    let name = String::from_utf8_lossy(&forward::bare_host(Some(host.as_bytes()))).into_owned();
    Endpoint {
        addr,
        tls: Some(TlsTarget {
            server_name: name,
            config: tls.map_or_else(|| worker.tls.clone(), |tls| tls.tls.clone()),
        }),
        pool: Some(Arc::from(format!("{host}{}", tls.map_or("", |tls| &tls.pool)))),
    }
}

/// `Host` for a peer: its host, with the port unless it is the scheme's default. A host that has a port already (an
/// upstream's `host_header`) gets another, as in the original.
fn host_header<'a>(scheme: &str, bare: &'a str, port: u16) -> Cow<'a, [u8]> {
    let is_default = matches!((scheme, port), ("http" | "grpc", 80) | ("https" | "grpcs", 443));
    let needs_brackets = !bare.starts_with('[') && bare.bytes().filter(|b| *b == b':').count() > 1;
    if is_default && !needs_brackets {
        return Cow::Borrowed(bare.as_bytes());
    }
    let mut host = Vec::with_capacity(bare.len() + 8);
    if needs_brackets {
        host.push(b'[');
    }
    host.extend_from_slice(bare.as_bytes());
    if needs_brackets {
        host.push(b']');
    }
    if !is_default {
        host.push(b':');
        host.extend_from_slice(Decimal::new(port.into()).as_bytes());
    }
    Cow::Owned(host)
}

/// Path and query of the request line.
fn target<'a>(upstream: &'a UpstreamRequest, query: Option<&[u8]>) -> Cow<'a, [u8]> {
    match query {
        None => Cow::Borrowed(upstream.path.as_bytes()),
        Some(query) => {
            let mut target = Vec::with_capacity(upstream.path.len() + 1 + query.len());
            target.extend_from_slice(upstream.path.as_bytes());
            target.push(b'?');
            target.extend_from_slice(query);
            Cow::Owned(target)
        }
    }
}

fn status_of(error: &UpstreamError) -> u16 {
    if error.is_timeout() { 504 } else { 502 }
}

/// Status of a request whose body could not be read.
pub(crate) fn status_of_body(error: &BodyError) -> u16 {
    match error {
        BodyError::TooLarge { .. } => 413,
        BodyError::Timeout => 408,
        BodyError::Malformed(_) | BodyError::Aborted => 400,
        _ => 500,
    }
}
