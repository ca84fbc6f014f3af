//! `kong config …` and `kong migrations …`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::cli::{ConfigCommand, DeclarativeArgs, MigrationsArgs};

pub(crate) fn config(command: &ConfigCommand) -> anyhow::Result<()> {
    let (name, args) = match command {
        ConfigCommand::Init { file } => return init(file),
        ConfigCommand::Parse(args) => ("parse", args),
        ConfigCommand::DbImport(args) => ("db_import", args),
        ConfigCommand::DbExport(args) => ("db_export", args),
    };
    let DeclarativeArgs { file, conf: _ } = args;
    if file.is_none() && name != "db_export" {
        bail!("expected a declarative configuration file; see `kong config --help`");
    }
    bail!("'kong config {name}' is not built yet")
}

pub(crate) fn migrations(args: &MigrationsArgs) -> anyhow::Result<()> {
    let command = args.arguments.first().map_or("", String::as_str);
    bail!(
        "'kong migrations {command}' is not built yet: it is for Postgres and Cassandra, an SQLite file is brought up \
         to date by `kong start`"
    )
}

const SAMPLE: &str = "\
# A declarative configuration: everything that the Admin API can configure, in one document.
_format_version: \"3.0\"
_transform: true

# services:
# - name: example
#   url: http://127.0.0.1:9000
#   routes:
#   - name: example
#     paths:
#     - /example
#   plugins:
#   - name: key-auth
#
# consumers:
# - username: alice
#   keyauth_credentials:
#   - key: a-secret-key
";

fn init(file: &Path) -> anyhow::Result<()> {
    let mut opened = match OpenOptions::new().write(true).create_new(true).open(file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} already exists.\nWill not overwrite it.", file.display());
        }
        other => other.with_context(|| format!("cannot write {}", file.display()))?,
    };
    opened.write_all(SAMPLE.as_bytes())?;
    Ok(())
}
