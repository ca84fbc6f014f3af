//! Reads `kong.conf` and `KONG_*` into one typed, validated value; keeps the prefix directory and the log format.
//! Reads nothing else, and opens no socket.
//!
//! ```
//! use kong_config::{Config, LoadOptions};
//!
//! let environment = [("KONG_PROXY_LISTEN", "127.0.0.1:8000, 127.0.0.1:8443 ssl"), ("KONG_PREFIX", "/tmp/example")];
//! let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
//! let config = Config::load(&LoadOptions::new(environment))?;
//! assert_eq!(config.listeners.proxy[1].port, 8443);
//! assert!(config.listeners.proxy[1].ssl);
//! assert_eq!(config.database.kind, kong_config::DatabaseKind::Sqlite);
//! # Ok::<(), kong_config::ConfigErrors>(())
//! ```
//!
//! Every property is declared once, in [`SECTIONS`]; parsing, defaults, redaction, the sample file and the
//! documentation come from there.

/// The version of the gateway whose behaviour this one has, as the Admin API and `kong version` report it.
pub const KONG_VERSION: &str = "3.9.3";

pub mod certificates;
pub mod document;
pub mod log;

mod addresses;
mod checks;
mod config;
mod datastore;
mod dns;
mod effective;
mod errors;
mod file;
mod hybrid;
mod listener;
mod logs;
mod prefix;
mod property;
mod proxy;
mod rules;
mod selection;
mod server;
#[rustfmt::skip] // a table
mod table;
mod tls;
mod units;
mod value;
mod values;
mod vault;

pub use addresses::{Cidr, TrustedIps};
pub use config::{Config, Listeners, LoadOptions};
pub use datastore::{Cache, Database, DatabaseKind};
pub use dns::Dns;
pub use errors::{ConfigError, ConfigErrors};
pub use hybrid::Role;
pub use listener::{Listener, TcpKeepAlive, offers_http2};
pub use logs::{LogFile, Logs};
pub use prefix::{PidFile, Prefix};
pub use property::{Kind, Property, Section, Status, Subsystem};
pub use proxy::{ErrorTemplates, HeaderTokens, PortMap, Proxy, RouterFlavor, Secret, UpstreamKeepalive, VisibleItems};
pub use selection::Selection;
pub use server::Server;
pub use table::{DYNAMIC_PREFIXES, SECTIONS, properties, property};
pub use tls::{CertificatePair, PemSource, Tls};
pub use units::{parse_duration, parse_size};
pub use value::ConfigValue;
pub use vault::{dereference, is_reference};
