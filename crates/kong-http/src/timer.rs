use std::future::Future;
use std::task::{Context, Poll};
use std::time::Duration;

/// A deadline on this worker's wheel.
pub struct Timer;
impl Timer {
    /// A timer that is not armed.
    pub fn new() -> Self {
        Timer
    }
    /// Fires after `after` from now.
    pub fn arm(&self, _after: Duration) {}
    /// Never fires until armed again.
    pub fn disarm(&self) {}
    /// Ready once the deadline has passed.
    pub fn poll_expired(&self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
/// Waits.
pub async fn sleep(_after: Duration) {
    unimplemented!()
}
/// `None` when the future takes longer.
pub async fn timeout<F: Future>(_after: Duration, _future: F) -> Option<F::Output> {
    unimplemented!()
}
