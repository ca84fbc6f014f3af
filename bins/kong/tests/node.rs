//! The life of a node as its commands see it: background, foreground, double start, stop, quit, restart.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A prefix and free ports. Whatever still runs there is stopped at the end of the test.
struct Place {
    directory: TempDir,
    ports: [u16; 3],
}

impl Place {
    fn new() -> Self {
        // Held together, so that they differ.
        let sockets = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = sockets.map(|socket| socket.local_addr().unwrap().port());
        Self {
            directory: tempfile::tempdir().unwrap(),
            ports,
        }
    }

    fn prefix(&self) -> PathBuf {
        self.directory.path().join("node")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let [proxy, admin, status] = self.ports;
        let mut command = Command::new(env!("CARGO_BIN_EXE_kong"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("KONG_PREFIX", self.prefix())
            .env("KONG_PROXY_LISTEN", format!("127.0.0.1:{proxy}"))
            .env("KONG_ADMIN_LISTEN", format!("127.0.0.1:{admin}"))
            .env("KONG_STATUS_LISTEN", format!("127.0.0.1:{status}"))
            .env("KONG_NGINX_WORKER_PROCESSES", "1")
            .stdin(Stdio::null());
        command
    }

    fn kong(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a command that must succeed.
    fn said(&self, arguments: &[&str]) -> String {
        let output = self.kong(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn pid(&self) -> String {
        std::fs::read_to_string(self.prefix().join("pids/nginx.pid")).unwrap()
    }

    /// The status line of the answer to a request.
    fn status_line(&self, port: u16) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
            .write_all(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.kong(&["stop"]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    panic!("the node did not end");
}

#[test]
fn start_returns_once_the_node_serves_and_stop_ends_it() {
    let place = Place::new();
    assert_eq!(place.said(&["start"]), "Kong started\n");
    // Without waiting: both ports answer now.
    assert_eq!(place.status_line(place.ports[1]), "HTTP/1.1 200 OK\r\n");
    assert!(place.status_line(place.ports[0]).starts_with("HTTP/1.1 404 "));
    let prefix = place.prefix().canonicalize().unwrap();
    assert_eq!(
        place.said(&["health"]),
        format!("nginx.......running\n\nKong is healthy at {}\n", prefix.display())
    );
    let process = place.pid();

    let output = place.kong(&["start"]);
    assert_eq!(output.status.code(), Some(1));
    let message = format!("Error: Kong is already running in {}\n", prefix.display());
    assert!(text(&output.stderr).contains(&message), "{}", text(&output.stderr));
    assert_eq!(place.pid(), process);

    let log = std::fs::read_to_string(prefix.join("logs/error.log")).unwrap();
    let first = log.lines().next().unwrap();
    assert!(
        first.contains(&format!(" [notice] {}#0: gateway ", process.trim())),
        "{first}"
    );
    assert!(
        first.ends_with("datastore sqlite (neither database nor any pg_* or cassandra_* property is set)"),
        "{first}"
    );

    assert_eq!(place.said(&["stop"]), "Kong stopped\n");
    assert!(!prefix.join("pids/nginx.pid").exists());
    assert_eq!(place.kong(&["health"]).status.code(), Some(1));
}

#[test]
fn quit_and_restart() {
    let place = Place::new();
    // There is nothing to stop yet.
    assert_eq!(place.said(&["restart"]), "Kong started\n");
    let first = place.pid();
    assert_eq!(place.said(&["restart"]), "Kong started\n");
    assert_ne!(place.pid(), first);
    assert_eq!(place.said(&["quit"]), "Kong stopped (gracefully)\n");
    assert_eq!(place.kong(&["quit"]).status.code(), Some(1));
}

#[test]
fn in_the_foreground_the_node_names_its_addresses_and_ends_on_sigterm() {
    let place = Place::new();
    let mut child = place
        .command(&["start", "--foreground"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = String::new();
    for _ in 0..6 {
        output.read_line(&mut lines).unwrap();
    }
    let [proxy, admin, _] = place.ports;
    assert!(
        lines.starts_with(&format!("Kong started\n  proxy   http://127.0.0.1:{proxy}\n")),
        "{lines}"
    );
    assert!(
        lines.contains(&format!("  admin   http://127.0.0.1:{admin}\n")),
        "{lines}"
    );
    assert!(
        lines.contains("/node/kong.sqlite (neither database nor any pg_* or cassandra_* property is set)\n"),
        "{lines}"
    );
    assert_eq!(place.pid().trim(), child.id().to_string());
    assert_eq!(place.said(&["stop"]), "Kong stopped\n");
    assert_eq!(wait(&mut child).code(), Some(0));
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn what_stops_the_start_is_shown_by_the_command() {
    let place = Place::new();
    let busy = TcpListener::bind(("127.0.0.1", place.ports[0])).unwrap();
    for arguments in [&["start"] as &[&str], &["start", "--foreground"]] {
        let output = place.kong(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            text(&output.stderr).contains(&place.ports[0].to_string()),
            "{}",
            text(&output.stderr)
        );
        assert!(!text(&output.stdout).contains("Kong started"));
        assert_eq!(place.kong(&["health"]).status.code(), Some(1));
    }
    drop(busy);
    assert_eq!(place.said(&["start"]), "Kong started\n");
}

#[test]
fn drain_turns_readiness_off() {
    let place = Place::new();
    place.said(&["start"]);
    assert_eq!(
        place.said(&["drain"]),
        "Kong's status successfully changed to 'draining'\n"
    );
}
