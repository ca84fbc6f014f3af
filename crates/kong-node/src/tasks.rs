//! Background work of plugins, on the node's control runtime.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kong_plugin::TaskSpawner;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// See the module.
pub(crate) struct Tasks {
    handle: Handle,
    running: Mutex<JoinSet<()>>,
    shutdown: watch::Sender<bool>,
}

impl Tasks {
    pub(crate) fn new(handle: Handle) -> Self {
        Tasks {
            handle,
            running: Mutex::default(),
            shutdown: watch::Sender::new(false),
        }
    }

    /// Tells the tasks to end and waits for them, at most this long.
    pub(crate) async fn finish(&self, at_most: Duration) {
        self.shutdown.send_replace(true);
        let mut running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(at_most, all).await.is_err() {
            tracing::warn!("background tasks of plugins did not end in time");
        }
    }
}

impl TaskSpawner for Tasks {
    fn spawn(&self, _name: &'static str, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn_on(task, &self.handle);
    }

    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut shutdown = self.shutdown.subscribe();
        Box::pin(async move {
            // An error means that the node is gone, which is a shutdown too.
            let _ = shutdown.wait_for(|is_over| *is_over).await;
        })
    }
}
