use std::sync::Arc;
use tokio::sync::watch;

/// Starts the drain of everything that holds the matching [`Drain`].
#[derive(Clone, Debug)]
pub struct DrainTrigger(Arc<watch::Sender<bool>>);

/// Tells a listener or a connection that the node is going down: listeners stop accepting, idle connections close, and
/// busy ones close after the answer they are working on.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

/// A trigger and what it triggers.
pub fn drain() -> (DrainTrigger, Drain) {
    let (sender, receiver) = watch::channel(false);
    (DrainTrigger(Arc::new(sender)), Drain(receiver))
}

impl DrainTrigger {
    /// Starts the drain. Further calls do nothing.
    pub fn start(&self) {
        self.0.send_replace(true);
    }

    /// Another receiver.
    pub fn subscribe(&self) -> Drain {
        Drain(self.0.subscribe())
    }
}

impl Drain {
    /// Whether the drain has begun. One atomic load; a trigger that was dropped counts as "never".
    pub fn is_draining(&self) -> bool {
        // `has_changed` is a version comparison; the value is only read (under its lock) once it was set.
        match self.0.has_changed() {
            Ok(false) => false,
            _ => *self.0.borrow(),
        }
    }

    /// Waits until the drain begins (for ever, if the trigger is dropped).
    pub async fn started(&mut self) {
        if self.0.wait_for(|draining| *draining).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
