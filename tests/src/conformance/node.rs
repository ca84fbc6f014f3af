//! A node started for a group of cases, and the few Admin calls made between them.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::case::Group;
use super::exchange::{Answer, NoAnswer, exchange, exchange_within, request_bytes};
use super::json::Json;
use super::run::Options;
use crate::{PortBlock, Process};

/// Where each kind of listener is in a block of ports; the case files know the first two digits only by name.
const LISTENERS: [(&str, u16); 4] = [("proxy", 0), ("admin", 1), ("status", 7), ("proxy_ssl", 43)];

/// Deleted in this order between cases, so that nothing is deleted while something else refers to it.
const WIPED: [&str; 11] = [
    "plugins",
    "routes",
    "services",
    "consumers",
    "upstreams",
    "snis",
    "certificates",
    "ca_certificates",
    "keys",
    "key-sets",
    "vaults",
];

pub(crate) struct Node {
    process: Process,
    ports: PortBlock,
    _dir: TempDir,
}

impl Node {
    pub(crate) fn start(group: &Group, options: &Options) -> anyhow::Result<Self> {
        let ports = PortBlock::claim()?;
        let dir = tempfile::Builder::new().prefix("kong-case-").tempdir()?;
        let [proxy, admin, status, proxy_ssl] = LISTENERS.map(|(_, offset)| ports.port(offset));
        let mut env: Vec<(String, String)> = [
            ("KONG_PREFIX", dir.path().to_string_lossy().into_owned()),
            ("KONG_NGINX_DAEMON", "off".to_owned()),
            ("KONG_ADMIN_GUI_LISTEN", "off".to_owned()),
            ("KONG_ANONYMOUS_REPORTS", "off".to_owned()),
            (
                "KONG_PROXY_LISTEN",
                format!("127.0.0.1:{proxy}, 127.0.0.1:{proxy_ssl} http2 ssl"),
            ),
            ("KONG_ADMIN_LISTEN", format!("127.0.0.1:{admin}")),
            ("KONG_STATUS_LISTEN", format!("127.0.0.1:{status}")),
            ("KONG_NGINX_WORKER_PROCESSES", "1".to_owned()),
            ("KONG_PROXY_ACCESS_LOG", "off".to_owned()),
            ("KONG_ADMIN_ACCESS_LOG", "off".to_owned()),
            ("KONG_DB_UPDATE_FREQUENCY", "0.2".to_owned()),
            ("KONG_WORKER_STATE_UPDATE_FREQUENCY", "0.1".to_owned()),
            ("KONG_WORKER_CONSISTENCY", "strict".to_owned()),
            ("KONG_NGINX_USER", "root root".to_owned()),
            ("KONG_LOG_LEVEL", "warn".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if group.dbless {
            env.push(("KONG_DATABASE".to_owned(), "off".to_owned()));
        } else {
            env.extend(options.db_env.iter().cloned());
        }
        env.extend(group.env.iter().cloned());
        if let Some(bootstrap) = options.bootstrap.as_ref().filter(|_| !group.dbless) {
            let status = clean(Command::new("sh").args(["-c", bootstrap]))
                .envs(env.clone())
                .status()?;
            if !status.success() {
                bail!("{bootstrap}: {status}");
            }
        }
        let log_path = dir.path().join("run.log");
        let log = File::create(&log_path)?;
        let mut command = Command::new(&options.binary);
        clean(command.arg("start"))
            .envs(env)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut node = Self {
            process: Process::spawn(&mut command)?,
            ports,
            _dir: dir,
        };
        let status = request_bytes(&send("GET", "/status", None)).map_err(anyhow::Error::msg)?;
        let deadline = Instant::now() + Duration::from_secs(40);
        while Instant::now() < deadline && node.process.exited().is_none() {
            let answer = exchange_within(admin, &status, None, false, Duration::from_secs(2));
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(node);
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        let log = std::fs::read(&log_path)
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap_or_default();
        let tail: String = log.chars().skip(log.chars().count().saturating_sub(3000)).collect();
        bail!("the node did not start with {:?}:\n{tail}", group.env)
    }

    /// The ports as the case files call them (`proxy_port` …).
    pub(crate) fn names(&self) -> Vec<(String, Json)> {
        LISTENERS
            .map(|(name, offset)| (format!("{name}_port"), Json::Str(self.ports.port(offset).to_string())))
            .into()
    }

    pub(crate) fn call(&self, to: &str, raw: &[u8], tls: Option<&str>, head: bool) -> Result<Answer, NoAnswer> {
        let offset = LISTENERS
            .iter()
            .find(|(name, _)| *name == to)
            .map(|(_, offset)| *offset);
        let offset = offset.ok_or_else(|| NoAnswer::Broken(format!("no listener is called {to:?}")))?;
        exchange(self.ports.port(offset), raw, tls, head)
    }

    fn admin(&self, method: &str, path: &str, body: Option<&Json>) -> anyhow::Result<(u16, Option<Json>)> {
        let raw = request_bytes(&send(method, path, body)).map_err(anyhow::Error::msg)?;
        match self.call("admin", &raw, None, false) {
            Ok(answer) => Ok((answer.status, Json::parse(&answer.body))),
            Err(e) => bail!("{method} {path}: {e:?}"),
        }
    }

    /// Deletes everything.
    pub(crate) fn wipe(&self) -> anyhow::Result<()> {
        for entity in WIPED {
            for _ in 0..5 {
                let (status, page) = self.admin("GET", &format!("/{entity}?size=1000"), None)?;
                if status != 200 {
                    break;
                }
                let page = page.with_context(|| format!("GET /{entity} did not answer JSON"))?;
                let rows = page.get("data").and_then(Json::as_list).unwrap_or_default();
                if rows.is_empty() {
                    break;
                }
                for row in rows {
                    let id = row.get("id").and_then(Json::as_str).context("a row without id")?;
                    self.admin("DELETE", &format!("/{entity}/{id}"), None)?;
                }
            }
        }
        Ok(())
    }

    /// Loads a declarative document. Ours is in force when the answer comes; run.py waits 0.3 s more.
    pub(crate) fn load(&self, config: &Json) -> anyhow::Result<()> {
        let (status, answer) = self.admin("POST", "/config", Some(config))?;
        if status != 201 {
            let answer = answer.unwrap_or(Json::Null).dumps(false);
            bail!(
                "POST /config answered {status}: {}",
                answer.chars().take(1500).collect::<String>()
            );
        }
        Ok(())
    }

    pub(crate) fn stop(mut self) {
        self.process.stop();
    }
}

/// Settings of the caller's own shell don't belong to the node.
fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KONG_") {
            command.env_remove(name);
        }
    }
    command
}

fn send(method: &str, path: &str, json: Option<&Json>) -> Json {
    let text = |text: &str| Json::Str(text.to_owned());
    let mut members = vec![("method".to_owned(), text(method)), ("path".to_owned(), text(path))];
    if let Some(json) = json {
        members.push(("json".to_owned(), json.clone()));
    }
    Json::Object(members)
}
