use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

#[derive(Debug, Default)]
struct State {
    draining: AtomicBool,
    started: Notify,
}

/// Starts the drain of everything that holds the matching [`Drain`].
#[derive(Clone, Debug)]
pub struct DrainTrigger(Arc<State>);

/// Tells a listener or a connection that the node is going down: listeners stop accepting, idle connections close, and
/// busy ones close after the answer they are working on.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<State>);

/// A trigger and what it triggers.
pub fn drain() -> (DrainTrigger, Drain) {
    let drain = Drain::default();
    (DrainTrigger(Arc::clone(&drain.0)), drain)
}

impl DrainTrigger {
    /// Starts the drain. Further calls do nothing.
    pub fn start(&self) {
        self.0.draining.store(true, Ordering::Release);
        self.0.started.notify_waiters();
    }

    /// Another receiver.
    pub fn subscribe(&self) -> Drain {
        Drain(Arc::clone(&self.0))
    }
}

impl Drain {
    /// Whether the drain has begun: one atomic load.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Waits until the drain begins.
    pub async fn started(&self) {
        let started = self.0.started.notified();
        let mut started = std::pin::pin!(started);
        // Enlisted before the flag is read, so that a start in between is not missed.
        started.as_mut().enable();
        if !self.is_draining() {
            started.await;
        }
    }
}
