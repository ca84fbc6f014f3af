//! What is remembered of an address from request to request, shared by all workers.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::health::{Condition, Health, Limits, Report};
use crate::latency::Ewma;

/// How long an address that no balancer uses any more is remembered with its health.
const KEEP: Duration = Duration::from_secs(300);

/// An address of a target: identity and run-time state.
#[derive(Debug)]
pub struct Address {
    ip: IpAddr,
    port: u16,
    host: Arc<str>,
    health: Health,
    in_flight: AtomicU32,
    pub(crate) ewma: Ewma,
    epoch: Arc<AtomicU64>,
}

impl Address {
    /// Where to connect to.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }

    /// Host of the target it belongs to.
    pub fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// Its health.
    pub fn condition(&self) -> Condition {
        self.health.condition()
    }

    /// Counts what was seen of it. Answers whether it became available or stopped being so.
    pub fn report(&self, report: Report, limits: Limits) -> bool {
        self.flip(self.health.report(report, limits))
    }

    /// Sets its health by hand. Answers whether availability changed.
    pub fn force(&self, is_healthy: bool) -> bool {
        self.flip(self.health.force(is_healthy))
    }

    fn flip(&self, is_flipped: bool) -> bool {
        if is_flipped {
            self.epoch.fetch_add(1, Ordering::Release);
        }
        is_flipped
    }

    /// Requests that are under way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a request as under way until the answer is dropped.
    pub fn begin(self: &Arc<Self>) -> InUse {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InUse {
            address: self.clone(),
            began: None,
        }
    }

    /// As [`Address::begin`]; what is finished with [`InUse::answered`] counts for the latency.
    pub fn begin_measured(self: &Arc<Self>, now: Instant) -> InUse {
        let mut in_use = self.begin();
        in_use.began = Some((now, false));
        in_use
    }

    /// The same address: ip, port and the target's host.
    fn is(&self, ip: IpAddr, port: u16, host: &str) -> bool {
        (self.ip, self.port, &*self.host) == (ip, port, host)
    }
}

/// A request that is under way to an address.
#[derive(Debug)]
pub struct InUse {
    address: Arc<Address>,
    began: Option<(Instant, bool)>,
}

impl InUse {
    /// The address answered: the time until this is dropped counts.
    pub fn answered(&mut self) {
        if let Some((_, has_answered)) = &mut self.began {
            *has_answered = true;
        }
    }

    /// Where it goes.
    pub fn address(&self) -> &Arc<Address> {
        &self.address
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.address.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some((began, true)) = self.began {
            let now = Instant::now();
            self.address
                .ewma
                .record(now, now.saturating_duration_since(began).as_secs_f32());
        }
    }
}

/// The addresses of one upstream, which outlive its balancers. Locked only while a balancer is built.
#[derive(Debug, Default)]
pub struct Addresses {
    epoch: Arc<AtomicU64>,
    known: Mutex<HashMap<SocketAddr, Vec<Known>>>,
}

#[derive(Debug)]
struct Known {
    /// Kept alive by this for a while after the last balancer that used it.
    kept: Option<(Arc<Address>, Instant)>,
    address: Weak<Address>,
}

impl Addresses {
    /// Counts changes of availability of any address.
    pub(crate) fn epoch(&self) -> &Arc<AtomicU64> {
        &self.epoch
    }

    /// The address with this identity, new or as it was left.
    pub(crate) fn get(&self, ip: IpAddr, port: u16, host: &Arc<str>) -> Arc<Address> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = known.entry(SocketAddr::new(ip, port)).or_default();
        let old = entries
            .iter()
            .filter_map(|known| known.address.upgrade())
            .find(|address| address.is(ip, port, host));
        old.unwrap_or_else(|| {
            let address = Arc::new(Address {
                ip,
                port,
                host: host.clone(),
                health: Health::default(),
                in_flight: AtomicU32::new(0),
                ewma: Ewma::default(),
                epoch: self.epoch.clone(),
            });
            entries.push(Known {
                kept: None,
                address: Arc::downgrade(&address),
            });
            address
        })
    }

    /// Remembers all addresses for [`KEEP`] from now and forgets those whose time is over: call after each build.
    pub(crate) fn keep(&self, now: Instant, used: impl Fn(&Arc<Address>) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, entries| {
            entries.retain_mut(|known| {
                let Some(address) = known.address.upgrade() else {
                    return false;
                };
                let until = match &known.kept {
                    Some((_, until)) if !used(&address) => *until,
                    _ => now + KEEP,
                };
                known.kept = (until > now).then_some((address, until));
                known.kept.is_some()
            });
            !entries.is_empty()
        });
    }
}
