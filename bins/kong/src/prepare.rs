//! Loads the configuration and makes the prefix ready for a node.

use anyhow::Context as _;
use kong_config::certificates::Family;
use kong_config::{Config, LoadOptions, log};

use crate::cli::{ConfArgs, NginxArgs, ReloadArgs};
use crate::report::{self, Detail};

pub(crate) fn load(args: &ConfArgs, nginx: &NginxArgs, detail: Detail) -> anyhow::Result<Config> {
    load_over(args, nginx, None, detail)
}

/// Loads with the values of `base` where nothing else is said.
pub(crate) fn load_over(
    args: &ConfArgs,
    nginx: &NginxArgs,
    base: Option<std::path::PathBuf>,
    detail: Detail,
) -> anyhow::Result<Config> {
    let options = LoadOptions {
        file: args.conf.clone(),
        prefix: args.prefix.clone(),
        base_file: base,
        ..LoadOptions::from_process()
    };
    let config = Config::load(&options)?;
    if nginx.nginx_conf.is_some() || nginx.nginx_conf_flags.is_some() {
        report::line(
            log::Level::Warn,
            "--nginx-conf and --nginx-conf-flags have no effect: there is no nginx",
        );
    }
    report::warnings(&config);
    report::values(&config, detail);
    Ok(config)
}

/// Creates directories and the certificates that listeners will want.
pub(crate) fn prepare(config: &Config) -> anyhow::Result<()> {
    if let Some(reason) = &config.prefix.fallback {
        let path = config.prefix.path.display();
        report::line(log::Level::Notice, &format!("{reason}: using {path}"));
    }
    config.prefix.create()?;
    let families = [
        (Family::Proxy, &config.listeners.proxy),
        (Family::Admin, &config.listeners.admin),
        (Family::Status, &config.listeners.status),
    ];
    for (family, listeners) in families {
        if listeners.iter().any(|listener| listener.ssl) {
            config
                .tls
                .certificates(&config.prefix, family)
                .context("certificates of the TLS listeners")?;
        }
    }
    Ok(())
}

pub(crate) fn prepare_only(args: &ReloadArgs, detail: Detail) -> anyhow::Result<()> {
    let config = load(&args.conf, &args.nginx, detail)?;
    prepare(&config)?;
    config.write_env_file()?;
    Ok(())
}
