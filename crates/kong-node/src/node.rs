//! A running node.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kong_config::Config;
use kong_config::certificates::Family;
use kong_http::{DrainTrigger, drain, server_tls};
use kong_plugin::PluginKind;
use kong_proxy::{AccessLog, Totals, WorkerOptions, WorkerStats};
use tokio::sync::{mpsc, watch};

use crate::builder::NodeBuilder;
use crate::certificates::{ConfiguredCertificates, DefaultCertificates, Snapshots};
use crate::control::{self, Control, ControlPlan};
use crate::listeners;
use crate::service::NodeService;
use crate::workers::{self, WorkerPlan, WorkerSocket};
use crate::{NodeError, settings};

/// Requests that may wait for a worker of [`NodeService`].
const JOBS: usize = 1024;

/// A running node. Dropping it stops it at once; [`Node::drain`] lets requests finish.
pub struct Node {
    proxy_addresses: Vec<SocketAddr>,
    admin_addresses: Vec<SocketAddr>,
    status_addresses: Vec<SocketAddr>,
    service: NodeService,
    stats: Arc<[Arc<WorkerStats>]>,
    drain: DrainTrigger,
    draining: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    workers: Mutex<Vec<JoinHandle<()>>>,
    control: Control,
    access_log: Option<AccessLog>,
    kinds: Vec<Arc<dyn PluginKind>>,
}

impl Node {
    /// A node with this configuration and the bundled plugins.
    pub fn builder(config: Config) -> NodeBuilder {
        NodeBuilder::new(config)
    }

    pub(crate) fn start(builder: NodeBuilder) -> Result<Node, NodeError> {
        let NodeBuilder {
            config,
            kinds,
            own,
            store,
        } = builder;
        prepare_prefix(&config)?;
        let config = Arc::new(config);

        // Everything that can fail because of the surroundings comes before the first thread.
        let worker_count = config.server.worker_processes.max(1);
        let proxy_ports = listeners::proxy(&config.listeners.proxy, worker_count)?;
        let admin_ports = listeners::control(&config.listeners.admin)?;
        let status_ports = listeners::control(&config.listeners.status)?;
        let defaults = |is_needed: bool, family| match is_needed {
            true => DefaultCertificates::load(&config, family).map(Some),
            false => Ok(None),
        };
        let is_tls = |port: &listeners::ControlPort| port.is_tls;
        let proxy_defaults = defaults(proxy_ports.iter().any(|port| port.is_tls), Family::Proxy)?;
        let admin_defaults = defaults(admin_ports.iter().any(is_tls), Family::Admin)?;
        let status_defaults = defaults(status_ports.iter().any(is_tls), Family::Status)?;
        let admin_tls = admin_defaults.map(|defaults| server_tls(defaults)).transpose()?;
        let status_tls = status_defaults.map(|defaults| server_tls(defaults)).transpose()?;
        let access_log = access_log(&config)?;

        let stats: Arc<[Arc<WorkerStats>]> = (0..worker_count).map(|_| Arc::default()).collect();
        let (drain_trigger, drain) = drain();
        let draining = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = watch::channel(false);
        let proxy_addresses = proxy_ports.iter().map(|port| port.address).collect();
        let admin_addresses = admin_ports.iter().map(|port| port.address).collect();
        let status_addresses = status_ports.iter().map(|port| port.address).collect();

        // The control thread loads the configuration; workers start with a complete snapshot.
        let (control, data_plane) = control::start(ControlPlan {
            config: config.clone(),
            kinds: kinds.clone(),
            own,
            store,
            admin: admin_ports,
            admin_tls,
            status: status_ports,
            status_tls,
            stats: stats.clone(),
            draining: draining.clone(),
        })?;

        // Certificates of the configuration come first, and change with it.
        let proxy_tls = proxy_defaults
            .map(|defaults| {
                let snapshots = Snapshots(data_plane.snapshots.clone());
                server_tls(Arc::new(ConfiguredCertificates { snapshots, defaults }))
            })
            .transpose()?;
        let mut sockets: Vec<Vec<WorkerSocket>> = (0..worker_count).map(|_| Vec::new()).collect();
        for port in proxy_ports {
            let tls = if port.is_tls { proxy_tls.clone() } else { None };
            for (worker, listener) in sockets.iter_mut().zip(port.sockets) {
                worker.push(WorkerSocket {
                    listener,
                    tls: tls.clone(),
                    so_keepalive: port.so_keepalive,
                });
            }
        }
        let settings = settings::proxy(&config);
        let dns = Arc::new(settings::dns(&config.dns));
        let mut threads = Vec::new();
        let mut senders = Vec::new();
        for (index, (sockets, stats)) in sockets.into_iter().zip(stats.iter()).enumerate() {
            let (sender, jobs) = mpsc::channel(JOBS);
            senders.push(sender);
            threads.push(workers::start(WorkerPlan {
                index,
                sockets,
                options: WorkerOptions {
                    settings: settings.clone(),
                    snapshots: data_plane.snapshots.clone(),
                    entities: data_plane.entities.clone(),
                    node: data_plane.node.clone(),
                    dns: dns.clone(),
                    access_log: access_log.clone(),
                },
                stats: stats.clone(),
                server: config.server.clone(),
                jobs,
                drain: drain.clone(),
                stop: stopped.clone(),
            })?);
        }
        control.workers_are_ready();
        Ok(Node {
            proxy_addresses,
            admin_addresses,
            status_addresses,
            service: NodeService::new(senders),
            stats,
            drain: drain_trigger,
            draining,
            stop,
            workers: Mutex::new(threads),
            control,
            access_log,
            kinds,
        })
    }

