//! Where the gateway's binary is, built if need be.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, bail};

/// Path of the `kong` binary under test: `KONG_BIN` if set, else built once with the profile and into the target
/// directory of the running test (`cargo test` does not build another package's binaries).
pub fn kong() -> anyhow::Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BINARY
        .get_or_init(|| build("kong", &["-p", "kong"]).map_err(|e| format!("{e:#}")))
        .clone()
        .map_err(anyhow::Error::msg)
}

/// The repository's root.
pub fn root() -> PathBuf {
    let mut dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    dir.pop();
    dir
}

fn build(name: &str, selection: &[&str]) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("KONG_BIN") {
        let path = PathBuf::from(path);
        let path = if path.is_relative() { root().join(path) } else { path };
        if !path.is_file() {
            bail!("KONG_BIN names {}, which is not a file", path.display());
        }
        return Ok(path);
    }
    // target/debug/deps/test-… and target/debug/xtask both lead to target/debug.
    let exe = std::env::current_exe()?;
    let profile_dir = exe
        .ancestors()
        .skip(1)
        .find(|dir| !dir.ends_with("deps") && !dir.ends_with("examples"))
        .context("the running program has no directory")?;
    let release = profile_dir.ends_with("release");
    let target = profile_dir.parent().context("the profile directory has no parent")?;
    let lock = File::create(profile_dir.join(".kong-tests-build.lock"))?;
    lock.lock()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg("build").arg("--quiet").args(selection);
    if release {
        command.arg("--release");
    }
    let status = command.env("CARGO_TARGET_DIR", target).current_dir(root()).status()?;
    if !status.success() {
        bail!("cargo build {} failed", selection.join(" "));
    }
    Ok(profile_dir.join(name))
}
