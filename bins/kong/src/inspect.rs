//! `kong health`, `kong check`, `kong version`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use kong_config::{Config, KONG_VERSION, LoadOptions, log};

use crate::cli::PrefixArg;
use crate::process::existing_prefix;
use crate::report;

pub(crate) fn health(args: &PrefixArg) -> anyhow::Result<()> {
    let prefix = existing_prefix(args)?;
    let running = prefix.running()?.is_some();
    // The name under which scripts look for it.
    println!("{:.<12}{}\n", "nginx", if running { "running" } else { "not running" });
    if !running {
        bail!("Kong is not running at {}", prefix.path.display());
    }
    println!("Kong is healthy at {}", prefix.path.display());
    Ok(())
}

pub(crate) fn check(conf: &Path) -> ExitCode {
    let options = LoadOptions {
        file: Some(conf.to_owned()),
        ..LoadOptions::from_process()
    };
    match Config::load(&options) {
        Ok(config) => {
            report::warnings(&config);
            println!("configuration at {} is valid", conf.display());
            let database = &config.database;
            report::line(
                log::Level::Notice,
                &format!("datastore: {} ({})", database.kind.name(), database.reason),
            );
            ExitCode::SUCCESS
        }
        Err(errors) => {
            for error in errors.iter() {
                report::line(log::Level::Error, &error.to_string());
            }
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn version(all: bool) {
    if !all {
        println!("{KONG_VERSION}");
        return;
    }
    println!("Kong: {KONG_VERSION}");
    // Neither is part of this gateway; the lines are there for those who parse them.
    println!("ngx_lua: none");
    println!("nginx: none");
    println!("Lua: none");
    println!("gateway: {}", env!("CARGO_PKG_VERSION"));
}