    /// Addresses of the proxy's listeners, with the ports that the kernel chose for port 0.
    pub fn proxy_addresses(&self) -> &[SocketAddr] {
        &self.proxy_addresses
    }

    /// Addresses of the Admin API's listeners.
    pub fn admin_addresses(&self) -> &[SocketAddr] {
        &self.admin_addresses
    }

    /// Addresses of the Status API's listeners.
    pub fn status_addresses(&self) -> &[SocketAddr] {
        &self.status_addresses
    }

    /// The gateway as a tower service, for requests that arrive by other ways than its listeners.
    pub fn service(&self) -> NodeService {
        self.service.clone()
    }

    /// Connections and requests so far.
    pub fn totals(&self) -> Totals {
        self.stats.iter().map(|stats| stats.read()).sum()
    }

    /// Starts a graceful stop: readiness turns false, listeners stop accepting, requests in flight finish.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.drain.start();
    }

    /// Whether all workers have ended.
    pub fn is_finished(&self) -> bool {
        self.workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .all(JoinHandle::is_finished)
    }

    /// Waits until all workers have ended (after [`Node::drain`] or [`Node::stop`]), at most this long. Answers whether
    /// they have.
    pub fn wait_for(&self, at_most: Duration) -> bool {
        let deadline = Instant::now() + at_most;
        while !self.is_finished() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Waits until all workers have ended.
    pub fn wait(&self) {
        let threads = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// Stops at once: requests in flight are cut.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        self.wait();
        self.control.stop();
        if let Some(log) = &self.access_log {
            log.flush();
        }
    }

    /// Opens log files anew, after a rotation has moved them away.
    pub fn reopen_logs(&self) {
        if let Some(log) = &self.access_log
            && let Err(error) = log.reopen()
        {
            tracing::error!("the access log cannot be opened anew: {error}");
        }
        if let Some(log) = kong_config::log::handle()
            && let Err(error) = log.reopen()
        {
            tracing::error!("the error log cannot be opened anew: {error}");
        }
        for kind in &self.kinds {
            kind.reopen();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

fn prepare_prefix(config: &Config) -> Result<(), NodeError> {
    let in_prefix = |source| NodeError::Prefix {
        path: config.prefix.path.display().to_string(),
        source,
    };
    config.prefix.create().map_err(in_prefix)?;
    std::fs::create_dir_all(config.prefix.join("client_body_temp")).map_err(in_prefix)
}

fn access_log(config: &Config) -> Result<Option<AccessLog>, NodeError> {
    let Some(log) = &config.logs.proxy_access else {
        return Ok(None);
    };
    AccessLog::open(log.path.clone())
        .map(Some)
        .map_err(|source| NodeError::Log {
            path: log.path.display().to_string(),
            source,
        })
}
