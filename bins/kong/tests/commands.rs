//! What the commands say and how they exit when no node runs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const HINT: &str = "\n\n  Run with --v (verbose) or --vv (debug) for more details\n";

/// Runs the command in an empty directory, with nothing of the surroundings' configuration.
fn kong(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kong"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory)
        .env("ANSWER", "42")
        .output()
        .unwrap()
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard error, without the time at the beginning of each line.
fn log_lines(output: &Output) -> Vec<String> {
    let lines = text(&output.stderr);
    lines
        .lines()
        .map(|line| line.get(20..).unwrap_or(line).to_owned())
        .collect()
}

#[test]
fn version_is_that_of_the_gateway_whose_behaviour_this_is() {
    let directory = directory();
    assert_eq!(text(&kong(directory.path(), &["version"]).stdout), "3.9.3\n");
    let all = text(&kong(directory.path(), &["version", "-a"]).stdout);
    let names: Vec<_> = all.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, ["Kong", "ngx_lua", "nginx", "Lua", "gateway"]);
    assert!(all.starts_with("Kong: 3.9.3\n"));
}

#[test]
fn a_command_line_that_makes_no_sense_is_answered_with_usage() {
    let rows: &[(&[&str], &str)] = &[
        (&[], "An API gateway"),
        (&["frobnicate"], "No such command: frobnicate\n"),
        (&["config", "frobnicate"], "No such command for config: frobnicate\n"),
        (&["config"], "Declarative configuration files"),
        (&["start", "--frobnicate"], "Error: unexpected argument '--frobnicate'"),
        (&["quit", "-t", "soon"], "Error: invalid value 'soon'"),
    ];
    for (arguments, start) in rows {
        let output = kong(directory().path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(
            said.starts_with(start) && (said.contains("Usage: kong") || said.contains("try '--help'")),
            "{arguments:?} said {said}"
        );
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
    let help = kong(directory().path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("kong start --foreground"));
}

#[test]
fn a_missing_or_unused_prefix_is_named() {
    let directory = directory();
    let unused = directory.path().join("unused");
    let missing = directory.path().join("missing");
    std::fs::create_dir(&unused).unwrap();
    let (unused, missing) = (unused.to_str().unwrap(), missing.to_str().unwrap());
    let rows = [
        ("stop", missing, format!("no such prefix: {missing}")),
        ("quit", missing, format!("no such prefix: {missing}")),
        ("health", missing, format!("no such prefix: {missing}")),
        ("reload", missing, format!("no such prefix: {missing}")),
        ("drain", missing, format!("no such prefix: {missing}")),
        ("stop", unused, format!("nginx not running in prefix: {unused}")),
        ("quit", unused, format!("nginx not running in prefix: {unused}")),
        ("reload", unused, format!("nginx not running in prefix: {unused}")),
        ("health", unused, format!("Kong is not running at {unused}")),
    ];
    for (command, prefix, message) in rows {
        let output = kong(directory.path(), &[command, "-p", prefix]);
        assert_eq!(output.status.code(), Some(1), "{command} {prefix}");
        assert_eq!(
            text(&output.stderr),
            format!("Error: {message}{HINT}"),
            "{command} {prefix}"
        );
    }
    let output = kong(directory.path(), &["health", "-p", unused]);
    assert_eq!(text(&output.stdout), "nginx.......not running\n\n");
}

#[test]
fn a_pid_file_that_a_crash_left_behind_is_no_node() {
    let directory = directory();
    let pids = directory.path().join("pids");
    std::fs::create_dir(&pids).unwrap();
    // The process exists (it is this one), but it holds no lock.
    std::fs::write(pids.join("nginx.pid"), format!("{}\n", std::process::id())).unwrap();
    let output = kong(directory.path(), &["stop", "-p", "."]);
    assert!(text(&output.stderr).starts_with("Error: nginx not running in prefix: "));
}

#[test]
fn check_tells_everything_that_is_wrong() {
    let directory = directory();
    let conf = directory.path().join("kong.conf");
    std::fs::write(&conf, "log_level = loud\nheaders = x\nrole = data_plane\n").unwrap();
    let output = kong(directory.path(), &["check", "kong.conf"]);
    assert_eq!(output.status.code(), Some(1));
    let lines = log_lines(&output);
    assert!(
        lines[0].starts_with("[error] log_level has an invalid value: 'loud' ("),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"[error] headers: invalid entry 'x'".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines
            .last()
            .unwrap()
            .starts_with("[error] role = data_plane is not supported yet"),
        "{lines:?}"
    );

    // Other commands tell the first.
    let output = kong(directory.path(), &["start", "-c", "kong.conf", "-p", "node"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("Error: log_level has an invalid value") && said.ends_with(HINT),
        "{said}"
    );
    assert!(
        !directory.path().join("node").exists(),
        "a refused configuration leaves nothing behind"
    );

    std::fs::write(&conf, "log_level = info\n").unwrap();
    let output = kong(directory.path(), &["check", "kong.conf"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "configuration at kong.conf is valid\n");
    let store = "[notice] datastore: sqlite (neither database nor any pg_* or cassandra_* property is set)";
    assert_eq!(log_lines(&output), [store]);

    let output = kong(directory.path(), &["check", "missing.conf"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(log_lines(&output), ["[error] no file at: missing.conf"]);
}

#[test]
fn prepare_writes_the_prefix_and_starts_nothing() {
    let directory = directory();
    let output = kong(directory.path(), &["prepare", "-p", "node"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let prefix = directory.path().join("node");
    for path in [
        "pids",
        "logs",
        ".kong_env",
        "ssl/kong-default.crt",
        "ssl/admin-kong-default-ecdsa.key",
    ] {
        assert!(prefix.join(path).exists(), "{path}");
    }
    assert!(
        !prefix.join("ssl/status-kong-default.crt").exists(),
        "no TLS listener, no certificate"
    );
    assert_eq!(kong(directory.path(), &["health", "-p", "node"]).status.code(), Some(1));
}

#[test]
fn an_unwritable_prefix_is_named() {
    let directory = directory();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let output = kong(directory.path(), &["start", "-p", "file/node"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).starts_with("Error: cannot create directory "),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn vault_get_prints_what_a_reference_stands_for() {
    for reference in ["env/answer", "{vault://env/answer}"] {
        let output = kong(directory().path(), &["vault", "get", reference]);
        assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("42\n", Some(0)));
    }
    let output = kong(directory().path(), &["vault", "get", "env/question"]);
    let message = "could not get value from external vault (no value found)";
    assert_eq!(text(&output.stderr), format!("Error: {message}{HINT}"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn generated_files_are_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = directory();
    let output = kong(directory.path(), &["hybrid", "gen_cert"]);
    let message = "Successfully generated certificate/key pairs, they have been written to: 'cluster.crt' and \
                   'cluster.key'.\n";
    assert_eq!(text(&output.stdout), message);
    let mode = |file: &str| {
        std::fs::metadata(directory.path().join(file))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("cluster.crt"), mode("cluster.key")), (0o644, 0o600));
    assert_eq!(kong(directory.path(), &["hybrid", "gen_cert"]).status.code(), Some(1));

    assert_eq!(kong(directory.path(), &["config", "init"]).status.code(), Some(0));
    let output = kong(directory.path(), &["config", "init"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        format!("Error: kong.yml already exists.\nWill not overwrite it.{HINT}")
    );
}

#[test]
fn values_are_shown_at_vv_without_secrets() {
    let directory = directory();
    let output = Command::new(env!("CARGO_BIN_EXE_kong"))
        .args(["prepare", "--vv", "-p", "node"])
        .current_dir(directory.path())
        .env_clear()
        .envs([
            ("KONG_DATABASE", "off"),
            ("KONG_PG_PASSWORD", "hunter2"),
            ("KONG_HEADERS", "via"),
        ])
        .output()
        .unwrap();
    let lines = log_lines(&output);
    assert!(lines.contains(&"[debug] pg_password = ******".to_owned()), "{lines:?}");
    assert!(lines.contains(&r#"[debug] headers = ["via"]"#.to_owned()), "{lines:?}");
    assert!(!text(&output.stderr).contains("hunter2"));
}
