//! Chooses the target of an upstream for a request and keeps book of the targets' health. Opens no sockets: names are
//! resolved, targets probed and requests sent by others, who report here.
//!
//! A [`Balancer`] is built from an upstream's settings, its targets and their resolved addresses, and is immutable. What
//! changes with every request (health, requests in flight, latencies) is in an [`Address`] each, made of atomics, which
//! all workers share and which outlives the balancer: [`Addresses`] hands the same ones to the next balancer.
//!
//! On the request path: a choice takes no lock and allocates nothing.
//!
//! ```
//! use kong_balancer::*;
//!
//! let settings = Settings { algorithm: Algorithm::RoundRobin, ..Settings::default() };
//! let targets = ["10.0.0.1", "10.0.0.2"].map(|host| {
//!     Resolved::new(Target { host: host.into(), port: 80, weight: 100 }, Resolution::of_literal(host))
//! });
//! let addresses = Addresses::default();
//! let balancer = Balancer::build(settings, targets.to_vec(), &addresses);
//!
//! let mut choice = Choice::new(0);
//! let first = balancer.choose(&mut choice).ok_or("no peer")?;
//! // It could not be reached: the retry goes to the other one.
//! first.address.report(Report::TcpFailure, Limits { tcp_failures: 1, ..Limits::default() });
//! let second = balancer.choose(&mut choice).ok_or("no peer")?;
//! assert_ne!(first.address.socket(), second.address.socket());
//! assert_eq!(balancer.summary().weight.available, 100);
//! # Ok::<(), &'static str>(())
//! ```

mod address;
mod balancer;
mod health;
mod latency;
mod least_connections;
mod resolve;
mod ring;
mod settings;
mod wheel;

pub use address::{Address, Addresses, InUse};
pub use balancer::{Balancer, Choice, HostSummary, Peer, Summary, Weight};
pub use health::{Condition, Limits, Report};
pub use resolve::{Answer, LITERAL_TTL, Record, RecordKind, Resolution, Resolve, ResolveError, Resolving};
pub use ring::hash;
pub use settings::{Algorithm, Resolved, Settings, Target};
