//! Sets of addresses.

use std::net::IpAddr;

use kong_plugin::PluginError;

/// Disjoint ranges in ascending order, for each family.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Ranges {
    /// Of addresses and CIDR ranges.
    pub(super) fn new(list: &[String]) -> Result<Self, PluginError> {
        let mut ranges = Ranges::default();
        for text in list {
            ranges
                .add(text)
                .ok_or_else(|| PluginError(format!("invalid ip or cidr range: '{text}'")))?;
        }
        merge(&mut ranges.v4, |end, start| {
            end.checked_add(1).is_none_or(|next| start <= next)
        });
        merge(&mut ranges.v6, |end, start| {
            end.checked_add(1).is_none_or(|next| start <= next)
        });
        Ok(ranges)
    }

    fn add(&mut self, text: &str) -> Option<()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        match address.parse().ok()? {
            IpAddr::V4(ip) => {
                let bits = bits.unwrap_or(32);
                let host = if bits > 32 {
                    return None;
                } else {
                    u32::MAX.checked_shr(bits).unwrap_or(0)
                };
                let ip = u32::from(ip);
                self.v4.push((ip & !host, ip | host));
            }
            IpAddr::V6(ip) => {
                let bits = bits.unwrap_or(128);
                let host = if bits > 128 {
                    return None;
                } else {
                    u128::MAX.checked_shr(bits).unwrap_or(0)
                };
                let ip = u128::from(ip);
                self.v6.push((ip & !host, ip | host));
            }
        }
        Some(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    pub(super) fn contain(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(ip) => contain(&self.v4, u32::from(ip)),
            IpAddr::V6(ip) => contain(&self.v6, u128::from(ip)),
        }
    }
}

fn contain<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|(start, _)| *start <= value);
    after
        .checked_sub(1)
        .and_then(|at| ranges.get(at))
        .is_some_and(|(_, end)| value <= *end)
}

fn merge<T: Ord + Copy>(ranges: &mut Vec<(T, T)>, touches: impl Fn(T, T) -> bool) {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges.drain(..) {
        match merged.last_mut() {
            Some((_, last)) if touches(*last, start) => *last = (*last).max(end),
            _ => merged.push((start, end)),
        }
    }
    *ranges = merged;
}
