//! Upstreams by name. Copies share structure, so that publishing a new upstream does not copy the names of all others.
//!
//! On the request path: nothing while there is no upstream, one hash of the name otherwise.

use std::collections::HashMap;
use std::sync::Arc;

use crate::balancers::UpstreamEntry;

const SHARDS: usize = 64;

type Shard = HashMap<String, Arc<UpstreamEntry>, ahash::RandomState>;

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct UpstreamNames {
    shards: Arc<Vec<Arc<Shard>>>,
    hasher: ahash::RandomState,
    len: usize,
}

impl UpstreamNames {
    fn shard(&self, name: &str) -> usize {
        // The upper bits: the lower ones choose the bucket within the shard.
        (self.hasher.hash_one(name) >> 32) as usize % SHARDS
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<UpstreamEntry>> {
        if self.len == 0 {
            return None;
        }
        self.shards.get(self.shard(name))?.get(name)
    }

    pub(crate) fn insert(&mut self, name: String, entry: Arc<UpstreamEntry>) {
        if self.get(&name).is_some_and(|old| Arc::ptr_eq(old, &entry)) {
            return;
        }
        let at = self.shard(&name);
        let shards = Arc::make_mut(&mut self.shards);
        if shards.is_empty() {
            let hasher = &self.hasher;
            shards.resize_with(SHARDS, || Arc::new(Shard::with_hasher(hasher.clone())));
        }
        if let Some(shard) = shards.get_mut(at)
            && Arc::make_mut(shard).insert(name, entry).is_none()
        {
            self.len += 1;
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        let at = self.shard(name);
        if self.get(name).is_some()
            && let Some(shard) = Arc::make_mut(&mut self.shards).get_mut(at)
            && Arc::make_mut(shard).remove(name).is_some()
        {
            self.len -= 1;
        }
    }
}
