//! Endpoints about the node itself rather than about entities (admin-api.md §8).

mod cache;
mod clustering;
mod config;
mod endpoints;
mod info;
mod log_level;
mod root;
mod schemas;
mod status;
mod timers;

pub use config::DeclarativeConfig;
pub use info::{Counters, LogLevels, Memory, NodeInfo, Pids, Timers, Zone};

pub(crate) use log_level::LogLevelSwitch;

use crate::routes::Routes;

/// Adds the endpoints of the node.
pub(crate) fn add(routes: &mut Routes) {
    root::add(routes);
    endpoints::add(routes);
    status::add(routes);
    schemas::add(routes);
    cache::add(routes);
    log_level::add(routes);
    timers::add(routes);
    clustering::add(routes);
    config::add(routes);
}

/// Adds the endpoints of the Status API.
pub(crate) fn add_status(routes: &mut Routes) {
    status::add(routes);
    status::add_readiness(routes);
    root::add_robots(routes);
}
