//! The worker threads: one per core, each with its own runtime, listeners, timers and upstream connections.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kong_http::{AcceptOptions, Drain, Listener};
use kong_proxy::{AccessLog, Gateway, Pages, Worker, WorkerOptions, WorkerStats};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use crate::NodeError;
use crate::service::{self, Job};
use crate::settings;

/// A socket of one worker.
pub(crate) struct WorkerSocket {
    pub(crate) listener: Listener,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) so_keepalive: bool,
}

/// What a worker thread needs to begin.
pub(crate) struct WorkerPlan {
    pub(crate) index: usize,
    pub(crate) sockets: Vec<WorkerSocket>,
    pub(crate) options: WorkerOptions,
    pub(crate) stats: Arc<WorkerStats>,
    pub(crate) server: kong_config::Server,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) drain: Drain,
    /// Becomes true when the node stops at once.
    pub(crate) stop: watch::Receiver<bool>,
}

/// Longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(60);

/// Starts a worker and waits until it serves.
pub(crate) fn start(plan: WorkerPlan) -> Result<JoinHandle<()>, NodeError> {
    let (report, outcome) = std_mpsc::channel();
    let name = format!("kong-worker-{}", plan.index);
    let thread = thread::Builder::new()
        .name(name)
        .spawn(move || run(plan, &report))
        .map_err(|source| NodeError::Start {
            what: "a worker thread",
            source,
        })?;
    match outcome.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(reason)) => Err(NodeError::Worker(reason)),
        Err(_) => Err(NodeError::Worker("it ended without a word".to_owned())),
    }
}

fn run(plan: WorkerPlan, report: &std_mpsc::Sender<Result<(), String>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = report.send(Err(error.to_string()));
            return;
        }
    };
    let access_log = plan.options.access_log.clone();
    LocalSet::new().block_on(&runtime, serve(plan, report));
    if let Some(log) = access_log {
        log.flush();
    }
}

async fn serve(plan: WorkerPlan, report: &std_mpsc::Sender<Result<(), String>>) {
    let WorkerPlan {
        index,
        sockets,
        options,
        stats,
        server,
        mut jobs,
        drain,
        mut stop,
    } = plan;
    let access_log = options.access_log.clone();
    let worker = match Worker::new(options, stats) {
        Ok(worker) => worker,
        Err(error) => {
            let _ = report.send(Err(error.to_string()));
            return;
        }
    };
    let server = settings::server(&server, Rc::new(Pages::new(worker.clone())));
    let mut serving = Vec::new();
    for WorkerSocket {
        listener,
        tls,
        so_keepalive,
    } in sockets
    {
        let options = AcceptOptions {
            worker: index,
            tls,
            handshake_timeout: HANDSHAKE,
            server: server.clone(),
            so_keepalive,
        };
        let worker = worker.clone();
        let make = move |_: &Rc<_>| Gateway::connection(worker.clone());
        serving.push(tokio::task::spawn_local(listener.run(options, make, drain.clone())));
    }
    if let Some(log) = access_log {
        tokio::task::spawn_local(flush_regularly(log));
    }
    let gateway = Gateway::detached(worker);
    let draining = drain.clone();
    tokio::task::spawn_local(async move {
        while let Some(job) = jobs.recv().await {
            tokio::task::spawn_local(service::serve(gateway.clone(), job, index));
        }
    });
    let _ = report.send(Ok(()));
    let finished = async {
        if serving.is_empty() {
            draining.started().await;
        }
        for listener in serving {
            match listener.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!("a listener of worker {index} failed: {error}"),
                Err(error) => tracing::error!("a listener of worker {index} ended: {error}"),
            }
        }
    };
    tokio::select! {
        () = finished => {}
        _ = stop.wait_for(|is_over| *is_over) => {}
    }
}

async fn flush_regularly(log: AccessLog) {
    loop {
        tokio::time::sleep(AccessLog::FLUSH_EVERY).await;
        log.flush();
    }
}
