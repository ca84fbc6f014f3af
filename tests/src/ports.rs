//! Blocks of consecutive loopback ports that no other test process uses.
//!
//! Ports from `bind(0)` would do for one listener, but a node needs several, the recorded cases name relations between
//! them, and a port that was free a moment ago may be an outgoing connection's by the time the node binds it. So blocks
//! below the ephemeral range are handed out under a file lock.

use std::fs::File;
use std::net::TcpListener;

use anyhow::{Context, bail};

const FIRST: u16 = 21_000;
const SIZE: u16 = 50;
const BLOCKS: u16 = 170;

/// Fifty consecutive ports that belong to this process for as long as the value lives.
#[derive(Debug)]
pub struct PortBlock {
    first: u16,
    _lock: File,
}

impl PortBlock {
    /// Claims a block in which every port can be bound now.
    pub fn claim() -> anyhow::Result<Self> {
        let dir = std::env::temp_dir().join("kong-test-ports");
        std::fs::create_dir_all(&dir)?;
        let start = (std::process::id() % u32::from(BLOCKS)) as u16;
        for i in 0..BLOCKS {
            let slot = (start + i) % BLOCKS;
            let path = dir.join(slot.to_string());
            let lock = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
            if lock.try_lock().is_err() {
                continue;
            }
            let first = FIRST + slot * SIZE;
            if (first..first + SIZE).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
                return Ok(Self { first, _lock: lock });
            }
        }
        bail!(
            "no block of {SIZE} free ports between {FIRST} and {}",
            FIRST + BLOCKS * SIZE
        )
    }

    /// The port `offset` places into the block; offsets wrap around at its size.
    pub fn port(&self, offset: u16) -> u16 {
        self.first + offset % SIZE
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_claims_never_overlap() {
        let a = PortBlock::claim().unwrap();
        let b = PortBlock::claim().unwrap();
        assert!(a.port(0).abs_diff(b.port(0)) >= SIZE);
    }
}
