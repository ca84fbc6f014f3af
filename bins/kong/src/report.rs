//! What the command says: messages, warnings, failures, and wrong usage.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use kong_config::{Config, log};

use crate::cli::Cli;

/// How much the user wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    Plain,
    Verbose,
    Debug,
}

impl Detail {
    pub(crate) fn new(verbose: bool, debug: bool) -> Self {
        match (verbose, debug) {
            (_, true) => Self::Debug,
            (true, false) => Self::Verbose,
            (false, false) => Self::Plain,
        }
    }
}

/// A line at some level, on standard error.
pub(crate) fn line(level: log::Level, message: &str) {
    eprintln!("{} [{level}] {message}", log::timestamp());
}

/// What a configuration has to tell its user.
pub(crate) fn warnings(config: &Config) {
    for warning in &config.warnings {
        line(log::Level::Warn, warning);
    }
}

/// At `--vv`: every value that is in force.
pub(crate) fn values(config: &Config, detail: Detail) {
    if detail == Detail::Debug {
        for (name, value) in config.effective_texts() {
            line(log::Level::Debug, &format!("{name} = {value}"));
        }
    }
}

/// A failed command.
pub(crate) fn failure(error: &anyhow::Error, detail: Detail) -> ExitCode {
    if detail == Detail::Plain {
        eprintln!("Error: {error:#}\n\n  Run with --v (verbose) or --vv (debug) for more details");
    } else {
        eprintln!("Error: {error:?}");
    }
    ExitCode::FAILURE
}

/// A command line that cannot be understood, or a question for help.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp => {
            print!("{error}");
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            eprint!("{}", help_of(std::env::args().nth(1).as_deref()));
            ExitCode::FAILURE
        }
        ErrorKind::InvalidSubcommand => {
            let name = match error.get(ContextKind::InvalidSubcommand) {
                Some(ContextValue::String(name)) => name.as_str(),
                _ => "",
            };
            let parent = std::env::args()
                .nth(1)
                .filter(|first| first != name && !first.starts_with('-'));
            match &parent {
                Some(parent) => eprintln!("No such command for {parent}: {name}\n"),
                None => eprintln!("No such command: {name}\n"),
            }
            eprint!("{}", help_of(parent.as_deref()));
            ExitCode::FAILURE
        }
        _ => {
            let text = error.to_string();
            eprint!("Error: {}", text.strip_prefix("error: ").unwrap_or(&text));
            ExitCode::FAILURE
        }
    }
}

fn help_of(command: Option<&str>) -> String {
    let mut cli = Cli::command();
    cli.build();
    match command.and_then(|name| cli.find_subcommand_mut(name)) {
        Some(command) => command.render_help().to_string(),
        None => cli.render_help().to_string(),
    }
}
