//! `cargo xtask bench`: keep-alive GETs of 100 bytes through nginx, HAProxy and us, side by side.
//!
//! The proxy under test is pinned to one core, load generator and origin to another; every target runs in every round, in
//! turn, and the table shows medians. CPU time is that of the whole process tree, from `/proc`, divided by the requests
//! that the load generator counted: it stays comparable when the other core is the bottleneck.

mod instructions;
mod peers;
mod wrk;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use kong_tests::{Gateway, PortBlock, Process, binary, process};
use serde_json::{Value, json};

use crate::{flag, install, number, option};

/// Core of the proxy under test.
const PROXY_CORE: &str = "0";
/// Core of load and origin.
const LOAD_CORE: &str = "1";

pub(crate) fn run(words: &[String]) -> anyhow::Result<()> {
    install::install(&install::BENCH_TOOLS)?;
    let binary = release_binary()?;
    if flag(words, "--instructions") {
        install::install(&[("valgrind", "valgrind")])?;
        return instructions::run(&binary);
    }
    let rounds: usize = number(words, "--rounds", 5)?;
    let seconds: u64 = number(words, "--seconds", 4)?;
    let only = option(words, "--only").unwrap_or_default();

    let dir = tempfile::tempdir()?;
    let ports = PortBlock::claim()?;
    let _origin = peers::origin(dir.path(), ports.port(0))?;
    let targets = targets(dir.path(), &ports, &binary, only)?;
    let mut samples: Vec<Vec<Sample>> = targets.iter().map(|_| Vec::new()).collect();
    for target in &targets {
        // Warm up, and see that it answers at all.
        wrk::run(target, Duration::from_secs(1)).with_context(|| target.name.clone())?;
    }
    for round in 1..=rounds {
        for (target, samples) in targets.iter().zip(&mut samples) {
            eprintln!("round {round} of {rounds}: {}", target.name);
            samples.push(measure(target, Duration::from_secs(seconds))?);
        }
    }
    let table = table(&targets, &samples, rounds, seconds);
    println!("{table}");
    if let Some(file) = option(words, "--write") {
        std::fs::write(file, &table)?;
    }
    Ok(())
}

/// The release build of the gateway.
pub(crate) fn release_binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("KONG_BIN") {
        return Ok(path.into());
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let status = Command::new(cargo)
        .args(["build", "--release", "-p", "kong"])
        .current_dir(binary::root())
        .status()?;
    if !status.success() {
        bail!("cargo build --release -p kong: {status}");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| binary::root().join("target"), PathBuf::from);
    Ok(target.join("release/kong"))
}

/// Something under test.
pub(crate) struct Target {
    name: String,
    /// Row whose CPU time is 1.00 for this one.
    baseline: &'static str,
    url: String,
    headers: Vec<String>,
    script: Option<PathBuf>,
    runs: Runs,
}

enum Runs {
    Peer(Process),
    Gateway(Box<Gateway>),
}

impl Target {
    fn pid(&self) -> u32 {
        match &self.runs {
            Runs::Peer(process) => process.pid(),
            Runs::Gateway(gateway) => gateway.pid(),
        }
    }
}

#[derive(Clone, Copy)]
struct Sample {
    cpu_micros: f64,
    per_second: f64,
    p99_micros: f64,
}

fn measure(target: &Target, time: Duration) -> anyhow::Result<Sample> {
    let before = process::cpu_time(target.pid());
    let load = wrk::run(target, time).with_context(|| target.name.clone())?;
    let cpu = process::cpu_time(target.pid()).saturating_sub(before);
    Ok(Sample {
        cpu_micros: cpu.as_secs_f64() * 1e6 / load.requests as f64,
        per_second: load.requests as f64 / load.seconds,
        p99_micros: load.p99_micros,
    })
}

const NGINX: &str = "nginx, same header edits";
const NGINX_TLS: &str = "nginx, TLS, same header edits";
const PLAIN: &str = "kong, 1 route";

/// A plugin instance that must leave every request alone.
fn gateway(binary: &Path, config: &Value) -> anyhow::Result<Gateway> {
    let gateway = Gateway::builder()
        .binary(binary)
        .wrapper(&["taskset", "-c", PROXY_CORE])
        .workers(1)
        .dbless()
        .env("KONG_LOG_LEVEL", "error")
        .start()?;
    gateway
        .admin()
        .timeout(Duration::from_secs(120))
        .post("/config", config)?
        .expect_status(201)?;
    Ok(gateway)
}

/// A declarative document with `n` routes, each a path of its own, to the origin.
pub(crate) fn document(origin: u16, n: usize) -> Value {
    let routes: Vec<Value> = (0..n)
        .map(|i| json!({"name": format!("r{i}"), "paths": [format!("/r{i}/")]}))
        .collect();
    json!({
        "_format_version": "3.0",
        "services": [{"name": "origin", "url": format!("http://127.0.0.1:{origin}"), "routes": routes}],
    })
}

