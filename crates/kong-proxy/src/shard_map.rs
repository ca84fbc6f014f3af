//! A map by UUID whose copies share structure: changing one entry copies one small shard, so that publishing a change
//! costs in proportion to the change.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use uuid::Uuid;

/// UUIDs are random already (v4) or hashes (v5): eight of their bytes are as good as a hash of all.
#[derive(Default, Clone, Copy)]
pub(crate) struct UuidHasher(u64);

impl Hasher for UuidHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut eight = [0; 8];
            for (to, from) in eight.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.0 = (self.0.rotate_left(23) ^ u64::from_le_bytes(eight)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }
}

pub(crate) type UuidMap<V> = HashMap<Uuid, V, BuildHasherDefault<UuidHasher>>;

const SHARDS: usize = 256;

/// See the module.
#[derive(Clone)]
pub(crate) struct ShardMap<V> {
    shards: Arc<Vec<Arc<UuidMap<V>>>>,
    len: usize,
}

impl<V> Default for ShardMap<V> {
    fn default() -> Self {
        let empty = Arc::new(UuidMap::default());
        ShardMap {
            shards: Arc::new(vec![empty; SHARDS]),
            len: 0,
        }
    }
}

impl<V: Clone> ShardMap<V> {
    fn shard(id: &Uuid) -> usize {
        let [first, .., last] = id.as_bytes();
        usize::from(first ^ last)
    }

    pub(crate) fn get(&self, id: &Uuid) -> Option<&V> {
        if self.len == 0 {
            return None;
        }
        self.shards.get(Self::shard(id))?.get(id)
    }

    pub(crate) fn insert(&mut self, id: Uuid, value: V) {
        if let Some(shard) = Arc::make_mut(&mut self.shards).get_mut(Self::shard(&id))
            && Arc::make_mut(shard).insert(id, value).is_none()
        {
            self.len += 1;
        }
    }

    pub(crate) fn remove(&mut self, id: &Uuid) {
        if self.get(id).is_some()
            && let Some(shard) = Arc::make_mut(&mut self.shards).get_mut(Self::shard(id))
            && Arc::make_mut(shard).remove(id).is_some()
        {
            self.len -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_does_not_see_later_changes() {
        let mut map = ShardMap::default();
        let ids: Vec<Uuid> = (0..1000).map(|_| Uuid::new_v4()).collect();
        for (n, id) in ids.iter().enumerate() {
            map.insert(*id, n);
        }
        let before = map.clone();
        map.remove(&ids[0]);
        map.insert(ids[1], 7);
        assert_eq!(
            (before.get(&ids[0]), before.get(&ids[1]), before.len),
            (Some(&0), Some(&1), 1000)
        );
        assert_eq!((map.get(&ids[0]), map.get(&ids[1]), map.len), (None, Some(&7), 999));
    }
}
