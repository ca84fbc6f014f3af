//! The server side: the life of a client's connection.

mod config;
mod connection;
mod pages;
mod request_body;
mod respond;
mod serve;
mod takeover;
mod transport;

pub use config::ServerConfig;
pub use pages::{ErrorPages, PlainPages, nginx_page};
pub use serve::serve_connection;

pub(crate) use respond::write_length;
pub(crate) use transport::{Outgoing, poll_read};
