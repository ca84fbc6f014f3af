//! The load generator.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use super::{LOAD_CORE, Target};

/// What a run of wrk says.
#[derive(Debug, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) p99_micros: f64,
}

/// 64 keep-alive connections for so long. Any failed request is an error.
pub(crate) fn run(target: &Target, time: Duration) -> anyhow::Result<Load> {
    let mut command = Command::new("taskset");
    command.args([
        "-c",
        LOAD_CORE,
        "wrk",
        "-t1",
        "-c64",
        "--latency",
        &format!("-d{}s", time.as_secs().max(1)),
    ]);
    if let Some(script) = &target.script {
        command.arg("-s").arg(script);
    }
    for header in &target.headers {
        command.arg("-H").arg(header);
    }
    let output = command
        .arg(&target.url)
        .stdin(Stdio::null())
        .output()
        .context("cannot run wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).with_context(|| format!("wrk said:\n{text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn parse(text: &str) -> anyhow::Result<Load> {
    let mut load = Load {
        requests: 0,
        seconds: 0.0,
        p99_micros: f64::NAN,
    };
    for line in text.lines().map(str::trim) {
        if line.starts_with("Non-2xx") || line.starts_with("Socket errors") {
            bail!("failed requests: {line}");
        }
        if let Some((requests, rest)) = line.split_once(" requests in ") {
            load.requests = requests.parse()?;
            load.seconds = micros(rest.split(',').next().unwrap_or_default()).context("duration")? / 1e6;
        } else if let Some(time) = line.strip_prefix("99%") {
            load.p99_micros = micros(time.trim()).context("latency")?;
        }
    }
    if load.requests == 0 {
        bail!("no requests");
    }
    Ok(load)
}

/// `1.23ms`, `456.00us`, `2.01s`, `1.50m` in microseconds.
fn micros(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 6e7,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|n| n * factor)
}

/// Requests `/r0/x` … `/r{n-1}/x` in random order. Requests are made ahead, so that the script costs the load
/// generator, which shares its core with the origin, as little as may be.
pub(crate) fn random_path_script(dir: &Path, n: usize) -> anyhow::Result<PathBuf> {
    let path = dir.join(format!("random-{n}.lua"));
    let script = format!(
        "local requests = {{}}\n\
         init = function()\n  math.randomseed(42)\n\
         \x20 for i = 1, 10000 do requests[i] = wrk.format(nil, '/r' .. math.random(0, {}) .. '/x') end\n\
         end\n\
         local i = 0\n\
         request = function()\n  i = i % 10000 + 1\n  return requests[i]\nend\n",
        n - 1
    );
    std::fs::write(&path, script)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_what_wrk_prints() {
        let text = "Running 4s test @ http://127.0.0.1:8000/\n  1 threads and 64 connections\n  Latency Distribution\n\
                    \x20    50%    1.02ms\n     99%    2.50ms\n  123456 requests in 4.01s, 20.00MB read\n\
                    Requests/sec:  30787.03\n";
        assert_eq!(
            parse(text).unwrap(),
            Load {
                requests: 123_456,
                seconds: 4.01,
                p99_micros: 2500.0
            }
        );
        assert!(parse("  10 requests in 1.00s, 1KB read\n  Non-2xx or 3xx responses: 3\n").is_err());
    }
}
