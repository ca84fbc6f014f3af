//! What a balancer is made from.

use std::sync::Arc;

use crate::resolve::Resolution;

/// How an address is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// In turn, in proportion to the weights.
    #[default]
    RoundRobin,
    /// By the hash of something in the request.
    ConsistentHashing,
    /// The one with the fewest requests in flight for its weight.
    LeastConnections,
    /// The one that answered fastest lately, for its weight.
    Latency,
}

/// Settings of an upstream as far as they concern the choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How an address is chosen.
    pub algorithm: Algorithm,
    /// Points of the ring of consistent hashing; below 1000 means 1000.
    pub slots: u32,
    /// The upstream is healthy while more than this percentage of its weight is available.
    pub threshold: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            algorithm: Algorithm::RoundRobin,
            slots: 10_000,
            threshold: 0.0,
        }
    }
}

/// A target as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Name or address; IPv6 in brackets.
    pub host: Arc<str>,
    /// Port.
    pub port: u16,
    /// Share of the load of each of its addresses; 0: none.
    pub weight: u32,
}

/// A target and what its name stands for.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The target.
    pub target: Target,
    /// What came of its name.
    pub resolution: Arc<Resolution>,
}

impl Resolved {
    /// Joins the two.
    pub fn new(target: Target, resolution: impl Into<Arc<Resolution>>) -> Self {
        Resolved {
            target,
            resolution: resolution.into(),
        }
    }
}
