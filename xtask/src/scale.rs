//! `cargo xtask scale`: what a change costs when much is configured.
//!
//! Loads routes, consumers and keys through the Admin API into SQLite (on a memory file system, so that loading measures
//! the gateway and not the disk), then patches routes one at a time, alone and under load.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kong_tests::{Client, Gateway, Origin, Request, process};
use serde_json::{Value, json};

use crate::{bench, number};

const PATCHES: usize = 200;

pub(crate) fn run(words: &[String]) -> anyhow::Result<()> {
    let routes: usize = number(words, "--routes", 50_000)?;
    let consumers: usize = number(words, "--consumers", 100_000)?;
    let binary = bench::release_binary()?;
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let dir = tempfile::Builder::new().prefix("kong-scale-").tempdir_in(base)?;
    let origin = Origin::start()?;
    let node = || {
        Gateway::builder()
            .binary(&binary)
            .prefix(dir.path())
            .env("KONG_LOG_LEVEL", "error")
            .start()
    };

    let gateway = node()?;
    gateway.add_service("s", &origin.url())?;
    let started = Instant::now();
    load(&gateway.admin(), routes, |i| {
        vec![
            Request::new("POST", "/services/s/routes")
                .json(&json!({"name": format!("r{i}"), "paths": [format!("/r{i}/")]})),
        ]
    })?;
    eprintln!("{routes} routes in {:.0} s", started.elapsed().as_secs_f64());
    let started = Instant::now();
    load(&gateway.admin(), consumers, |i| {
        vec![
            Request::new("POST", "/consumers").json(&json!({"username": format!("c{i}")})),
            Request::new("POST", &format!("/consumers/c{i}/key-auth")).json(&json!({"key": format!("k{i}")})),
        ]
    })?;
    eprintln!(
        "{consumers} consumers with keys in {:.0} s",
        started.elapsed().as_secs_f64()
    );
    gateway
        .admin()
        .post("/plugins", &json!({"name": "key-auth"}))?
        .expect_status(201)?;
    gateway.stop();

    println!(
        "{}\n{routes} routes, {consumers} consumers with a key each, SQLite.\n",
        bench::machine()
    );
    println!("| What | Measured |\n|---|---|");
    let started = Instant::now();
    let mut gateway = node()?;
    let last = format!("/r{}/", routes.saturating_sub(1));
    let request = |path: &str, key: usize| Request::new("GET", path).header("apikey", &format!("k{key}"));
    gateway.proxy().send(request(&last, 0))?.expect_status(200)?;
    println!("| start to first 200 | {:.2} s |", started.elapsed().as_secs_f64());
    println!("| resident after start | {} MB |", gateway.rss_kib() / 1024);

    let mut proxy = gateway.proxy().connect()?;
    let unseen = percentiles((1..consumers.min(1000)).map(|i| {
        let started = Instant::now();
        proxy.send(&request(&last, consumers - i))?.expect_status(200)?;
        Ok(started.elapsed())
    }))?;
    println!("| request with a key not seen before | {unseen} |");

    let (cpu, wait) = patches(&gateway, routes, &mut proxy, &request)?;
    println!("| CPU of one route patch, everything included | {cpu:.2} ms |");
    println!("| Admin answer to a route patch | {wait} |");

    let (latency, failed, requests) = under_load(&gateway, routes, &last)?;
    println!("| {requests} requests beside {PATCHES} patches | {latency}; {failed} failed |");
    println!("| resident at the end | {} MB |", gateway.rss_kib() / 1024);
    if failed > 0 || !gateway.is_running() || !gateway.panics().is_empty() {
        bail!(
            "{failed} failed requests, running: {}, panics: {:?}",
            gateway.is_running(),
            gateway.panics()
        );
    }
    Ok(())
}

/// Sends what `requests` makes of 0…n over four connections; every answer must be 201.
fn load(admin: &Client, n: usize, requests: impl Fn(usize) -> Vec<Request> + Sync) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    let mut connection = admin.connect()?;
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        if i >= n {
                            return Ok(());
                        }
                        for request in requests(i) {
                            connection.send(&request)?.expect_status(201)?;
                        }
                    }
                })
            })
            .collect();
        lanes
            .into_iter()
            .try_for_each(|lane| lane.join().map_err(|_| anyhow::anyhow!("a loader panicked"))?)
    })
}

