//! Runs the node in this process.

use kong_config::Config;

/// Returns when a signal has ended the node; calls `ready` once it serves.
pub(crate) fn run(config: Config, ready: impl FnOnce() + Send) -> anyhow::Result<()> {
    Ok(kong_node::run(config, ready)?)
}
