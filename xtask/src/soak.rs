//! `cargo xtask soak`: everything at once for a long time. Fails on a lost request, on growth, on a panic.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use kong_tests::process::open_files;
use kong_tests::{Gateway, Origin, Request};
use serde_json::json;

use crate::{bench, number};

/// Growth of resident memory between the first tenth of the run and its end that still counts as none.
const GROWTH_KIB: u64 = 64 * 1024;

struct Soak {
    gateway: Gateway,
    stop: AtomicBool,
    requests: AtomicU64,
    changes: AtomicU64,
    problems: Mutex<Vec<String>>,
}

pub(crate) fn run(words: &[String]) -> anyhow::Result<()> {
    let minutes: f64 = number(words, "--minutes", 10.0)?;
    let binary = bench::release_binary()?;
    let origin = Origin::start()?;
    let gateway = Gateway::builder()
        .binary(&binary)
        .env("KONG_LOG_LEVEL", "error")
        .start()?;
    gateway.add_service("s", &origin.url())?;
    gateway.add_route("s", json!({"name": "open", "paths": ["/open"]}))?;
    gateway.add_route(
        "s",
        json!({"name": "stream", "paths": ["/stream"], "request_buffering": false}),
    )?;
    gateway.add_route("s", json!({"name": "keyed", "paths": ["/keyed"]}))?;
    let admin = gateway.admin();
    for plugin in [
        json!({"name": "key-auth"}),
        json!({"name": "rate-limiting", "config": {"hour": 1_000_000_000}}),
        json!({"name": "correlation-id"}),
    ] {
        admin.post("/routes/keyed/plugins", &plugin)?.expect_status(201)?;
    }
    admin
        .post("/consumers", &json!({"username": "c"}))?
        .expect_status(201)?;
    admin
        .post("/consumers/c/key-auth", &json!({"key": "k"}))?
        .expect_status(201)?;
    let soak = Soak {
        gateway,
        stop: AtomicBool::new(false),
        requests: AtomicU64::new(0),
        changes: AtomicU64::new(0),
        problems: Mutex::default(),
    };

    let length = Duration::from_secs_f64(minutes * 60.0);
    let started = Instant::now();
    let mut early = (0, 0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| soak.traffic());
        }
        scope.spawn(|| soak.bodies());
        scope.spawn(|| soak.rude_clients());
        scope.spawn(|| soak.configuration());
        let mut next = Duration::from_secs(30);
        while started.elapsed() < length && soak.count() == 0 {
            std::thread::sleep(Duration::from_millis(200));
            if early.0 == 0 && started.elapsed() * 10 > length {
                early = soak.size();
            }
            if started.elapsed() > next {
                next += Duration::from_secs(30);
                let (rss, files) = soak.size();
                let (requests, changes) = (
                    soak.requests.load(Ordering::Relaxed),
                    soak.changes.load(Ordering::Relaxed),
                );
                println!(
                    "{:>5.0} s  {requests} requests, {changes} changes, {rss} KiB, {files} files",
                    started.elapsed().as_secs_f64()
                );
            }
        }
        soak.stop.store(true, Ordering::Relaxed);
    });
    // Idle connections of clients that went away have been closed by now.
    std::thread::sleep(Duration::from_secs(2));
    let end = soak.size();
    let mut problems = soak.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
    problems.extend(soak.gateway.panics());
    if end.0 > early.0 + GROWTH_KIB {
        problems.push(format!("resident memory grew from {} to {} KiB", early.0, end.0));
    }
    if end.1 > early.1 + 100 {
        problems.push(format!("open files grew from {} to {}", early.1, end.1));
    }
    println!(
        "{}\nsoak of {minutes} minutes: {} requests, {} changes, resident {} → {} KiB, {} problems",
        bench::machine(),
        soak.requests.into_inner(),
        soak.changes.into_inner(),
        early.0,
        end.0,
        problems.len()
    );
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

impl Soak {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn size(&self) -> (u64, usize) {
        (self.gateway.rss_kib(), open_files(self.gateway.pid()).len())
    }

