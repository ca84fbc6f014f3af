//! `kong reload`.

use anyhow::bail;

use crate::cli::{ConfArgs, PrefixArg, ReloadArgs};
use crate::prepare;
use crate::process::{existing_prefix, running_in};
use crate::report::Detail;

/// Checks the new configuration. A running node cannot take it over yet, and being told so is better than a
/// `Kong reloaded` that changes nothing.
pub(crate) fn reload(args: &ReloadArgs, detail: Detail) -> anyhow::Result<()> {
    let prefix = existing_prefix(&PrefixArg {
        prefix: args.conf.prefix.clone(),
    })?;
    running_in(&prefix)?;
    let base = prefix.env_file();
    let conf = ConfArgs {
        conf: args.conf.conf.clone(),
        prefix: Some(prefix.path),
    };
    prepare::load_over(&conf, &args.nginx, Some(base), detail)?;
    bail!("'kong reload' is not built yet: the node keeps its configuration; 'kong restart' applies the new one")
}
