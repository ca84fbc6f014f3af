//! An upstream's balancer: immutable, built anew when targets or their addresses change (upstream.md §10, §11).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::address::{Address, Addresses};
use crate::latency::Ewma;
use crate::least_connections;
use crate::ring::{self, Ring};
use crate::settings::{Algorithm, Resolved, Settings, Target};
use crate::wheel::Wheel;
use crate::{Condition, Resolution};

/// See the module.
#[derive(Debug)]
pub struct Balancer {
    settings: Settings,
    targets: Vec<Resolved>,
    peers: Vec<Peer>,
    picker: Picker,
    total: u64,
    /// Changes of availability, of all addresses of the upstream.
    epoch: Arc<AtomicU64>,
    /// The epoch for which health was worked out, twice, plus one if the upstream is healthy.
    health: AtomicU64,
    is_pending: bool,
}

#[derive(Debug)]
enum Picker {
    Wheel(Wheel),
    Ring(Ring),
    /// Least connections and latency look at all peers; the wheel decides where to begin, so that equals take turns.
    Scan,
}

/// An address that requests can go to.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The address with its run-time state.
    pub address: Arc<Address>,
    /// Its weight.
    pub weight: u32,
    /// The name in the SRV record that it comes from.
    pub srv_name: Option<Arc<str>>,
    index: u32,
    target: u32,
}

/// What the choices for one request have in common.
#[derive(Debug, Clone)]
pub struct Choice {
    worker: usize,
    hash: u32,
    failed: Vec<u32>,
    last: Option<u32>,
}

impl Choice {
    /// For a request of this worker.
    pub fn new(worker: usize) -> Self {
        Choice {
            worker,
            hash: 0,
            failed: Vec::new(),
            last: None,
        }
    }

    /// With the hash that consistent hashing goes by ([`hash`](crate::hash)).
    pub fn with_hash(mut self, hash: u32) -> Self {
        self.hash = hash;
        self
    }

    /// Every choice after the first means that the one before failed.
    fn note_failure(&mut self) {
        if let Some(last) = self.last.take()
            && !self.failed.contains(&last)
        {
            self.failed.push(last);
        }
    }

    fn has_failed(&self, peer: usize) -> bool {
        self.failed.iter().any(|failed| *failed as usize == peer)
    }
}

/// Weights of an upstream or a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// Of all addresses.
    pub total: u64,
    /// Of those that are available.
    pub available: u64,
}

/// What the Admin API tells of an upstream.
#[derive(Debug, Clone)]
pub struct Summary {
    /// More weight is available than the threshold asks for.
    pub is_healthy: bool,
    /// Weights.
    pub weight: Weight,
    /// Targets in order.
    pub hosts: Vec<HostSummary>,
}

/// What the Admin API tells of a target.
#[derive(Debug, Clone)]
pub struct HostSummary {
    /// The target.
    pub target: Target,
    /// What is known of its name.
    pub resolution: Arc<Resolution>,
    /// Weights.
    pub weight: Weight,
    /// Its addresses with their weights.
    pub addresses: Vec<(Arc<Address>, u32)>,
}

impl Balancer {
    /// A balancer over these targets. Addresses are taken from, and remembered in, `addresses`.
    pub fn build(settings: Settings, targets: Vec<Resolved>, addresses: &Addresses) -> Self {
        let mut peers = Vec::new();
        for (n, Resolved { target, resolution }) in (0_u32..).zip(&targets) {
            for record in resolution.records() {
                // A target of weight 0 is out, whatever its SRV records say.
                let weight = match target.weight {
                    0 => 0,
                    weight => record.weight.unwrap_or(weight),
                };
                peers.push(Peer {
                    address: addresses.get(record.ip, record.port.unwrap_or(target.port), &target.host),
                    weight,
                    srv_name: record.name.clone(),
                    index: u32::try_from(peers.len()).unwrap_or(u32::MAX),
                    target: n,
                });
            }
        }
        let now = Instant::now();
        addresses.keep(now, |address| {
            peers.iter().any(|peer| Arc::ptr_eq(&peer.address, address))
        });
        let picker = match settings.algorithm {
            Algorithm::RoundRobin => {
                let weights: Vec<u32> = peers.iter().map(|peer| peer.weight).collect();
                Picker::Wheel(Wheel::new(&weights))
            }
            Algorithm::ConsistentHashing => Picker::Ring(ring(settings.slots, &targets, &peers)),
            Algorithm::LeastConnections => Picker::Scan,
            Algorithm::Latency => {
                begin_with_average(now, &peers);
                Picker::Scan
            }
        };
        Balancer {
            settings,
            total: peers.iter().map(|peer| u64::from(peer.weight)).sum(),
            is_pending: targets.iter().any(|t| *t.resolution == Resolution::Pending),
            targets,
            peers,
            picker,
            epoch: addresses.epoch().clone(),
            health: AtomicU64::new(u64::MAX),
        }
    }

    /// Settings it was built with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Some target's name was not resolved yet: what has no peer now may have one soon.
    pub fn is_pending(&self) -> bool {
        self.is_pending
    }

    /// All addresses, those of weight 0 included.
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// The target that a peer belongs to.
    pub fn target_of(&self, peer: &Peer) -> Option<&Target> {
        self.targets.get(peer.target as usize).map(|t| &t.target)
    }

