//! `kong vault get`.

use std::io::Write as _;

use kong_config::{LoadOptions, dereference, is_reference};

use crate::cli::VaultCommand;

pub(crate) fn vault(command: &VaultCommand) -> anyhow::Result<()> {
    let VaultCommand::Get { reference, conf } = command;
    let reference = if is_reference(reference) {
        reference.clone()
    } else {
        format!("{{vault://{reference}}}")
    };
    let options = LoadOptions {
        file: conf.conf.clone(),
        prefix: conf.prefix.clone(),
        ..LoadOptions::from_process()
    };
    let config = kong_config::Config::load(&options)?;
    let value =
        dereference(&reference, &options.environment, config.text("vault_env_prefix")).map_err(anyhow::Error::msg)?;
    writeln!(std::io::stdout(), "{value}")?;
    Ok(())
}
