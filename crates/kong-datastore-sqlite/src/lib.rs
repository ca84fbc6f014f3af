//! The embedded datastore: SQLite in WAL mode. One writer thread commits what waits together with one `fdatasync`, a
//! few reader threads answer lookups, and several processes may share a file. Holds no code about a single entity.

mod backend;
mod catalog;
mod cluster;
mod config;
mod connection;
mod error;
mod layout;
mod migrate;
mod read;
mod readers;
mod tables;
mod values;
mod writer;

pub use backend::SqliteStore;
pub use config::SqliteOptions;
pub use migrate::MigrationStatus;
