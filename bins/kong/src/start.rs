//! `kong start`.

use std::io::IsTerminal as _;

use anyhow::{Context as _, bail};
use kong_config::{Config, DatabaseKind, Listener, log};

use crate::cli::StartArgs;
use crate::daemon::{self, Side};
use crate::prepare;
use crate::report::Detail;
use crate::run;

pub(crate) fn start(args: &StartArgs, detail: Detail) -> anyhow::Result<()> {
    let config = prepare::load(&args.conf, &args.nginx, detail)?;
    prepare::prepare(&config)?;
    let Some(mut pid_file) = config.prefix.claim().context("cannot claim the prefix")? else {
        bail!("Kong is already running in {}", config.prefix.path.display());
    };
    config.write_env_file()?;
    let summary = summary(&config);
    if args.foreground || !config.server.daemon {
        log::init(foreground_log(&config), config.logs.level).context("cannot open the error log")?;
        pid_file.write()?;
        return run_node(config, move || print!("Kong started\n{summary}"));
    }
    let destination = daemon_log(&config);
    // Opened before the fork, so that its failure is shown here.
    log::init(destination.clone(), config.logs.level).context("cannot open the error log")?;
    match daemon::fork()? {
        Side::Parent(child) => {
            pid_file.leave_to_child();
            child.wait_until_ready()?;
            println!("Kong started");
            // A person wants to know where; a script compares the text.
            if std::io::stdout().is_terminal() || detail >= Detail::Verbose {
                print!("{summary}");
            }
            Ok(())
        }
        Side::Child(parent) => {
            let mut parent = Some(parent);
            let result = pid_file.write().context("cannot write the pid file").and_then(|()| {
                daemon::detach(&destination).context("cannot detach from the terminal")?;
                let ready = parent.as_ref().map(daemon::Parent::notifier).transpose()?;
                run_node(config, move || {
                    if let Some(ready) = ready {
                        ready.ready();
                    }
                })
            });
            let failed = result.is_err();
            if let (Err(error), Some(parent)) = (result, parent.take()) {
                tracing::error!("{error:#}");
                parent.failed(&format!("{error:#}"));
            }
            drop(pid_file);
            std::process::exit(i32::from(failed));
        }
    }
}

/// Runs the node, whose log begins with what it was given.
fn run_node(config: Config, ready: impl FnOnce() + Send) -> anyhow::Result<()> {
    log::notice!(
        "gateway {} starts: prefix {}, datastore {} ({})",
        env!("CARGO_PKG_VERSION"),
        config.prefix.path.display(),
        config.database.kind.name(),
        config.database.reason
    );
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    run::run(config, ready)
}

/// The addresses, the store and the prefix, one a line.
fn summary(config: &Config) -> String {
    let urls = |listeners: &[Listener]| match listeners {
        [] => "off".to_owned(),
        listeners => listeners.iter().map(Listener::url).collect::<Vec<_>>().join("  "),
    };
    let database = &config.database;
    let store = match database.kind {
        DatabaseKind::Sqlite => format!("sqlite {}", database.sqlite_path.display()),
        kind => kind.name().to_owned(),
    };
    format!(
        "  proxy   {}\n  admin   {}\n  status  {}\n  store   {store} ({})\n  prefix  {}\n",
        urls(&config.listeners.proxy),
        urls(&config.listeners.admin),
        urls(&config.listeners.status),
        database.reason,
        config.prefix.path.display(),
    )
}

fn file_log(config: &Config) -> log::Destination {
    match &config.logs.error {
        None => log::Destination::Nowhere,
        Some(path) if path.as_os_str() == "/dev/stderr" => log::Destination::Stderr,
        Some(path) => log::Destination::File(path.clone()),
    }
}

/// In the foreground people expect to see messages, unless they said where they go.
fn foreground_log(config: &Config) -> log::Destination {
    if config.logs.error_is_set {
        file_log(config)
    } else {
        log::Destination::Stderr
    }
}

fn daemon_log(config: &Config) -> log::Destination {
    file_log(config)
}
