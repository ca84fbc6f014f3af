//! Stored responses of a node.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kong_message::HeaderBlock;
use moka::Expiry;
use moka::sync::Cache;
use serde_json::{Value, json};
use uuid::Uuid;

/// Most bytes of stored responses.
const CAPACITY: u64 = 128 << 20;
/// Longest body that is stored.
pub(super) const LONGEST_BODY: usize = 16 << 20;

/// A stored response.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) status: u16,
    pub(super) headers: Vec<(Bytes, Bytes)>,
    pub(super) body: Bytes,
    /// Unix seconds.
    pub(super) timestamp: u64,
    /// Seconds for which it is fresh.
    pub(super) ttl: u64,
    /// Seconds for which it stays.
    pub(super) stays: u64,
    pub(super) request_body: Bytes,
}

impl Stored {
    fn size(&self) -> u32 {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 64)
            .sum();
        u32::try_from(headers + self.body.len() + self.request_body.len() + 256).unwrap_or(u32::MAX)
    }

    /// As the Admin API shows it.
    pub(super) fn document(&self) -> Value {
        let mut block = HeaderBlock::new();
        self.headers.iter().for_each(|(name, value)| block.append(name, value));
        json!({
            "status": self.status,
            "headers": kong_plugin::serializer::headers(&block),
            "body": String::from_utf8_lossy(&self.body),
            "body_len": self.body.len(),
            "timestamp": self.timestamp,
            "ttl": self.ttl,
            "version": 1,
            "req_body": String::from_utf8_lossy(&self.request_body),
        })
    }
}

struct UntilItsTime;

impl Expiry<(Arc<str>, String), Arc<Stored>> for UntilItsTime {
    fn expire_after_create(&self, _: &(Arc<str>, String), value: &Arc<Stored>, _: Instant) -> Option<Duration> {
        Some(Duration::from_secs(value.stays))
    }

    fn expire_after_update(
        &self,
        _: &(Arc<str>, String),
        value: &Arc<Stored>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(Duration::from_secs(value.stays))
    }
}

/// The store, and which instances use which part of it.
pub struct Store {
    responses: Cache<(Arc<str>, String), Arc<Stored>>,
    instances: RwLock<Vec<(Uuid, Arc<str>)>>,
}

impl Default for Store {
    fn default() -> Self {
        let responses = Cache::builder()
            .max_capacity(CAPACITY)
            .weigher(|(_, key): &(Arc<str>, String), stored: &Arc<Stored>| {
                stored.size().saturating_add(key.len() as u32)
            })
            .expire_after(UntilItsTime)
            .build();
        Store {
            responses,
            instances: RwLock::default(),
        }
    }
}

impl Store {
    pub(super) fn get(&self, part: &Arc<str>, key: &str) -> Option<Arc<Stored>> {
        self.responses.get(&(part.clone(), key.to_owned()))
    }

    pub(super) fn put(&self, part: &Arc<str>, key: String, stored: Stored) {
        self.responses.insert((part.clone(), key), Arc::new(stored));
    }

    pub(super) fn clear(&self) {
        self.responses.invalidate_all();
    }

    pub(super) fn set_instances(&self, instances: Vec<(Uuid, Arc<str>)>) {
        *self.instances.write().unwrap_or_else(PoisonError::into_inner) = instances;
    }

    /// The part that holds a key: of one instance, or of the first that has it.
    pub(super) fn part_with(&self, instance: Option<Uuid>, key: &str) -> Option<Arc<str>> {
        let instances = self.instances.read().unwrap_or_else(PoisonError::into_inner);
        let mut parts = instances
            .iter()
            .filter(|(id, _)| instance.is_none_or(|wanted| wanted == *id));
        parts
            .find(|(_, part)| self.get(part, key).is_some())
            .map(|(_, part)| part.clone())
    }

    pub(super) fn remove(&self, part: &Arc<str>, key: &str) {
        self.responses.invalidate(&(part.clone(), key.to_owned()));
    }
}
