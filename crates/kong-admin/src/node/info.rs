//! What the Admin and Status APIs ask of the node that embeds them.

use kong_datastore::BoxFuture;
use kong_schema::Object;
use serde_json::Value;
use uuid::Uuid;

/// The node behind the API. Every method answers at once from memory, except the cache's, which may wait for a lock.
pub trait NodeInfo: Send + Sync + 'static {
    /// Identity of the node, new at every start unless configured.
    fn node_id(&self) -> Uuid;

    /// Name of the machine.
    fn hostname(&self) -> String;

    /// Version of Kong that the node stands in for.
    fn version(&self) -> &str {
        "3.9.3"
    }

    /// Effective configuration, secrets already masked (admin-api.md §8.1).
    fn configuration(&self) -> Object;

    /// Process ids.
    fn pids(&self) -> Pids {
        Pids {
            master: std::process::id(),
            workers: vec![std::process::id()],
        }
    }

    /// Background timers.
    fn timers(&self) -> Timers {
        Timers::default()
    }

    /// Connections and requests.
    fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Memory in use.
    fn memory(&self) -> Memory {
        Memory::default()
    }

    /// Hash of the running configuration, only without a database; 32 zeros while there is none.
    fn configuration_hash(&self) -> Option<String> {
        None
    }

    /// Why the node should not get traffic yet or any more, e.g. `draining`.
    fn readiness(&self) -> Result<(), String> {
        Ok(())
    }

    /// From now on readiness is `draining`; everything else goes on working.
    fn start_draining(&self) {}

    /// The log level, if the node lets it change while it runs.
    fn log_levels(&self) -> Option<&dyn LogLevels> {
        None
    }

    /// The cached object under a key of the entity cache.
    fn cached<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, Option<Value>> {
        Box::pin(std::future::ready(None))
    }

    /// Drops a key from the entity caches.
    fn invalidate<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Empties the entity caches of this node.
    fn purge_caches(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Reads and changes the node's log level.
pub trait LogLevels: Send + Sync {
    /// One of debug, info, notice, warn, error, crit, alert, emerg.
    fn level(&self) -> String;

    /// Sets it; only known levels are passed.
    fn set_level(&self, level: &str);
}

/// Process ids of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pids {
    /// The process that clients signal.
    pub master: u32,
    /// Workers; the same process where workers are threads.
    pub workers: Vec<u32>,
}

/// Background timers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timers {
    /// Running now.
    pub running: u64,
    /// Waiting.
    pub pending: u64,
}

/// Connection counters of the data plane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Accepted since start.
    pub accepted: u64,
    /// Open now.
    pub active: u64,
    /// Handled since start.
    pub handled: u64,
    /// Reading a request head.
    pub reading: u64,
    /// Idle between requests.
    pub waiting: u64,
    /// Processing a request or writing an answer.
    pub writing: u64,
    /// Requests since start.
    pub requests: u64,
}

/// Memory of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in use per worker, by process id.
    pub workers: Vec<(u32, u64)>,
    /// Shared areas, named as the original names its dictionaries.
    pub zones: Vec<Zone>,
}

/// A shared memory area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Name, e.g. `kong_db_cache`.
    pub name: String,
    /// Bytes in use.
    pub allocated: u64,
    /// Most bytes it may use.
    pub capacity: u64,
}
