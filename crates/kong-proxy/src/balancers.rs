//! The upstreams of a node with their balancers.
//!
//! A snapshot holds an [`UpstreamEntry`] for each upstream, by name. The balancer inside is swapped when targets change or
//! names come to stand for other addresses, so that neither needs a new snapshot; addresses, with their health and
//! what is in flight to them, outlive both.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use kong_balancer::{
    Address, Addresses, Algorithm, Balancer, Resolution, Resolve, Resolved, Settings, Summary, Target as BalancerTarget,
};
use kong_model::{HashInput, Target, Upstream, normalised_target};
use tokio::sync::watch;
use uuid::Uuid;

use crate::checks::Checks;
use crate::names::Names;

/// An upstream on the request path.
pub struct UpstreamEntry {
    id: Uuid,
    addresses: Addresses,
    active: ArcSwap<ActiveUpstream>,
    changes: watch::Sender<()>,
}

/// An upstream as it is at the moment.
pub struct ActiveUpstream {
    /// The entity.
    pub upstream: Arc<Upstream>,
    /// Its health checks.
    pub checks: Arc<Checks>,
    /// Over its targets.
    pub balancer: Balancer,
}

impl UpstreamEntry {
    /// Id of the entity.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// As it is at the moment.
    pub fn active(&self) -> Arc<ActiveUpstream> {
        self.active.load_full()
    }

    /// Tells of the next balancer.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

/// What happened to the table of upstreams by name.
pub(crate) enum NameChange {
    Put(String, Arc<UpstreamEntry>),
    Gone(String),
}

/// See the module.
#[derive(Default)]
pub struct Balancers {
    state: Mutex<State>,
    resolver: OnceLock<Arc<dyn Resolve>>,
    pub(crate) wake: tokio::sync::Notify,
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    upstreams: HashMap<Uuid, Rows>,
    upstream_of: HashMap<Uuid, Uuid>,
    names: Names,
}

/// What is configured of one upstream. Targets may be here before it.
#[derive(Default)]
struct Rows {
    upstream: Option<Arc<Upstream>>,
    targets: BTreeMap<Uuid, Target>,
    entry: Option<Arc<UpstreamEntry>>,
    names: BTreeSet<Arc<str>>,
}

/// A change to an upstream or a target.
pub(crate) enum BalancerChange {
    Upstream(Box<Upstream>),
    UpstreamGone(Uuid),
    Target(Target),
    TargetGone(Uuid),
}

/// Why a target's health cannot be set by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetHealthError {
    /// The upstream has no balancer.
    NoBalancer,
    /// Its health checks are off.
    NoHealthChecks,
}

