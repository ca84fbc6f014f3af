//! `kong reload`.

use kong_config::log;

use crate::cli::{PrefixArg, ReloadArgs};
use crate::prepare;
use crate::process::{existing_prefix, running_in, signal};
use crate::report::{self, Detail};

/// Leaves the new configuration in the prefix and tells the node to read it. A configuration with errors changes
/// nothing.
pub(crate) fn reload(args: &ReloadArgs, detail: Detail) -> anyhow::Result<()> {
    let prefix = existing_prefix(&PrefixArg {
        prefix: args.conf.prefix.clone(),
    })?;
    let process = running_in(&prefix)?;
    let mut conf = crate::cli::ConfArgs {
        conf: args.conf.conf.clone(),
        prefix: Some(prefix.path.clone()),
    };
    if conf.conf.as_ref().is_some_and(|path| *path == prefix.env_file()) {
        conf.conf = None;
    }
    let config = prepare::load_over(&conf, &args.nginx, Some(prefix.env_file()), detail)?;
    prepare::prepare(&config)?;
    config.write_env_file()?;
    signal(process, libc::SIGHUP)?;
    if detail >= Detail::Verbose {
        report::line(log::Level::Info, &format!("process {process} was told to reload"));
    }
    println!("Kong reloaded");
    Ok(())
}
