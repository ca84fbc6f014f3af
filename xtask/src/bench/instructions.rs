//! Instructions per request, counted by valgrind: steadier than time, and blind to system calls.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use kong_tests::{Gateway, Origin, Request};
use serde_json::{Value, json};

use super::document;

const SIGTERM: i32 = 15;
const FEW: usize = 2_000;
const MANY: usize = 8_000;

pub(crate) fn run(binary: &Path) -> anyhow::Result<()> {
    let origin = Origin::start()?;
    let mut table = String::from("| Variant | user instructions / request |\n|---|---|\n");
    let with_plugins = |plugins: Value| {
        let mut config = document(origin.port(), 1);
        config["plugins"] = plugins;
        config["consumers"] = json!([{"username": "bench", "keyauth_credentials": [{"key": "bench-key"}]}]);
        config
    };
    let rate_limiting = json!({"name": "rate-limiting", "config": {"hour": 1_000_000_000}});
    for (name, config) in [
        ("1 route", document(origin.port(), 1)),
        ("1,000 routes", document(origin.port(), 1_000)),
        ("key-auth", with_plugins(json!([{"name": "key-auth"}]))),
        ("rate-limiting", with_plugins(json!([rate_limiting]))),
        (
            "key-auth + rate-limiting",
            with_plugins(json!([{"name": "key-auth"}, rate_limiting])),
        ),
    ] {
        // What start-up, loading and shutdown cost falls out of the difference.
        let (few, many) = (count(binary, &config, FEW)?, count(binary, &config, MANY)?);
        let each = many.saturating_sub(few) / (MANY - FEW) as u64;
        eprintln!("{name}: {each}");
        table += &format!("| {name} | {each} |\n");
    }
    println!("{}\n{table}", super::machine());
    Ok(())
}

fn count(binary: &Path, config: &Value, requests: usize) -> anyhow::Result<u64> {
    let mut gateway = Gateway::builder()
        .binary(binary)
        .wrapper(&["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .workers(1)
        .dbless()
        .start()?;
    let patient = Duration::from_secs(120);
    gateway
        .admin()
        .timeout(patient)
        .post("/config", config)?
        .expect_status(201)?;
    let mut connection = gateway.proxy().timeout(patient).connect()?;
    let request = Request::new("GET", "/r0/bytes/100").header("apikey", "bench-key");
    for _ in 0..requests {
        connection.send(&request)?.expect_status(200)?;
    }
    drop(connection);
    gateway.signal(SIGTERM);
    if gateway.wait(patient).is_none() {
        bail!("valgrind did not end");
    }
    let log = gateway.log();
    let collected = log
        .lines()
        .rev()
        .find_map(|l| l.split_once("Collected :"))
        .context("no count in valgrind's output")?;
    Ok(collected.1.split_whitespace().next().unwrap_or_default().parse()?)
}
