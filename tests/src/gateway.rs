//! A node under test: the real binary with a prefix and ports of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Client, PortBlock, Process, binary};

/// Settings of a node to start.
#[derive(Debug, Default)]
pub struct GatewayBuilder {
    env: BTreeMap<String, String>,
    prefix: Option<PathBuf>,
    binary: Option<PathBuf>,
    wrapper: Vec<String>,
}

impl GatewayBuilder {
    /// A setting, as `KONG_…` environment variable.
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.insert(name.to_owned(), value.to_string());
        self
    }

    /// Number of workers (2 otherwise).
    pub fn workers(self, n: usize) -> Self {
        self.env("KONG_NGINX_WORKER_PROCESSES", n)
    }

    /// Without a datastore.
    pub fn dbless(self) -> Self {
        self.env("KONG_DATABASE", "off")
    }

    /// Uses a directory of the caller's instead of a temporary one, so that a later node can continue in it.
    pub fn prefix(mut self, dir: &Path) -> Self {
        self.prefix = Some(dir.to_owned());
        self
    }

    /// Runs another binary, such as an example's.
    pub fn binary(mut self, path: &Path) -> Self {
        self.binary = Some(path.to_owned());
        self
    }

    /// Runs the binary under a program, such as `taskset -c 0` or `valgrind …`.
    pub fn wrapper(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|w| (*w).to_owned()).collect();
        self
    }

    /// Starts the node and waits until its Admin API and its proxy port answer.
    pub fn start(self) -> anyhow::Result<Gateway> {
        let ports = PortBlock::claim()?;
        let (temporary, prefix) = match self.prefix {
            Some(prefix) => (None, prefix),
            None => {
                let dir = tempfile::Builder::new().prefix("kong-node-").tempdir()?;
                let path = dir.path().to_owned();
                (Some(dir), path)
            }
        };
        let binary = match self.binary {
            Some(path) => path,
            None => binary::kong()?,
        };
        let log = prefix.join("run.log");
        let output = File::options().create(true).append(true).open(&log)?;
        let mut words = self.wrapper.clone();
        words.push(binary.to_string_lossy().into_owned());
        let (program, arguments) = words.split_first().context("nothing to run")?;
        let mut command = Command::new(program);
        command.args(arguments).arg("start");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KONG_") {
                command.env_remove(name);
            }
        }
        let [proxy, proxy_ssl, admin, status] = [0, 43, 1, 7].map(|offset| ports.port(offset));
        let defaults = [
            ("KONG_PREFIX", prefix.to_string_lossy().into_owned()),
            ("KONG_NGINX_DAEMON", "off".to_owned()),
            (
                "KONG_PROXY_LISTEN",
                format!("127.0.0.1:{proxy}, 127.0.0.1:{proxy_ssl} ssl"),
            ),
            ("KONG_ADMIN_LISTEN", format!("127.0.0.1:{admin}")),
            ("KONG_STATUS_LISTEN", format!("127.0.0.1:{status}")),
            ("KONG_ADMIN_GUI_LISTEN", "off".to_owned()),
            ("KONG_NGINX_WORKER_PROCESSES", "2".to_owned()),
            ("KONG_PROXY_ACCESS_LOG", "off".to_owned()),
            ("KONG_ADMIN_ACCESS_LOG", "off".to_owned()),
            ("KONG_ANONYMOUS_REPORTS", "off".to_owned()),
        ];
        command.envs(defaults).envs(&self.env);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let process = Process::spawn(&mut command)?;
        let mut gateway = Gateway {
            process,
            ports,
            prefix,
            log,
            _temporary: temporary,
        };
        gateway.wait_ready()?;
        Ok(gateway)
    }
}

/// A running node. Killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    ports: PortBlock,
    prefix: PathBuf,
    log: PathBuf,
    _temporary: Option<TempDir>,
}

impl Gateway {
    /// Default settings: two workers, the embedded store in a temporary prefix.
    pub fn builder() -> GatewayBuilder {
        GatewayBuilder::default()
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if let Some(status) = self.process.exited() {
                bail!("the node ended with {status}:\n{}", self.log());
            }
            let up = |client: Client| client.timeout(Duration::from_secs(2)).get("/status").map(|r| r.status);
            if up(self.admin()).is_ok_and(|status| status == 200) && up(self.proxy()).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        bail!("the node did not answer within 60 s:\n{}", self.log())
    }

    /// Client of the Admin API.
    pub fn admin(&self) -> Client {
        Client::new(self.admin_port())
    }

    /// Client of the proxy port.
    pub fn proxy(&self) -> Client {
        Client::new(self.proxy_port())
    }

    /// Client of the proxy's TLS port.
    pub fn proxy_ssl(&self, server_name: &str) -> Client {
        Client::new(self.proxy_ssl_port()).tls(server_name)
    }

    /// Client of the Status API.
    pub fn status(&self) -> Client {
        Client::new(self.ports.port(7))
    }

    /// Port of the proxy.
    pub fn proxy_port(&self) -> u16 {
        self.ports.port(0)
    }

    /// TLS port of the proxy.
    pub fn proxy_ssl_port(&self) -> u16 {
        self.ports.port(43)
    }

    /// Port of the Admin API.
    pub fn admin_port(&self) -> u16 {
        self.ports.port(1)
    }

    /// Process id (of the wrapper, if there is one).
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its prefix directory.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// What it has written to standard output, standard error and its error log.
    pub fn log(&self) -> String {
        let read = |path: &Path| std::fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned());
        read(&self.log).unwrap_or_default() + &read(&self.prefix.join("logs/error.log")).unwrap_or_default()
    }

    /// Resident memory now, in KiB.
    pub fn rss_kib(&self) -> u64 {
        crate::process::status_kib(self.pid(), "VmRSS").unwrap_or(0)
    }

    /// Highest resident memory so far, in KiB.
    pub fn peak_rss_kib(&self) -> u64 {
        crate::process::status_kib(self.pid(), "VmHWM").unwrap_or(0)
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.exited().is_none()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        self.process.signal(signal);
    }

    /// Waits for its end.
    pub fn wait(&mut self, at_most: Duration) -> Option<ExitStatus> {
        self.process.wait(at_most)
    }

    /// SIGTERM and wait.
    pub fn stop(mut self) {
        self.process.stop();
    }

    /// SIGKILL and wait.
    pub fn kill(mut self) {
        self.process.signal(libc::SIGKILL);
        self.process.wait(Duration::from_secs(5));
    }

    /// Creates a service with this name and URL.
    pub fn add_service(&self, name: &str, url: &str) -> anyhow::Result<Value> {
        Ok(self
            .admin()
            .post("/services", &json!({"name": name, "url": url}))?
            .expect_status(201)?
            .json())
    }

    /// Creates a route of a service.
    pub fn add_route(&self, service: &str, route: Value) -> anyhow::Result<Value> {
        Ok(self
            .admin()
            .post(&format!("/services/{service}/routes"), &route)?
            .expect_status(201)?
            .json())
    }

    /// Panics recorded in the log, which there must never be.
    pub fn panics(&self) -> Vec<String> {
        self.log()
            .lines()
            .filter(|l| l.contains("panicked at"))
            .map(str::to_owned)
            .collect()
    }
}