/// Mean CPU milliseconds and the answer times of route patches, each seen by the next request.
fn patches(
    gateway: &Gateway,
    routes: usize,
    proxy: &mut kong_tests::Connection,
    request: &dyn Fn(&str, usize) -> Request,
) -> anyhow::Result<(f64, Percentiles)> {
    let mut admin = gateway.admin().connect()?;
    let cpu_before = process::cpu_nanos(gateway.pid());
    let idle_from = Instant::now();
    let waits = percentiles((0..PATCHES).map(|i| {
        let route = i * 7919 % routes;
        let (path, body) = (format!("/p{i}/"), json!({"paths": [format!("/p{i}/")]}));
        let started = Instant::now();
        admin
            .send(&Request::new("PATCH", &format!("/routes/r{route}")).json(&body))?
            .expect_status(200)?;
        let waited = started.elapsed();
        proxy.send(&request(&path, 0))?.expect_status(200)?;
        let body: Value = json!({"paths": [format!("/r{route}/")]});
        admin
            .send(&Request::new("PATCH", &format!("/routes/r{route}")).json(&body))?
            .expect_status(200)?;
        Ok(waited)
    }))?;
    let cpu = process::cpu_nanos(gateway.pid()).saturating_sub(cpu_before);
    let busy = idle_from.elapsed();
    // What the node does by itself in the same time does not belong to the patches.
    let idle_before = process::cpu_nanos(gateway.pid());
    std::thread::sleep(busy.min(Duration::from_secs(5)));
    let idle = process::cpu_nanos(gateway.pid()).saturating_sub(idle_before) as f64
        * (busy.as_secs_f64() / busy.as_secs_f64().min(5.0));
    Ok(((cpu as f64 - idle) / 1e6 / (2 * PATCHES) as f64, waits))
}

/// Latency and failures of 8 clients while routes are patched.
fn under_load(gateway: &Gateway, routes: usize, path: &str) -> anyhow::Result<(Percentiles, usize, usize)> {
    let stop = AtomicBool::new(false);
    let failed = AtomicUsize::new(0);
    let mut all: Vec<Duration> = Vec::new();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut times = Vec::new();
                    let request = Request::new("GET", path).header("apikey", "k0");
                    let Ok(mut connection) = gateway.proxy().connect() else {
                        return times;
                    };
                    while !stop.load(Ordering::Relaxed) {
                        let started = Instant::now();
                        match connection.send(&request) {
                            Ok(response) if response.status == 200 => times.push(started.elapsed()),
                            _ => {
                                failed.fetch_add(1, Ordering::Relaxed);
                                if let Ok(fresh) = gateway.proxy().connect() {
                                    connection = fresh;
                                }
                            }
                        }
                    }
                    times
                })
            })
            .collect();
        let mut admin = gateway.admin().connect()?;
        let mut patched = Ok(());
        for i in 0..PATCHES {
            let body = json!({"tags": [format!("t{i}")]});
            let request = Request::new("PATCH", &format!("/routes/r{}", i * 104_729 % routes)).json(&body);
            patched = admin.send(&request).and_then(|r| r.expect_status(200)).map(drop);
            if patched.is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            all.extend(client.join().unwrap_or_default());
        }
        patched
    })?;
    let requests = all.len();
    Ok((percentiles(all.into_iter().map(Ok))?, failed.into_inner(), requests))
}

/// Median, 99th percentile and maximum.
pub(crate) struct Percentiles([Duration; 3]);

impl std::fmt::Display for Percentiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [median, p99, max] = self.0.map(|d| d.as_secs_f64() * 1000.0);
        write!(f, "median {median:.2} ms, p99 {p99:.2} ms, at most {max:.2} ms")
    }
}

fn percentiles(times: impl Iterator<Item = anyhow::Result<Duration>>) -> anyhow::Result<Percentiles> {
    let mut times: Vec<Duration> = times.collect::<anyhow::Result<_>>()?;
    times.sort_unstable();
    let at = |share: f64| {
        times
            .get(((times.len().saturating_sub(1)) as f64 * share) as usize)
            .copied()
    };
    let pick = |share| at(share).context("nothing was measured");
    Ok(Percentiles([pick(0.5)?, pick(0.99)?, pick(1.0)?]))
}
