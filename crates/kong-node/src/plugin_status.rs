//! The node's figures, as plugins see them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use kong_datastore::Datastore;
use kong_plugin::{NodeFigures, NodeStatus};
use kong_proxy::{Totals, WorkerStats};

pub(crate) struct PluginStatus {
    pub(crate) stats: Arc<[Arc<WorkerStats>]>,
    pub(crate) store: Arc<dyn Datastore>,
}

impl NodeStatus for PluginStatus {
    fn figures(&self) -> NodeFigures {
        let totals: Totals = self.stats.iter().map(|stats| stats.read()).sum();
        NodeFigures {
            accepted: totals.accepted,
            active: totals.active,
            requests: totals.requests,
            in_flight: totals.in_flight,
        }
    }

    fn is_store_reachable(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async { self.store.ping().await.is_ok() })
    }
}
