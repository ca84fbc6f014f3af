//! Signals to a node.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use kong_config::{Config, LoadOptions, Prefix};

use crate::cli::PrefixArg;

/// The prefix that a command is about; it must exist.
pub(crate) fn existing_prefix(args: &PrefixArg) -> anyhow::Result<Prefix> {
    let options = LoadOptions {
        prefix: args.prefix.clone(),
        ..LoadOptions::from_process()
    };
    let prefix = Config::locate_prefix(&options)?;
    if !prefix.path.is_dir() {
        bail!("no such prefix: {}", prefix.path.display());
    }
    Ok(prefix)
}

/// The process id of the node that runs there.
pub(crate) fn running_in(prefix: &Prefix) -> anyhow::Result<u32> {
    let running = prefix
        .running()
        .with_context(|| format!("cannot read {}", prefix.pid_file().display()))?;
    running.ok_or_else(|| anyhow::anyhow!("nginx not running in prefix: {}", prefix.path.display()))
}

pub(crate) fn signal(process: u32, signal: libc::c_int) -> anyhow::Result<()> {
    let id = libc::pid_t::try_from(process)
        .ok()
        .filter(|&id| id > 1)
        .context("the pid file holds no process id")?;
    // SAFETY: kill takes no pointers; the id is that of one process, not of a group.
    if unsafe { libc::kill(id, signal) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error()).with_context(|| format!("cannot signal process {process}"))
}

/// Waits until no node runs there; false if one still does after `limit`.
pub(crate) fn wait_for_end(prefix: &Prefix, limit: Duration, every: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        match prefix.running() {
            Ok(Some(_)) if Instant::now() >= deadline => return false,
            Ok(Some(_)) => std::thread::sleep(every.min(deadline.saturating_duration_since(Instant::now()))),
            _ => return true,
        }
    }
}
