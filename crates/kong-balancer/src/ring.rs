//! Consistent hashing: the original's ring, point for point (upstream.md §11), so that a client keeps its target when
//! a gateway is replaced by this one.

use std::net::IpAddr;

use twox_hash::XxHash32;

/// Entries of an address of average weight.
const ENTRIES: u64 = 160;
/// Fewest points.
const MIN_POINTS: u32 = 1000;

/// Hash of what a request is balanced by.
pub fn hash(input: &[u8]) -> u32 {
    XxHash32::oneshot(0, input)
}

/// An address on its way to the ring.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    pub(crate) peer: u32,
    pub(crate) host: &'a str,
    pub(crate) host_port: u16,
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
    pub(crate) weight: u32,
}

#[derive(Debug)]
pub(crate) struct Ring {
    points: u32,
    /// Occupied points in rising order.
    entries: Vec<(u32, u32)>,
}

impl Ring {
    /// A ring over all addresses of `targets` targets.
    pub(crate) fn new(slots: u32, targets: usize, mut addresses: Vec<Entry<'_>>) -> Self {
        let points = if slots >= MIN_POINTS { slots } else { MIN_POINTS };
        let total: u64 = addresses.iter().map(|a| u64::from(a.weight)).sum();
        addresses.sort_by_cached_key(|a| (a.host.to_owned(), a.host_port, format!("{}:{}", text(a.ip), a.port)));
        let mut occupied: Vec<Option<u32>> = vec![None; points as usize + 1];
        'addresses: for address in &addresses {
            if address.weight == 0 {
                continue;
            }
            let share = f64::from(address.weight) / total as f64 * targets as f64 * ENTRIES as f64;
            let mut wanted = (share as u64).max(1);
            let mut n = 0;
            while n < wanted {
                n += 1;
                if n > u64::from(points) {
                    // The original stops here as well: the ring is as full as it gets.
                    break 'addresses;
                }
                let key = format!("{}::{} {n}", text(address.ip), address.port);
                let index = index(hash(key.as_bytes()), points) as usize;
                match occupied.get_mut(index) {
                    Some(free @ None) => *free = Some(address.peer),
                    _ => wanted += 1,
                }
            }
        }
        let entries = (0..).zip(occupied);
        Ring {
            points,
            entries: entries.filter_map(|(index, peer)| Some((index, peer?))).collect(),
        }
    }

    /// The first peer at or below the hash's point that passes, around the ring.
    pub(crate) fn find(&self, hash: u32, mut passes: impl FnMut(usize) -> bool) -> Option<usize> {
        let index = index(hash, self.points);
        let after = self.entries.partition_point(|(point, _)| *point <= index);
        let (below, above) = self.entries.split_at_checked(after)?;
        let walk = below.iter().rev().chain(above.iter().rev());
        // Neighbours often belong to one peer: it is asked once.
        let mut last = None;
        for (_, peer) in walk {
            if last != Some(*peer) && passes(*peer as usize) {
                return Some(*peer as usize);
            }
            last = Some(*peer);
        }
        None
    }
}

/// From 1 to the number of points.
fn index(hash: u32, points: u32) -> u32 {
    hash % points + 1
}

/// As the original writes addresses.
fn text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let groups: Vec<String> = ip.segments().iter().map(|group| format!("{group:04x}")).collect();
            format!("[{}]", groups.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(slots: u32, weights: &[(u8, u32)]) -> Ring {
        let entries: Vec<_> = weights
            .iter()
            .map(|(n, weight)| Entry {
                peer: u32::from(*n),
                host: "",
                host_port: 80,
                ip: IpAddr::from([10, 0, 0, *n]),
                port: 80,
                weight: *weight,
            })
            .collect();
        Ring::new(slots, weights.len(), entries)
    }

    /// Kong 3.9.3 itself was asked: `true` is the target on port 29900 of two.
    #[test]
    fn keys_go_where_they_went_before() {
        let entry = |peer, port| Entry {
            peer,
            host: "127.0.0.1",
            host_port: port,
            ip: IpAddr::from([127, 0, 0, 1]),
            port,
            weight: 100,
        };
        let rows: [(u32, &[(&str, bool)]); 3] = [
            (
                10_000,
                &[
                    ("a", false),
                    ("b", true),
                    ("c", false),
                    ("alice", true),
                    ("bob", false),
                    ("carol", false),
                    ("2", true),
                    ("x y", true),
                    ("", true),
                ],
            ),
            (
                1000,
                &[
                    ("a", false),
                    ("b", false),
                    ("carol", true),
                    ("2", true),
                    ("3", false),
                    ("UPPER", true),
                ],
            ),
            (
                65_536,
                &[
                    ("a", true),
                    ("alice", false),
                    ("2", false),
                    ("3", false),
                    ("42", true),
                    ("x y", false),
                ],
            ),
        ];
        for (slots, keys) in rows {
            let ring = Ring::new(slots, 2, vec![entry(0, 29_900), entry(1, 29_999)]);
            for (key, is_first) in keys {
                let found = ring.find(hash(key.as_bytes()), |_| true);
                assert_eq!(found, Some(usize::from(!is_first)), "{key} of {slots}");
            }
        }
    }

    #[test]
    fn the_loss_of_an_address_moves_only_its_keys() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..20 {
            let n = random.u8(2..12);
            let weights: Vec<_> = (0..n).map(|peer| (peer, random.u32(1..200))).collect();
            let ring = ring(10_000, &weights);
            let gone = random.usize(0..usize::from(n));
            let keys: Vec<u32> = (0..2000_u32).map(|key| hash(&key.to_le_bytes())).collect();
            for key in keys {
                let before = ring.find(key, |_| true);
                let after = ring.find(key, |peer| peer != gone);
                if before != Some(gone) {
                    assert_eq!(before, after);
                } else {
                    assert!(after.is_some_and(|peer| peer != gone));
                }
            }
        }
    }

    #[test]
    fn a_new_target_takes_about_its_share() {
        let before = ring(10_000, &[(0, 100), (1, 100), (2, 100), (3, 100)]);
        let after = ring(10_000, &[(0, 100), (1, 100), (2, 100), (3, 100), (4, 100)]);
        let keys: Vec<u32> = (0..20_000_u32).map(|key| hash(&key.to_le_bytes())).collect();
        let moved = keys
            .iter()
            .filter(|key| before.find(**key, |_| true) != after.find(**key, |_| true))
            .count();
        let share = moved as f64 / keys.len() as f64;
        assert!(
            (0.12..0.30).contains(&share),
            "{share} of the keys moved, a fifth should"
        );
    }

    #[test]
    fn weights_decide_the_share() {
        let ring = ring(10_000, &[(0, 10), (1, 90), (2, 0)]);
        let mut counts = [0; 3];
        for key in 0..20_000_u32 {
            counts[ring.find(hash(&key.to_le_bytes()), |_| true).unwrap_or(2)] += 1;
        }
        let share = f64::from(counts[0]) / 20_000.0;
        assert!((0.05..0.17).contains(&share), "{share}");
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn an_empty_or_crowded_ring_is_no_trouble() {
        assert_eq!(ring(10_000, &[]).find(7, |_| true), None);
        assert_eq!(ring(10, &[(0, 0)]).find(7, |_| true), None);
        let crowd: Vec<_> = (0..200).map(|n| (n, 65_535)).collect();
        let crowded = ring(10, &crowd);
        assert!(crowded.entries.len() <= 1000);
        assert!(crowded.find(7, |_| true).is_some());
        assert_eq!(crowded.find(7, |_| false), None);
    }
}
