//! Listening sockets: how they are opened, and the accept loop of a worker.

use crate::{Drain, ServerConfig, Timer, accept_tls, serve_connection};
use kong_message::{ConnInfo, Request, Response};
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker, ready};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

/// How a port is opened.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Length of the accept queue of each worker's socket.
    pub backlog: i32,
    /// One socket per worker (`SO_REUSEPORT`); otherwise the workers share one.
    pub reuseport: bool,
    /// For IPv6 addresses: no IPv4-mapped connections.
    pub ipv6_only: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 16384,
            reuseport: true,
            ipv6_only: true,
        }
    }
}

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another process, or another listener of ours, has the port.
    #[error("address {0} is already in use")]
    InUse(SocketAddr),
    /// A port below 1024 without the privilege.
    #[error("no permission to listen on {0}")]
    Denied(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {addr}: {source}")]
    Io {
        /// The address.
        addr: SocketAddr,
        /// The reason.
        source: io::Error,
    },
}

/// A bound socket of one worker; send it to the worker's thread and run it there.
#[derive(Debug)]
pub struct Listener {
    socket: std::net::TcpListener,
}

/// Opens `addr` for `workers` workers; port 0 takes a free one, the same for all.
///
/// The kernel lets any process of the same user join a `SO_REUSEPORT` group, so two gateways on one port would silently
/// share it. The port is therefore taken once without that option first, which fails if anybody has it.
///
/// # Errors
/// [`BindError`].
pub fn bind(addr: SocketAddr, workers: usize, options: &ListenOptions) -> Result<Vec<Listener>, BindError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(addr),
        io::ErrorKind::PermissionDenied => BindError::Denied(addr),
        _ => BindError::Io { addr, source },
    };
    let only = open(addr, false, options).map_err(failed)?;
    if !options.reuseport || workers <= 1 {
        let socket = std::net::TcpListener::from(only);
        let clones = (1..workers)
            .map(|_| socket.try_clone())
            .collect::<io::Result<Vec<_>>>()
            .map_err(failed)?;
        return Ok(clones
            .into_iter()
            .chain([socket])
            .map(|socket| Listener { socket })
            .collect());
    }
    let addr = only.local_addr().map_err(failed)?.as_socket().unwrap_or(addr);
    drop(only);
    let sockets = (0..workers)
        .map(|_| open(addr, true, options))
        .collect::<io::Result<Vec<_>>>()
        .map_err(failed)?;
    Ok(sockets
        .into_iter()
        .map(|socket| Listener { socket: socket.into() })
        .collect())
}

fn open(addr: SocketAddr, reuseport: bool, options: &ListenOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_cloexec(true)?;
    socket.set_nonblocking(true)?;
    // A restart must not wait for connections of the previous process in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuseport)?;
    if addr.is_ipv6() {
        socket.set_only_v6(options.ipv6_only)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(options.backlog)?;
    Ok(socket)
}

/// What a worker's accept loop needs beside the service.
#[derive(Clone)]
pub struct AcceptOptions {
    /// Index of the worker.
    pub worker: usize,
    /// TLS settings, for `ssl` listeners.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Longest TLS handshake.
    pub handshake_timeout: Duration,
    /// Settings of the connections.
    pub server: Rc<ServerConfig>,
    /// `SO_KEEPALIVE` on accepted connections.
    pub so_keepalive: bool,
}

impl AcceptOptions {
    /// Plain-text connections with these settings.
    pub fn new(worker: usize, server: Rc<ServerConfig>) -> Self {
        Self {
            worker,
            tls: None,
            handshake_timeout: Duration::from_secs(60),
            server,
            so_keepalive: false,
        }
    }
}

impl Listener {
    /// Wraps a socket that was inherited or bound elsewhere.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn from_std(socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// The socket itself, non-blocking, for whoever serves it otherwise.
    pub fn into_std(self) -> std::net::TcpListener {
        self.socket
    }

    /// The bound address.
    ///
    /// # Errors
    /// What the kernel reports.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// A second handle of the same socket, to keep the port open while workers come and go.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
        })
    }

    /// Accepts and serves connections until the drain begins; returns when the last of them is closed. Must run inside
    /// a `LocalSet`. Each connection gets a service of its own from `make_service`.
    ///
    /// # Errors
    /// When the socket cannot be registered with the runtime.
    pub async fn run<S, M>(self, options: AcceptOptions, make_service: M, drain: Drain) -> io::Result<()>
    where
        M: Fn(&Rc<ConnInfo>) -> S + 'static,
        S: Service<Request, Response = Response, Error = Infallible> + 'static,
    {
        let local = self.local_addr()?;
        let listener = TcpListener::from_std(self.socket)?;
        let live = Rc::new(Live::default());
        let worker = Rc::new(Worker {
            options,
            make_service,
            drain: drain.clone(),
            local,
        });
        {
            let mut drained = pin!(drain.started());
            let pause = Timer::new();
            poll_fn(|cx| {
                loop {
                    if drained.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    if pause.is_armed() {
                        ready!(pause.poll_expired(cx));
                        pause.disarm();
                    }
                    match ready!(listener.poll_accept(cx)) {
                        Ok((stream, peer)) => {
                            let connection = live.enter();
                            let worker = Rc::clone(&worker);
                            tokio::task::spawn_local(async move {
                                worker.serve(stream, peer).await;
                                drop(connection);
                            });
                        }
                        Err(error) => {
                            if let Some(wait) = back_off(&error) {
                                tracing::error!(%error, %local, "cannot accept connections, trying again shortly");
                                pause.arm(wait);
                            }
                        }
                    }
                }
            })
            .await;
        }
        // The socket is closed before the connections are waited for.
        drop(listener);
        live.none_left().await;
        Ok(())
    }
}

