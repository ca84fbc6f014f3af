//! Why a node does not start.

use std::io;

use kong_config::certificates::CertificateError;
use kong_datastore::StoreError;
use kong_http::BindError;
use kong_model::ModelError;
use thiserror::Error;

/// Why a node does not start, or stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The working directory cannot be used.
    #[error("cannot use the prefix {path}: {source}")]
    Prefix {
        /// The directory.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The datastore cannot be opened or read.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A listener's address cannot be used.
    #[error("{0}")]
    Bind(#[from] BindError),
    /// A listener's host name cannot be resolved.
    #[error("cannot resolve the address of listener {listener}: {source}")]
    Address {
        /// The listener.
        listener: String,
        /// Why.
        source: io::Error,
    },
    /// A certificate cannot be read or made.
    #[error("{0}")]
    Certificate(#[from] CertificateError),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A file of a configured certificate or key cannot be used.
    #[error("cannot use {path}: {reason}")]
    Pem {
        /// Where it comes from.
        path: String,
        /// Why.
        reason: String,
    },
    /// Entities and plugins do not fit together.
    #[error("{0}")]
    Model(#[from] ModelError),
    /// The store has rows of plugins that are not enabled.
    #[error("{0} plugin is in use but not enabled; add it to the 'plugins' configuration property, or delete its rows")]
    PluginInUse(String),
    /// `plugins` names one that does not exist.
    #[error("{0} plugin is enabled but not installed; this gateway has: {1}")]
    UnknownPlugin(String, String),
    /// The configured datastore has no backend in this build.
    #[error("{0}")]
    Unsupported(String),
    /// The declarative configuration named by the settings cannot be loaded.
    #[error("error parsing declarative config file {source_name}:\n{details}")]
    Declarative {
        /// The file, or the property that holds the text.
        source_name: String,
        /// What is wrong.
        details: String,
    },
    /// A thread or runtime cannot be started.
    #[error("cannot start {what}: {source}")]
    Start {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A log file cannot be opened.
    #[error("cannot open the log {path}: {source}")]
    Log {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A worker thread ended before it served.
    #[error("a worker failed to start: {0}")]
    Worker(String),
}
