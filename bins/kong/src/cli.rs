//! The commands and their options.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// An API gateway: proxies requests, applies plugins, and is configured through an Admin API.
#[derive(Debug, Parser)]
#[command(
    name = "kong",
    disable_version_flag = true,
    override_usage = "kong COMMAND [OPTIONS]",
    after_help = "Start a gateway with nothing configured:  kong start\n\
                  Stay in the foreground:                   kong start --foreground\n\
                  Every property of kong.conf can be set in the environment: KONG_PROXY_LISTEN=127.0.0.1:9000 kong start"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// More details (verbose)
    #[arg(long = "v", global = true)]
    pub(crate) verbose: bool,
    /// All details (debug)
    #[arg(long = "vv", global = true)]
    pub(crate) debug: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a node
    Start(StartArgs),
    /// Stop a node at once (SIGTERM)
    Stop(PrefixArg),
    /// Stop a node once its requests are finished (SIGQUIT)
    Quit(QuitArgs),
    /// Stop a node if it runs, and start one
    Restart(StartArgs),
    /// Make a running node read its configuration again
    Reload(ReloadArgs),
    /// Tell whether a node runs
    Health(PrefixArg),
    /// Check a configuration file
    Check {
        /// The file
        #[arg(value_name = "CONF", default_value = "/etc/kong/kong.conf")]
        conf: PathBuf,
    },
    /// Prepare the prefix (directories, certificates, .kong_env) and start nothing
    Prepare(ReloadArgs),
    /// Print the version
    Version {
        /// Also the versions of what it is built from
        #[arg(short, long)]
        all: bool,
    },
    /// Declarative configuration files
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Database schema
    Migrations(MigrationsArgs),
    /// Secrets
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Control and data planes
    #[command(subcommand)]
    Hybrid(HybridCommand),
    /// Make a running node report that it is not ready, while it goes on serving
    Drain(ConfArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PrefixArg {
    /// The prefix of the node
    #[arg(short, long, value_name = "DIRECTORY")]
    pub(crate) prefix: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ConfArgs {
    /// Configuration file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) conf: Option<PathBuf>,
    /// The prefix of the node; overrides everything else that sets it
    #[arg(short, long, value_name = "DIRECTORY")]
    pub(crate) prefix: Option<PathBuf>,
}

/// Options that mean something to nginx only; accepted so that existing scripts work.
#[derive(Debug, Args)]
pub(crate) struct NginxArgs {
    /// Has no effect: there is no nginx
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) nginx_conf: Option<PathBuf>,
    /// Has no effect: there is no nginx
    #[arg(long, value_name = "FLAGS", hide = true)]
    pub(crate) nginx_conf_flags: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    pub(crate) conf: ConfArgs,
    #[command(flatten)]
    pub(crate) nginx: NginxArgs,
    /// Bring the database schema up to date first
    #[arg(long)]
    pub(crate) run_migrations: bool,
    /// Seconds to wait for the database
    #[arg(long, value_name = "SECONDS")]
    pub(crate) db_timeout: Option<u64>,
    /// Seconds to wait for another node that migrates
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) lock_timeout: u64,
    /// Stay in the foreground, as with nginx_daemon = off
    #[arg(long)]
    pub(crate) foreground: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    pub(crate) conf: ConfArgs,
    #[command(flatten)]
    pub(crate) nginx: NginxArgs,
}

#[derive(Debug, Args)]
pub(crate) struct QuitArgs {
    #[command(flatten)]
    pub(crate) prefix: PrefixArg,
    /// Seconds after which the node is stopped forcefully
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) timeout: u64,
    /// Seconds to wait before the node is told
    #[arg(short, long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write a sample declarative file
    Init {
        /// The file
        #[arg(default_value = "kong.yml")]
        file: PathBuf,
    },
    /// Check a declarative file
    Parse(DeclarativeArgs),
    /// Write a declarative file's entities into the database
    #[command(name = "db_import", alias = "db-import")]
    DbImport(DeclarativeArgs),
    /// Write the database's entities into a declarative file
    #[command(name = "db_export", alias = "db-export")]
    DbExport(DeclarativeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DeclarativeArgs {
    /// The file
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) conf: ConfArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MigrationsArgs {
    /// bootstrap, up, finish, list, reset or status, and options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// Print what a reference stands for
    Get {
        /// `env/name` or `{vault://env/name}`
        reference: String,
        #[command(flatten)]
        conf: ConfArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum HybridCommand {
    /// Make the certificate and key that control and data planes share
    #[command(name = "gen_cert", alias = "gen-cert")]
    GenCert {
        /// Where the certificate is written
        #[arg(default_value = "cluster.crt", requires = "key")]
        certificate: PathBuf,
        /// Where the key is written
        #[arg(default_value = "cluster.key")]
        key: PathBuf,
        /// Days until it expires
        #[arg(short, long, default_value_t = 1095, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
    },
}