/// How long to wait after a failed accept; `None` for failures of the one connection only.
fn back_off(error: &io::Error) -> Option<Duration> {
    match error.raw_os_error() {
        // Out of descriptors or memory: every accept fails until something is closed.
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Some(Duration::from_millis(200)),
        Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO | libc::EPERM) => None,
        _ => Some(Duration::from_millis(20)),
    }
}

static SERIAL: AtomicU64 = AtomicU64::new(1);

/// What the connections of a worker's listener share.
struct Worker<M> {
    options: AcceptOptions,
    make_service: M,
    drain: Drain,
    local: SocketAddr,
}

impl<M> Worker<M> {
    async fn serve<S>(&self, stream: TcpStream, peer: SocketAddr)
    where
        M: Fn(&Rc<ConnInfo>) -> S + 'static,
        S: Service<Request, Response = Response, Error = Infallible> + 'static,
    {
        // Neither failing is a reason to refuse the connection.
        let _ = stream.set_nodelay(true);
        if self.options.so_keepalive {
            let _ = socket2::SockRef::from(&stream).set_keepalive(true);
        }
        let is_wildcard = self.local.ip().is_unspecified();
        let local = if is_wildcard {
            stream.local_addr().unwrap_or(self.local)
        } else {
            self.local
        };
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let mut conn = ConnInfo {
            peer,
            local,
            tls: None,
            worker: self.options.worker,
            serial,
        };
        let server = Rc::clone(&self.options.server);
        match &self.options.tls {
            None => {
                let conn = Rc::new(conn);
                let service = (self.make_service)(&conn);
                serve_connection(stream, conn, service, server, self.drain.clone()).await;
            }
            Some(tls) => {
                let handshake = accept_tls(stream, Arc::clone(tls), self.options.handshake_timeout);
                match handshake.await {
                    Ok((stream, info)) => {
                        conn.tls = Some(info);
                        let conn = Rc::new(conn);
                        let service = (self.make_service)(&conn);
                        serve_connection(stream, conn, service, server, self.drain.clone()).await;
                    }
                    Err(error) => tracing::debug!(%error, %peer, "TLS handshake failed"),
                }
            }
        }
    }
}

/// Counts the live connections of a listener.
#[derive(Default)]
struct Live {
    count: Cell<usize>,
    waiter: RefCell<Option<Waker>>,
}

struct LiveConnection(Rc<Live>);

impl Live {
    fn enter(self: &Rc<Self>) -> LiveConnection {
        self.count.set(self.count.get() + 1);
        LiveConnection(Rc::clone(self))
    }

    async fn none_left(&self) {
        poll_fn(|cx| {
            if self.count.get() == 0 {
                return Poll::Ready(());
            }
            self.waiter.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

impl Drop for LiveConnection {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        if self.0.count.get() == 0
            && let Some(waker) = self.0.waiter.take()
        {
            waker.wake();
        }
    }
}