impl Balancers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes static names from this resolver. Without one, only addresses are known until
    /// [`Balancers::resolve_names`] runs.
    pub fn use_resolver(&self, resolver: Arc<dyn Resolve>) {
        let _ = self.resolver.set(resolver);
    }

    /// Applies changes of rows; each upstream that is concerned gets one new balancer.
    pub(crate) fn apply(&self, changes: impl IntoIterator<Item = BalancerChange>) -> Vec<NameChange> {
        let mut state = self.state();
        let mut touched = BTreeSet::new();
        let mut renamed = Vec::new();
        for change in changes {
            match change {
                BalancerChange::Upstream(upstream) => {
                    let rows = state.upstreams.entry(upstream.id).or_default();
                    touched.insert(upstream.id);
                    if let Some(old) = rows.upstream.replace(Arc::new(*upstream))
                        && rows.upstream.as_ref().is_some_and(|new| new.name != old.name)
                    {
                        renamed.push(NameChange::Gone(old.name.clone()));
                    }
                }
                BalancerChange::UpstreamGone(id) => {
                    if let Some(rows) = state.upstreams.get_mut(&id)
                        && let Some(old) = rows.upstream.take()
                    {
                        rows.entry = None;
                        renamed.push(NameChange::Gone(old.name.clone()));
                        touched.insert(id);
                    }
                }
                BalancerChange::Target(target) => {
                    let upstream = target.upstream.id;
                    if let Some(old) = state.upstream_of.insert(target.id, upstream)
                        && old != upstream
                        && let Some(rows) = state.upstreams.get_mut(&old)
                    {
                        rows.targets.remove(&target.id);
                        touched.insert(old);
                    }
                    let rows = state.upstreams.entry(upstream).or_default();
                    rows.targets.insert(target.id, target);
                    touched.insert(upstream);
                }
                BalancerChange::TargetGone(id) => {
                    if let Some(upstream) = state.upstream_of.remove(&id)
                        && let Some(rows) = state.upstreams.get_mut(&upstream)
                    {
                        rows.targets.remove(&id);
                        touched.insert(upstream);
                    }
                }
            }
        }
        for id in touched {
            self.rebuild(&mut state, id);
            if let Some(rows) = state.upstreams.get(&id) {
                match (&rows.upstream, &rows.entry) {
                    (Some(upstream), Some(entry)) => {
                        renamed.push(NameChange::Put(upstream.name.clone(), entry.clone()));
                    }
                    _ if rows.targets.is_empty() => {
                        state.upstreams.remove(&id);
                    }
                    _ => {}
                }
            }
        }
        drop(state);
        self.announce();
        renamed
    }

    /// Something changed that probes or the resolver should know of.
    fn announce(&self) {
        self.wake.notify_one();
        self.version.send_modify(|version| *version += 1);
    }

    /// Gives an upstream a new balancer.
    fn rebuild(&self, state: &mut State, id: Uuid) {
        let State { upstreams, names, .. } = state;
        let Some(rows) = upstreams.get_mut(&id) else { return };
        let mut used = BTreeSet::new();
        let mut targets = Vec::new();
        for target in in_order(&rows.targets) {
            let resolution = match Resolution::of_literal(&target.host) {
                Resolution::Pending => {
                    let name: Arc<str> = target.host.to_ascii_lowercase().into();
                    let known = || self.resolver.get().and_then(|resolver| resolver.known(&name));
                    let resolution = names.used_by(&name, id, known);
                    used.insert(name);
                    resolution
                }
                literal => Arc::new(literal),
            };
            targets.push(Resolved { target, resolution });
        }
        let Some(upstream) = &rows.upstream else {
            targets.clear();
            used.clear();
            names.no_longer_used_by(rows.names.iter(), id);
            rows.names = used;
            return;
        };
        names.no_longer_used_by(rows.names.difference(&used), id);
        rows.names = used;
        let old = rows.entry.as_ref();
        let addresses = old.is_none().then(Addresses::default);
        let Some(addresses_in_use) = old.map(|entry| &entry.addresses).or(addresses.as_ref()) else {
            return;
        };
        let active = Arc::new(ActiveUpstream {
            balancer: Balancer::build(settings(upstream), targets, addresses_in_use),
            checks: Arc::new(Checks::new(&upstream.healthchecks, upstream.host_header.as_deref())),
            upstream: upstream.clone(),
        });
        if !active.checks.are_on {
            // Nobody would ever put them back.
            active.balancer.peers().iter().for_each(|peer| {
                peer.address.force(true);
            });
        }
        match (&rows.entry, addresses) {
            (Some(entry), _) => {
                entry.active.store(active);
                entry.changes.send_replace(());
            }
            (None, addresses) => {
                rows.entry = Some(Arc::new(UpstreamEntry {
                    id,
                    addresses: addresses.unwrap_or_default(),
                    active: ArcSwap::new(active),
                    changes: watch::Sender::new(()),
                }));
            }
        }
    }

    /// Ids of all rows.
    pub(crate) fn ids(&self, entity: &str) -> Vec<Uuid> {
        let state = self.state();
        match entity {
            "upstreams" => {
                let with_row = state.upstreams.iter().filter(|(_, rows)| rows.upstream.is_some());
                with_row.map(|(id, _)| *id).collect()
            }
            "targets" => state.upstream_of.keys().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// Ids of the targets of an upstream.
    pub fn targets_of(&self, upstream: Uuid) -> Vec<Uuid> {
        let state = self.state();
        let rows = state.upstreams.get(&upstream);
        rows.map_or_else(Vec::new, |rows| rows.targets.keys().copied().collect())
    }

    /// All upstreams.
    pub fn entries(&self) -> Vec<Arc<UpstreamEntry>> {
        let state = self.state();
        state.upstreams.values().filter_map(|rows| rows.entry.clone()).collect()
    }

    /// Changes whenever an upstream or its balancer does.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// An upstream.
    pub fn entry(&self, upstream: Uuid) -> Option<Arc<UpstreamEntry>> {
        self.state().upstreams.get(&upstream)?.entry.clone()
    }

    /// Health of an upstream as of now: whether its checks are on, and what they found.
    pub fn summary(&self, upstream: Uuid) -> Option<(bool, Summary)> {
        let active = self.entry(upstream)?.active();
        Some((active.checks.are_on, active.balancer.summary()))
    }

    /// Sets the health of a target's addresses by hand, of one if `address` names one.
    ///
    /// # Errors
    /// See [`SetHealthError`].
    pub fn set_health(
        &self,
        upstream: Uuid,
        host: &str,
        port: u16,
        address: Option<(IpAddr, u16)>,
        is_healthy: bool,
    ) -> Result<(), SetHealthError> {
        let active = self.entry(upstream).ok_or(SetHealthError::NoBalancer)?.active();
        if !active.checks.are_on {
            return Err(SetHealthError::NoHealthChecks);
        }
        let balancer = &active.balancer;
        let is_meant = |of: &Address| address.is_none_or(|(ip, port)| of.socket() == (ip, port).into());
        for peer in balancer.peers() {
            let is_its = balancer
                .target_of(peer)
                .is_some_and(|target| &*target.host == host && target.port == port);
            if is_its && is_meant(&peer.address) {
                peer.address.force(is_healthy);
            }
        }
        Ok(())
    }

    /// Acts on what another node announced (`balancer:post_health`):
    /// `hostname|ip|port|1 or 0|upstream id|upstream name`.
    pub fn take_announcement(&self, data: &str) {
        let mut parts = data.split('|');
        let mut next = || parts.next().unwrap_or_default();
        let (host, ip, port, health, upstream) = (next(), next(), next(), next(), next());
        let (Ok(port), Ok(upstream)) = (port.parse::<u16>(), upstream.parse::<Uuid>()) else {
            return;
        };
        let ip = ip.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let Some(entry) = self.entry(upstream) else { return };
        let active = entry.active();
        for peer in active.balancer.peers() {
            let address = &peer.address;
            let is_its = &**address.host() == host
                && match ip {
                    Some(ip) => address.socket() == (ip, port).into(),
                    None => active
                        .balancer
                        .target_of(peer)
                        .is_some_and(|target| target.port == port),
                };
            if is_its {
                address.force(health == "1");
            }
        }
    }

    /// Resolves the names of targets for ever, each anew when its answer has expired (upstream.md §13). `stale`: how
    /// long an answer is used when no newer one can be had.
    pub async fn resolve_names(self: Arc<Self>, resolver: Arc<dyn Resolve>, stale: Duration) {
        /// Look-ups at a time.
        const CONCURRENT: usize = 64;
        let mut running = tokio::task::JoinSet::new();
        loop {
            let next = {
                let mut state = self.state();
                while running.len() < CONCURRENT
                    && let Some(name) = state.names.take_due(Instant::now())
                {
                    let resolver = resolver.clone();
                    running.spawn(async move {
                        let answer = resolver.resolve(&name).await;
                        (name, answer)
                    });
                }
                match running.len() < CONCURRENT {
                    true => state.names.next_due(),
                    false => None,
                }
            };
            let due = async {
                match next {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = due => {}
                Some(done) = running.join_next() => {
                    let Ok((name, answer)) = done else { continue };
                    let mut state = self.state();
                    let users = state.names.answered(&name, answer, Instant::now(), stale);
                    let is_changed = !users.is_empty();
                    for upstream in users {
                        self.rebuild(&mut state, upstream);
                    }
                    drop(state);
                    if is_changed {
                        self.version.send_modify(|version| *version += 1);
                    }
                }
            }
        }
    }
}

/// Targets by age; of several with the same address the newest counts.
fn in_order(targets: &BTreeMap<Uuid, Target>) -> Vec<BalancerTarget> {
    let mut rows: Vec<&Target> = targets.values().collect();
    rows.sort_by(|a, b| a.created_at.total_cmp(&b.created_at).then(a.id.cmp(&b.id)));
    let mut newest: HashMap<String, usize> = HashMap::new();
    let named: Vec<(String, &Target)> = rows
        .into_iter()
        .filter_map(|row| Some((normalised_target(&row.target)?, row)))
        .collect();
    for (n, (name, _)) in named.iter().enumerate() {
        newest.insert(name.clone(), n);
    }
    let counts = named
        .iter()
        .enumerate()
        .filter(|(n, (name, _))| newest.get(name) == Some(n));
    counts
        .filter_map(|(_, (name, row))| {
            let (host, port) = name.rsplit_once(':')?;
            Some(BalancerTarget {
                host: host.into(),
                port: port.parse().ok()?,
                weight: row.weight,
            })
        })
        .collect()
}

/// The algorithm follows from what is hashed, however the row came to be (upstream.md §9).
fn settings(upstream: &Upstream) -> Settings {
    use kong_model::Algorithm as Configured;
    let is_hashed = upstream.hash_on.is_some_and(|input| input != HashInput::None);
    Settings {
        algorithm: match upstream.algorithm {
            Some(Configured::LeastConnections) => Algorithm::LeastConnections,
            Some(Configured::Latency) => Algorithm::Latency,
            _ if is_hashed => Algorithm::ConsistentHashing,
            _ => Algorithm::RoundRobin,
        },
        slots: upstream.slots,
        threshold: upstream.healthchecks.threshold.unwrap_or(0.0),
    }
}

#[cfg(test)]
#[path = "balancers_tests.rs"]
mod tests;
