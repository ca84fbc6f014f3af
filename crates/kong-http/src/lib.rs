//! The HTTP/1 engine of one worker. Knows sockets, TLS and framing; knows nothing of routes, services or plugins.
//!
//! Everything here lives on one thread with a current-thread runtime and a `LocalSet`: nothing is `Send` that need not
//! be, idle upstream connections and timers are per thread, and no lock is shared by workers.

mod buffering;
mod client;
mod codec;
mod drain;
mod listener;
mod server;
mod timer;
mod tls;
mod upgrade;

pub use buffering::{BufferConfig, buffer_body};
pub use client::{
    Client, ClientConfig, Endpoint, Failure, Stage, Timeouts, TlsTarget, UpstreamError, UpstreamHead, UpstreamResponse,
};
pub use drain::{Drain, DrainTrigger, drain};
pub use listener::{AcceptOptions, BindError, ListenOptions, Listener, bind};
pub use server::{ErrorPages, PlainPages, ServerConfig, nginx_page, serve_connection};
pub use timer::{Timer, sleep, timeout};
pub use tls::{ClientTls, ClientVerify, accept_tls, server_tls};
pub use upgrade::{Duplex, Tunnel, TunnelReport, Upgrade};
