//! Idle connections of one worker.
//!
//! Hot path. Budget: a take and a put are a hash of the address and a push or pop. The youngest connection is used
//! first, so that those beyond the need grow old and are closed.

use super::connect::Connection;
use super::endpoint::{ClientConfig, Endpoint};
use crate::timer::Tick;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};

/// What connections of one address are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PoolKey {
    pub(super) addr: SocketAddr,
    pub(super) is_tls: bool,
    pub(super) pool: Option<Arc<str>>,
}

impl PoolKey {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        Self {
            addr: endpoint.addr,
            is_tls: endpoint.tls.is_some(),
            pool: endpoint.pool.clone(),
        }
    }

    fn matches(&self, endpoint: &Endpoint) -> bool {
        self.is_tls == endpoint.tls.is_some() && self.pool == endpoint.pool
    }
}

struct Pool {
    key: PoolKey,
    idle: VecDeque<Box<Connection>>,
}

type ByAddress = HashMap<SocketAddr, Vec<Pool>, BuildHasherDefault<AddressHasher>>;

#[derive(Default)]
pub(super) struct Pools {
    pub(super) config: ClientConfig,
    by_address: RefCell<ByAddress>,
    /// Idle connections in all pools.
    count: Cell<usize>,
}

impl Pools {
    pub(super) fn new(config: ClientConfig) -> Rc<Self> {
        let pools = Rc::new(Self {
            config,
            ..Self::default()
        });
        let _ = SWEPT.try_with(|swept| swept.borrow_mut().push(Rc::downgrade(&pools)));
        pools
    }

    /// The youngest idle connection that the upstream has not closed.
    pub(super) fn take(&self, endpoint: &Endpoint) -> Option<Box<Connection>> {
        let mut by_address = self.by_address.borrow_mut();
        let pool = by_address
            .get_mut(&endpoint.addr)?
            .iter_mut()
            .find(|pool| pool.key.matches(endpoint))?;
        while let Some(mut connection) = pool.idle.pop_back() {
            self.count.set(self.count.get() - 1);
            if !is_spent(&mut connection, self.config.idle_timeout) {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection on which a response was read to its end.
    pub(super) fn put(&self, mut connection: Box<Connection>) {
        connection.requests += 1;
        let max_requests = self.config.max_requests;
        if self.config.pool_size == 0 || (max_requests != 0 && connection.requests >= max_requests) {
            return;
        }
        connection.timer.disarm();
        connection.idle_since = Tick::now();
        let mut by_address = self.by_address.borrow_mut();
        let pools = by_address.entry(connection.key.addr).or_default();
        let place = pools.iter().position(|pool| pool.key == connection.key);
        let pool = match place.and_then(|place| pools.get_mut(place)) {
            Some(pool) => pool,
            None => {
                pools.push(Pool {
                    key: connection.key.clone(),
                    idle: VecDeque::new(),
                });
                let Some(pool) = pools.last_mut() else { return };
                pool
            }
        };
        if pool.idle.len() >= self.config.pool_size {
            pool.idle.pop_front();
            self.count.set(self.count.get() - 1);
        }
        pool.idle.push_back(connection);
        self.count.set(self.count.get() + 1);
        start_sweeper();
    }

    /// Number of idle connections.
    pub(super) fn idle(&self) -> usize {
        self.count.get()
    }

    /// Closes what is too old, or was closed by the upstream.
    fn sweep(&self) {
        let limit = self.config.idle_timeout;
        let mut left = 0;
        self.by_address.borrow_mut().retain(|_, pools| {
            pools.retain_mut(|pool| {
                pool.idle.retain_mut(|connection| !is_spent(connection, limit));
                left += pool.idle.len();
                !pool.idle.is_empty()
            });
            !pools.is_empty()
        });
        self.count.set(left);
    }
}

/// Whether an idle connection is of no use: it is too old, or something arrived on it. Costs no system call unless
/// something did.
fn is_spent(connection: &mut Connection, idle_timeout: Duration) -> bool {
    if !idle_timeout.is_zero() && Tick::now().since(connection.idle_since) >= idle_timeout {
        return true;
    }
    let mut byte = [0u8; 1];
    let mut cx = Context::from_waker(Waker::noop());
    // TLS session tickets may arrive late; reading past them finds nothing.
    Pin::new(&mut connection.stream)
        .poll_read(&mut cx, &mut ReadBuf::new(&mut byte))
        .is_ready()
}

thread_local! {
    static SWEPT: RefCell<Vec<Weak<Pools>>> = const { RefCell::new(Vec::new()) };
    static SWEEPER_RUNS: Cell<bool> = const { Cell::new(false) };
}

struct SweeperEnds;

impl Drop for SweeperEnds {
    fn drop(&mut self) {
        let _ = SWEEPER_RUNS.try_with(|runs| runs.set(false));
    }
}

/// One task per worker looks through the pools once a second, as long as there is something in them. It reaches them
/// through the thread-local only, so it is a plain task.
fn start_sweeper() {
    if SWEEPER_RUNS.get() {
        return;
    }
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        SWEEPER_RUNS.set(true);
        runtime.spawn(async {
            let _ends = SweeperEnds;
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let all: Vec<Rc<Pools>> = SWEPT.with_borrow_mut(|swept| {
                    swept.retain(|pools| pools.strong_count() > 0);
                    swept.iter().filter_map(Weak::upgrade).collect()
                });
                all.iter().for_each(|pools| pools.sweep());
                if all.iter().all(|pools| pools.idle() == 0) {
                    return;
                }
            }
        });
    }
}

/// Addresses come from the configuration, not from attackers: a multiplication mixes them well enough.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            for (to, from) in word.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
}
