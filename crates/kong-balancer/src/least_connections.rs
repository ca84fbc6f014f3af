//! The address with the fewest requests in flight for its weight (upstream.md §11).

/// The best of the peers that pass, by (in flight + 1)/weight. `start` decides among equals.
pub(crate) fn best(peers: usize, start: usize, mut load: impl FnMut(usize) -> Option<(u32, u32)>) -> Option<usize> {
    let mut best: Option<(usize, u64, u64)> = None;
    for peer in (0..peers).map(|n| (start + n) % peers) {
        let Some((in_flight, weight)) = load(peer) else {
            continue;
        };
        let (load, weight) = (u64::from(in_flight) + 1, u64::from(weight));
        // load/weight < best load/best weight, without division.
        if best.is_none_or(|(_, best_load, best_weight)| load * best_weight < best_load * weight) {
            best = Some((peer, load, weight));
        }
    }
    best.map(|(peer, ..)| peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_for_its_weight_is_best() {
        type Loads = &'static [Option<(u32, u32)>];
        let rows: [(Loads, usize, Option<usize>); 7] = [
            (&[], 0, None),
            (&[None, None], 0, None),
            (&[Some((0, 100)), Some((0, 100))], 0, Some(0)),
            (&[Some((0, 100)), Some((0, 100))], 1, Some(1)),
            (&[Some((1, 100)), Some((0, 100))], 0, Some(1)),
            (&[Some((1, 300)), Some((0, 100))], 0, Some(0)),
            (&[None, Some((9, 1)), None], 0, Some(1)),
        ];
        for (loads, start, expected) in rows {
            assert_eq!(best(loads.len(), start, |peer| loads[peer]), expected, "{loads:?}");
        }
    }
}
