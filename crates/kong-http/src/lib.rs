//! The HTTP/1 engine of one worker. Knows sockets, TLS and framing; knows nothing of routes, services or plugins.
//!
//! Everything here lives on one thread with a current-thread runtime and a `LocalSet`: nothing is `Send` that need not
//! be, idle upstream connections and timers are per thread, and no lock is shared by workers.
//!
//! ```
//! use kong_http::{AcceptOptions, ListenOptions, ServerConfig, bind, drain};
//! use kong_message::{ConnInfo, Request, Response, ResponseHead};
//! use std::{convert::Infallible, rc::Rc};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = bind("127.0.0.1:0".parse()?, 1, &ListenOptions::default())?.remove(0);
//! let addr = listener.local_addr()?;
//! let (trigger, drain) = drain();
//! let hello = |_: &Rc<ConnInfo>| {
//!     tower::service_fn(|request: Request| async move {
//!         let text = format!("hello, {}", String::from_utf8_lossy(request.head.path()));
//!         Ok::<_, Infallible>(Response::new(ResponseHead::new(200), text))
//!     })
//! };
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! tokio::task::LocalSet::new().block_on(&runtime, async move {
//!     let options = AcceptOptions::new(0, Rc::new(ServerConfig::default()));
//!     let server = tokio::task::spawn_local(listener.run(options, hello, drain));
//!
//!     let mut client = tokio::net::TcpStream::connect(addr).await?;
//!     client.write_all(b"GET /you HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
//!     let mut answer = String::new();
//!     client.read_to_string(&mut answer).await?;
//!     assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello, /you"));
//!
//!     trigger.start();
//!     server.await??;
//!     Ok::<_, Box<dyn std::error::Error>>(())
//! })?;
//! # Ok(())
//! # }
//! ```

mod buffering;
mod client;
mod codec;
mod drain;
#[doc(hidden)]
pub mod fuzzing;
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