    /// Whether more weight is available than the threshold asks for.
    pub fn is_healthy(&self) -> bool {
        let epoch = self.epoch.load(Ordering::Acquire) << 1;
        let health = self.health.load(Ordering::Relaxed);
        if health & !1 == epoch {
            return health & 1 == 1;
        }
        let is_healthy = self.is_weight_healthy(self.weight(|_| true));
        self.health.store(epoch | u64::from(is_healthy), Ordering::Relaxed);
        is_healthy
    }

    fn is_weight_healthy(&self, weight: Weight) -> bool {
        weight.total > 0 && weight.available as f64 / weight.total as f64 * 100.0 > self.settings.threshold
    }

    fn weight(&self, counts: impl Fn(&Peer) -> bool) -> Weight {
        let mut sum = Weight::default();
        for peer in self.peers.iter().filter(|peer| counts(peer)) {
            sum.total += u64::from(peer.weight);
            if peer.address.condition().is_available() {
                sum.available += u64::from(peer.weight);
            }
        }
        sum
    }

    /// The address for a request's first try, or, called again, for the next one. `None`: there is none to be had.
    pub fn choose(&self, choice: &mut Choice) -> Option<&Peer> {
        choice.note_failure();
        if self.total == 0 || !self.is_healthy() {
            return None;
        }
        let index = match (&self.picker, self.settings.algorithm) {
            (Picker::Wheel(wheel), _) => {
                let fresh = wheel.next(choice.worker, |peer| {
                    self.is_available(peer) && !choice.has_failed(peer)
                });
                // The original may take the same one again at once; we do when there is no other.
                fresh.or_else(|| wheel.next(choice.worker, |peer| self.is_available(peer)))
            }
            (Picker::Ring(ring), _) => ring.find(choice.hash, |peer| self.is_available(peer)),
            (Picker::Scan, Algorithm::Latency) => self.fastest(choice),
            (Picker::Scan, _) => self.least_loaded(choice),
        }?;
        choice.last = u32::try_from(index).ok();
        self.peers.get(index)
    }

    fn is_available(&self, peer: usize) -> bool {
        self.peers
            .get(peer)
            .is_some_and(|peer| peer.weight > 0 && peer.address.condition().is_available())
    }

    fn least_loaded(&self, choice: &mut Choice) -> Option<usize> {
        let start = fastrand::usize(..self.peers.len().max(1));
        let load = |choice: &Choice, peer: usize| {
            let is_candidate = self.is_available(peer) && !choice.has_failed(peer);
            let peer = self.peers.get(peer).filter(|_| is_candidate)?;
            Some((peer.address.in_flight(), peer.weight))
        };
        let best = least_connections::best(self.peers.len(), start, |peer| load(choice, peer));
        best.or_else(|| {
            choice.failed.clear();
            least_connections::best(self.peers.len(), start, |peer| load(choice, peer))
        })
    }

    /// Every address is tried once.
    fn fastest(&self, choice: &Choice) -> Option<usize> {
        let now = Instant::now();
        let len = self.peers.len();
        let start = fastrand::usize(..len.max(1));
        let mut best: Option<(usize, f32)> = None;
        for index in (0..len).map(|n| (start + n) % len) {
            if !self.is_available(index) || choice.has_failed(index) {
                continue;
            }
            let Some(peer) = self.peers.get(index) else { continue };
            let score = peer.address.ewma.value(now) / peer.weight as f32;
            if best.is_none_or(|(_, best)| score < best) {
                best = Some((index, score));
            }
        }
        best.map(|(index, _)| index)
    }

    /// What the Admin API tells.
    pub fn summary(&self) -> Summary {
        let hosts = (0_u32..)
            .zip(&self.targets)
            .map(|(n, Resolved { target, resolution })| {
                let is_its = |peer: &Peer| peer.target == n;
                HostSummary {
                    target: target.clone(),
                    resolution: resolution.clone(),
                    weight: self.weight(is_its),
                    addresses: self
                        .peers
                        .iter()
                        .filter(|peer| is_its(peer))
                        .map(|peer| (peer.address.clone(), peer.weight))
                        .collect(),
                }
            });
        let weight = self.weight(|_| true);
        Summary {
            is_healthy: self.is_weight_healthy(weight),
            weight,
            hosts: hosts.collect(),
        }
    }
}

impl HostSummary {
    /// Whether any of its addresses is available.
    pub fn is_any_available(&self) -> bool {
        self.addresses
            .iter()
            .map(|(address, _)| address.condition())
            .any(Condition::is_available)
    }
}

fn ring(slots: u32, targets: &[Resolved], peers: &[Peer]) -> Ring {
    let entries = peers.iter().filter_map(|peer| {
        let target = &targets.get(peer.target as usize)?.target;
        Some(ring::Entry {
            peer: peer.index,
            host: &target.host,
            host_port: target.port,
            ip: peer.address.socket().ip(),
            port: peer.address.socket().port(),
            weight: peer.weight,
        })
    });
    Ring::new(slots, targets.len(), entries.collect())
}

/// New addresses begin with the average of those that are known and available.
fn begin_with_average(now: Instant, peers: &[Peer]) {
    let known: Vec<f32> = peers
        .iter()
        .filter(|peer| !peer.address.ewma.is_new() && peer.address.condition().is_available())
        .map(|peer| peer.address.ewma.value(now))
        .collect();
    if known.is_empty() {
        return;
    }
    let average = known.iter().sum::<f32>() / known.len() as f32;
    let new = peers.iter().map(|peer| &peer.address.ewma).filter(|ewma| ewma.is_new());
    new.for_each(|ewma: &Ewma| ewma.begin_with(now, average));
}

#[cfg(test)]
#[path = "balancer_tests.rs"]
mod tests;
