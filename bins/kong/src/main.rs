//! The `kong` command.

mod cli;
mod config;
mod daemon;
mod drain;
mod hybrid;
mod inspect;
mod prepare;
mod process;
mod reload;
mod report;
mod run;
mod start;
mod stop;
mod vault;

use std::process::ExitCode;

use clap::Parser as _;
use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report::usage(&error),
    };
    let detail = report::Detail::new(cli.verbose, cli.debug);
    let result = match cli.command {
        Command::Start(args) => start::start(&args, detail),
        Command::Stop(args) => stop::stop(&args),
        Command::Quit(args) => stop::quit(&args),
        Command::Restart(args) => stop::stop_if_running(&args.conf).and_then(|()| start::start(&args, detail)),
        Command::Reload(args) => reload::reload(&args, detail),
        Command::Health(args) => inspect::health(&args),
        Command::Check { conf } => return inspect::check(&conf),
        Command::Prepare(args) => prepare::prepare_only(&args, detail),
        Command::Version { all } => {
            inspect::version(all);
            Ok(())
        }
        Command::Config(command) => config::config(&command),
        Command::Migrations(args) => config::migrations(&args),
        Command::Vault(command) => vault::vault(&command),
        Command::Hybrid(command) => hybrid::hybrid(&command),
        Command::Drain(args) => drain::drain(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report::failure(&error, detail),
    }
}
