//! `kong stop`, `kong quit`, and the first half of `kong restart`.

use std::time::Duration;

use crate::cli::{ConfArgs, PrefixArg, QuitArgs};
use crate::process::{existing_prefix, running_in, signal, wait_for_end};

pub(crate) fn stop(args: &PrefixArg) -> anyhow::Result<()> {
    let prefix = existing_prefix(args)?;
    signal(running_in(&prefix)?, libc::SIGTERM)?;
    // So that `kong stop && kong start` finds the ports free. A node that drains may take longer.
    wait_for_end(&prefix, Duration::from_secs(5), Duration::from_millis(20));
    println!("Kong stopped");
    Ok(())
}

pub(crate) fn quit(args: &QuitArgs) -> anyhow::Result<()> {
    let prefix = existing_prefix(&args.prefix)?;
    let process = running_in(&prefix)?;
    std::thread::sleep(Duration::from_secs(args.wait));
    signal(process, libc::SIGQUIT)?;
    if wait_for_end(
        &prefix,
        Duration::from_secs(args.timeout.max(1)),
        Duration::from_millis(200),
    ) {
        println!("Kong stopped (gracefully)");
        return Ok(());
    }
    signal(process, libc::SIGTERM)?;
    wait_for_end(&prefix, Duration::from_secs(5), Duration::from_millis(20));
    println!("Timeout, Kong stopped forcefully");
    Ok(())
}

/// Stops the node of the prefix without a word; it is fine if there is none.
pub(crate) fn stop_if_running(args: &ConfArgs) -> anyhow::Result<()> {
    // The prefix may be set in the file that the new node is to read.
    let options = kong_config::LoadOptions {
        file: args.conf.clone(),
        prefix: args.prefix.clone(),
        ..kong_config::LoadOptions::from_process()
    };
    let prefix = kong_config::Config::locate_prefix(&options)?;
    if let Some(process) = prefix.running()? {
        signal(process, libc::SIGTERM)?;
        wait_for_end(&prefix, Duration::from_secs(5), Duration::from_millis(20));
    }
    Ok(())
}