fn targets(dir: &Path, ports: &PortBlock, binary: &Path, only: &str) -> anyhow::Result<Vec<Target>> {
    let origin = ports.port(0);
    let mut targets = Vec::new();
    let wanted = |name: &str| only.is_empty() || name.contains(only);
    let plain = |name: &str, baseline: &'static str, url: String, runs: Runs| Target {
        name: name.to_owned(),
        baseline,
        url,
        headers: Vec::new(),
        script: None,
        runs,
    };
    // nginx is every ratio's denominator, so it always runs.
    let (http, https) = (ports.port(1), ports.port(2));
    let nginx = peers::nginx(dir, "nginx", origin, http, https)?;
    targets.push(plain(
        NGINX,
        NGINX,
        format!("http://127.0.0.1:{http}/r0/x"),
        Runs::Peer(nginx),
    ));
    if wanted("haproxy") {
        let port = ports.port(3);
        let haproxy = peers::haproxy(dir, origin, port)?;
        targets.push(plain(
            "HAProxy, same header edits",
            NGINX,
            format!("http://127.0.0.1:{port}/r0/x"),
            Runs::Peer(haproxy),
        ));
    }
    let kong = |name: &str, config: &Value, baseline: &'static str| -> anyhow::Result<Target> {
        let gateway = gateway(binary, config).with_context(|| name.to_owned())?;
        let url = format!("http://127.0.0.1:{}/r0/x", gateway.proxy_port());
        Ok(plain(name, baseline, url, Runs::Gateway(Box::new(gateway))))
    };
    targets.push(kong(PLAIN, &document(origin, 1), NGINX)?);
    let plugins: [(&str, Value); 3] = [
        ("kong, key-auth", json!([{"name": "key-auth"}])),
        (
            "kong, rate-limiting",
            json!([{"name": "rate-limiting", "config": {"hour": 1_000_000_000}}]),
        ),
        (
            "kong, key-auth + rate-limiting",
            json!([{"name": "key-auth"}, {"name": "rate-limiting", "config": {"hour": 1_000_000_000}}]),
        ),
    ];
    for (name, plugins) in plugins.into_iter().filter(|(name, _)| wanted(name)) {
        let mut config = document(origin, 1);
        config["plugins"] = plugins;
        config["consumers"] = json!([{"username": "bench", "keyauth_credentials": [{"key": "bench-key"}]}]);
        let mut target = kong(name, &config, PLAIN)?;
        target.headers.push("apikey: bench-key".to_owned());
        targets.push(target);
    }
    for n in [1_000, 50_000] {
        let name = format!("kong, {n} routes, random");
        if wanted(&name) {
            let mut target = kong(&name, &document(origin, n), PLAIN)?;
            target.script = Some(wrk::random_path_script(dir, n)?);
            targets.push(target);
        }
    }
    if wanted("TLS") {
        let nginx = peers::nginx(dir, "nginx-tls", origin, ports.port(4), https + 3)?;
        let url = format!("https://127.0.0.1:{}/r0/x", https + 3);
        targets.push(plain(NGINX_TLS, NGINX_TLS, url, Runs::Peer(nginx)));
        let mut target = kong("kong, TLS, 1 route", &document(origin, 1), NGINX_TLS)?;
        if let Runs::Gateway(gateway) = &target.runs {
            target.url = format!("https://127.0.0.1:{}/r0/x", gateway.proxy_ssl_port());
        }
        targets.push(target);
    }
    Ok(targets)
}

fn table(targets: &[Target], samples: &[Vec<Sample>], rounds: usize, seconds: u64) -> String {
    let medians: Vec<Sample> = samples
        .iter()
        .map(|s| Sample {
            cpu_micros: median(s.iter().map(|s| s.cpu_micros)),
            per_second: median(s.iter().map(|s| s.per_second)),
            p99_micros: median(s.iter().map(|s| s.p99_micros)),
        })
        .collect();
    let cpu_of = |name: &str| {
        targets
            .iter()
            .position(|t| t.name == name)
            .and_then(|i| medians.get(i))
            .map(|s| s.cpu_micros)
    };
    let mut out = format!(
        "{}\n{rounds} interleaved rounds of {seconds} s, medians; 64 keep-alive connections, GET of 100 bytes; proxy on one core, \
         load and origin on another.\n\n\
         | Proxy | CPU µs / request | relative to | ratio | requests / s | p99 ms |\n|---|---|---|---|---|---|\n",
        machine()
    );
    for (target, median) in targets.iter().zip(&medians) {
        let ratio = cpu_of(target.baseline).map_or(f64::NAN, |base| median.cpu_micros / base);
        let _ = writeln!(
            out,
            "| {} | {:.2} | {} | {ratio:.2} | {:.0} | {:.2} |",
            target.name,
            median.cpu_micros,
            target.baseline,
            median.per_second,
            median.p99_micros / 1000.0
        );
    }
    out
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Date, processor, kernel and versions of the peers.
pub(crate) fn machine() -> String {
    let first_line = |program: &str, arguments: &[&str]| {
        let program = install::find(program).unwrap_or_else(|| program.into());
        let output = Command::new(program).args(arguments).output();
        let text = output.map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
        String::from_utf8_lossy(&text)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .unwrap_or("")
        .trim_start_matches(['\t', ':', ' ']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{}; {model}, {cores} cores; Linux {}; {}; {}.",
        first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        first_line("uname", &["-r"]),
        first_line("nginx", &["-v"]).trim_start_matches("nginx version: "),
        first_line("haproxy", &["-v"]).split(" - ").next().unwrap_or_default(),
    )
}