    fn count(&self) -> usize {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn problem(&self, text: String) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// Runs `step` until the end or its first error, which is a problem.
    fn until_end(&self, what: &str, mut step: impl FnMut(u64) -> anyhow::Result<()>) {
        for i in 0.. {
            if !self.goes_on() {
                return;
            }
            if let Err(e) = step(i) {
                return self.problem(format!("{what}, turn {i}: {e:#}"));
            }
        }
    }

    /// Small requests on kept connections that change now and then.
    fn traffic(&self) {
        let mut connection = None;
        self.until_end("traffic", |i| {
            if i % 500 == 0 {
                connection = Some(self.gateway.proxy().connect()?);
            }
            let Some(connection) = connection.as_mut() else {
                return Ok(());
            };
            let (request, status) = match i % 4 {
                0 => (Request::new("GET", "/open/x"), 200),
                1 => (Request::new("GET", "/keyed/x").header("apikey", "k"), 200),
                2 => (
                    Request::new("POST", "/keyed/x")
                        .header("apikey", &format!("no{i}"))
                        .body("b"),
                    401,
                ),
                _ => (Request::new("GET", "/nowhere"), 404),
            };
            connection.send(&request)?.expect_status(status)?;
            self.requests.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    }

    /// Bodies of 16 MB up and down.
    fn bodies(&self) {
        const LENGTH: usize = 16 << 20;
        let body = vec![b'b'; LENGTH];
        self.until_end("bodies", |i| {
            let client = self.gateway.proxy().timeout(Duration::from_secs(60));
            let prefix = if i % 2 == 0 { "/open" } else { "/stream" };
            let up = client
                .send(Request::new("PUT", &format!("{prefix}/sink")).body(body.clone()))?
                .expect_status(200)?;
            let down = client.get(&format!("{prefix}/bytes/{LENGTH}"))?.expect_status(200)?;
            if up.json()["received"] != LENGTH || down.body.len() != LENGTH {
                bail!("received {} up, {} down", up.json()["received"], down.body.len());
            }
            self.requests.fetch_add(2, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(200));
            Ok(())
        });
    }

    /// Clients that stop half-way or talk nonsense.
    fn rude_clients(&self) {
        self.until_end("rude clients", |i| {
            let mut connection = self.gateway.proxy().connect()?;
            let pieces: [&[u8]; 5] = [
                b"GET /open HT",
                b"POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nhalf",
                b"GET /open/bytes/10000000 HTTP/1.1\r\nHost: a\r\n\r\n",
                b"\x16\x03\x01nonsense\r\n\r\n",
                b"POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            ];
            let piece = pieces.get((i % 5) as usize).copied().unwrap_or_default();
            connection.write(piece)?;
            std::thread::sleep(Duration::from_millis(20));
            Ok(())
        });
    }

    /// Changes, each of which the next request must see.
    fn configuration(&self) {
        let (admin, proxy) = (self.gateway.admin(), self.gateway.proxy());
        self.until_end("configuration", |i| {
            let path = format!("/made{}", i % 10);
            let route = json!({"name": "made", "paths": [path]});
            admin.post("/services/s/routes", &route)?.expect_status(201)?;
            proxy.get(&path)?.expect_status(200)?;
            let plugin = json!({"name": "request-termination", "config": {"status_code": 418}});
            admin.post("/routes/made/plugins", &plugin)?.expect_status(201)?;
            proxy.get(&path)?.expect_status(418)?;
            let consumer = format!("/consumers/t{i}");
            admin.put(&consumer, &json!({}))?.expect_status(200)?;
            admin
                .post(&format!("{consumer}/key-auth"), &json!({"key": format!("t{i}")}))?
                .expect_status(201)?;
            let keyed = || proxy.send(Request::new("GET", "/keyed").header("apikey", &format!("t{i}")));
            keyed()?.expect_status(200)?;
            admin.delete(&consumer)?.expect_status(204)?;
            keyed()?.expect_status(401)?;
            admin.delete("/routes/made")?.expect_status(204)?;
            proxy.get(&path)?.expect_status(404)?;
            self.changes.fetch_add(6, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(50));
            Ok(())
        });
    }
}
