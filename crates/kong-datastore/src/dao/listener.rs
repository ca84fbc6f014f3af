//! Who learns of committed changes.

use crate::{BoxFuture, Change};

/// Called after a commit and before the client's answer: returns once the node's own data plane sees the change.
pub trait ChangeListener: Send + Sync {
    /// Every row change of one commit, cascaded ones included.
    fn changed<'a>(&'a self, changes: &'a [Change]) -> BoxFuture<'a, ()>;
}

/// Nobody listens: a tool that only writes.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoListener;

impl ChangeListener for NoListener {
    fn changed<'a>(&'a self, _: &'a [Change]) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}
