//! Programs that the full run needs beyond Rust.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::bail;

/// Program and the Debian package that has it.
pub(crate) const TEST_TOOLS: [(&str, &str); 4] = [
    ("python3", "python3"),
    ("curl", "curl"),
    ("strace", "strace"),
    ("bash", "bash"),
];

/// What the benchmark needs.
pub(crate) const BENCH_TOOLS: [(&str, &str); 5] = [
    ("nginx", "nginx-light"),
    ("haproxy", "haproxy"),
    ("wrk", "wrk"),
    ("taskset", "util-linux"),
    ("openssl", "openssl"),
];

/// Where a program is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|dir| dir.join(program))
        .find(|p| p.is_file())
}

/// Installs the packages of programs that are missing; an error if that does not help.
pub(crate) fn install(tools: &[(&str, &str)]) -> anyhow::Result<()> {
    let missing = || tools.iter().filter(|(program, _)| find(program).is_none());
    let packages: Vec<&str> = missing().map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    eprintln!("installing {}", packages.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-q", "-y"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        command.stdout(Stdio::null()).status().is_ok_and(|s| s.success())
    };
    if !apt(&[&["install", "--no-install-recommends"], &packages[..]].concat()) {
        apt(&["update"]);
        apt(&[&["install", "--no-install-recommends"], &packages[..]].concat());
    }
    let left: Vec<&str> = missing().map(|(program, _)| *program).collect();
    if !left.is_empty() {
        bail!("missing and not installable here: {}", left.join(", "));
    }
    Ok(())
}
