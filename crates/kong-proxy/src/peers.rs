//! Where the tries of a request go: to an address of the service's host, or to what the balancer of an upstream chooses.
//!
//! On the request path: a service whose host is no upstream pays for one look-up in a table that is usually empty; a
//! balanced one for a reference count, and an allocation if its algorithm keeps book of requests in flight.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kong_balancer::{Algorithm, Choice, InUse, Report, ResolveError};
use kong_plugin::{Exchange, UpstreamRequest};

use crate::balancers::{ActiveUpstream, UpstreamEntry};
use crate::hash_input;
use crate::snapshot::Snapshot;
use crate::worker::Worker;

/// Longest wait for names that were never resolved before.
const FIRST_RESOLUTION: Duration = Duration::from_secs(30);

/// The peers of one request.
pub(crate) enum Peers {
    /// Addresses of the service's host.
    Host,
    /// Targets of an upstream.
    Balanced(Box<Balanced>),
}

pub(crate) struct Balanced {
    entry: Arc<UpstreamEntry>,
    active: Arc<ActiveUpstream>,
    choice: Choice,
    in_use: Option<InUse>,
    chosen: Option<Arc<kong_balancer::Address>>,
}

/// Where a try goes.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// `Host` without port, if not the service's own.
    pub(crate) host: Option<Arc<str>>,
}

/// Why there is no peer.
pub(crate) enum NoPeer {
    /// The name does not exist.
    NotFound,
    /// The name could not be resolved.
    Failed(String),
    /// The balancer has none.
    Balancer,
    /// The balancer has none any more: the tries of this request took out the last ones.
    Exhausted,
}

impl Peers {
    pub(crate) fn of(snapshot: &Snapshot, exchange: &mut Exchange, upstream: &UpstreamRequest) -> Peers {
        let Some(entry) = snapshot.upstreams.get(&upstream.host) else {
            return Peers::Host;
        };
        let active = entry.active();
        let mut choice = Choice::new(exchange.conn.worker);
        if active.balancer.settings().algorithm == Algorithm::ConsistentHashing {
            choice = choice.with_hash(hash_input::of(&active.upstream, exchange));
        }
        Peers::Balanced(Box::new(Balanced {
            entry: entry.clone(),
            active,
            choice,
            in_use: None,
            chosen: None,
        }))
    }

    /// The peer of the first try; called again, that of the next.
    pub(crate) async fn next(&mut self, worker: &Worker, upstream: &UpstreamRequest) -> Result<Peer, NoPeer> {
        match self {
            Peers::Host => match upstream.host.trim_matches(['[', ']']).parse() {
                Ok(ip) => Ok(Peer {
                    address: SocketAddr::new(ip, upstream.port),
                    host: None,
                }),
                Err(_) => match worker.resolver.resolve(&upstream.host).await {
                    Ok((ip, port)) => Ok(Peer {
                        address: SocketAddr::new(ip, port.unwrap_or(upstream.port)),
                        host: None,
                    }),
                    Err(ResolveError::NotFound(_)) => Err(NoPeer::NotFound),
                    Err(ResolveError::Failed(text)) => Err(NoPeer::Failed(text)),
                },
            },
            Peers::Balanced(balanced) => balanced.next().await,
        }
    }

    /// The try failed; `status` is 504 after a timeout.
    pub(crate) fn failed(&mut self, status: u16, will_retry: bool) {
        if let Peers::Balanced(balanced) = self {
            let report = match (status, will_retry) {
                (504, _) => Some(Report::Timeout),
                (_, true) => Some(Report::TcpFailure),
                // The last one counts as the status that the client gets.
                (status, false) => balanced.active.checks.passive.of_status(status),
            };
            balanced.report(report);
            balanced.in_use = None;
        }
    }

    /// The peer answered. What the exchange is given ends with it.
    pub(crate) fn answered(self, status: u16, exchange: &mut Exchange) {
        if let Peers::Balanced(mut balanced) = self {
            let report = match status {
                504 => Some(Report::Timeout),
                status => balanced.active.checks.passive.of_status(status),
            };
            balanced.report(report);
            if let Some(mut in_use) = balanced.in_use.take() {
                in_use.answered();
                exchange.set_state(in_use);
            }
        }
    }
}

impl Balanced {
    async fn next(&mut self) -> Result<Peer, NoPeer> {
        self.in_use = None;
        if let Some(peer) = self.choose() {
            return Ok(peer);
        }
        // A name that nobody has asked for before is worth waiting for.
        let deadline = Instant::now() + FIRST_RESOLUTION;
        while self.active.balancer.is_pending() {
            let mut changes = self.entry.changes();
            self.active = self.entry.active();
            if !self.active.balancer.is_pending() {
                break;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, changes.changed()).await {
                Ok(Ok(())) => {}
                _ => break,
            }
            self.active = self.entry.active();
            if let Some(peer) = self.choose() {
                return Ok(peer);
            }
        }
        // In the original a request sees only later what its own failures did to the health of a target; so it ends
        // with the last failure, except where each address is tried only once.
        let is_retry = self.chosen.is_some();
        let tries_each_once = self.active.balancer.settings().algorithm == Algorithm::Latency;
        self.choose().ok_or(match is_retry && !tries_each_once {
            true => NoPeer::Exhausted,
            false => NoPeer::Balancer,
        })
    }

    fn choose(&mut self) -> Option<Peer> {
        let ActiveUpstream { upstream, balancer, .. } = &*self.active;
        let peer = balancer.choose(&mut self.choice)?;
        let address = &peer.address;
        self.in_use = match balancer.settings().algorithm {
            Algorithm::LeastConnections => Some(address.begin()),
            Algorithm::Latency => Some(address.begin_measured(Instant::now())),
            _ => None,
        };
        self.chosen = Some(address.clone());
        let host = match (&upstream.host_header, &peer.srv_name) {
            (Some(host), _) => host.as_str().into(),
            (None, Some(name)) if upstream.use_srv_name == Some(true) => name.clone(),
            (None, _) => address.host().clone(),
        };
        Some(Peer {
            address: address.socket(),
            host: Some(host),
        })
    }

    fn report(&self, report: Option<Report>) {
        if let (Some(report), Some(address)) = (report, &self.chosen)
            && self.active.checks.are_on
            && address.report(report, self.active.checks.passive.limits)
        {
            let state = match address.condition().is_available() {
                true => "healthy",
                false => "unhealthy",
            };
            tracing::warn!(
                "target {} ({}) of upstream {} is {state}",
                address.socket(),
                address.host(),
                self.active.upstream.name
            );
        }
    }
}
