//! The server side.
mod config;
mod pages;

pub use config::ServerConfig;
pub use pages::{ErrorPages, PlainPages, nginx_page};

use crate::Drain;
use kong_message::{ConnInfo, Request, Response};
use std::convert::Infallible;
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

/// Serves the requests of one connection, until either side closes it.
pub async fn serve_connection<IO, S>(
    _io: IO,
    _conn: Rc<ConnInfo>,
    _service: S,
    _config: Rc<ServerConfig>,
    _drain: Drain,
) where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Request, Response = Response, Error = Infallible>,
{
    unimplemented!()
}
