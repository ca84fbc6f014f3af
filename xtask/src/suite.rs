//! `cargo xtask test`: everything, with the number of tests per backend at the end.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use kong_tests::binary;
use kong_tests::conformance::Options;

use crate::{compare, install};

pub(crate) fn run() -> anyhow::Result<()> {
    install::install(&install::TEST_TOOLS)?;
    let mut tally = Tally::default();
    let tests = run_tests(&mut tally);
    let compared = binary::kong().and_then(|binary| {
        println!("comparing the verdicts on the recorded cases with run.py's");
        compare::compare(
            &Options {
                binary,
                db_env: Vec::new(),
                bootstrap: None,
            },
            "",
        )
    });
    if let Err(e) = &compared {
        tally.failed += 1;
        println!("conformance --compare: {e:#}");
    } else {
        tally.passed += 1;
    }
    tally.print();
    tests.and(compared)
}

/// `cargo test --workspace` with the tests that need more than Rust.
fn run_tests(tally: &mut Tally) -> anyhow::Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut child = Command::new("bash")
        .args([
            "-c",
            "exec 2>&1; \"$0\" test --workspace --no-fail-fast -- --include-ignored",
            &cargo,
        ])
        .current_dir(binary::root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().context("no output")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{line}");
        tally.line(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("cargo test --workspace: {status}");
    }
    Ok(())
}

/// Counts from what the test runner prints.
#[derive(Debug, Default)]
struct Tally {
    binary: String,
    passed: u64,
    failed: u64,
    ignored: u64,
    /// backend → tests, recorded cases that pass, recorded cases
    backends: BTreeMap<&'static str, (u64, u64, u64)>,
}

impl Tally {
    fn line(&mut self, line: &str) {
        if let Some((_, path)) = line
            .trim_start()
            .strip_prefix("Running ")
            .and_then(|rest| rest.split_once('('))
        {
            let file = path.trim_end_matches(')').rsplit('/').next().unwrap_or_default();
            self.binary = file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned();
        } else if let Some(name) = line.trim_start().strip_prefix("Doc-tests ") {
            self.binary = format!("doc {name}");
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            let count = |what: &str| -> u64 {
                let words: Vec<&str> = rest.split([' ', ';', '.']).filter(|w| !w.is_empty()).collect();
                let at = words.iter().position(|w| *w == what);
                at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok())
                    .unwrap_or(0)
            };
            self.passed += count("passed");
            self.failed += count("failed");
            self.ignored += count("ignored");
        } else if let Some(rest) = line.strip_prefix("test ")
            && let Some((name, outcome)) = rest.rsplit_once(" ... ")
        {
            if outcome.starts_with("ok")
                && let Some(backend) = backend(&self.binary, name)
            {
                self.backends.entry(backend).or_default().0 += 1;
            }
        } else if let Some(rest) = line.strip_prefix("conformance ").filter(|rest| rest.contains('[')) {
            // conformance admin: … [sqlite 12/13, memory 1/2] …
            let counts = rest
                .split_once('[')
                .and_then(|(_, rest)| rest.split_once(']'))
                .map_or("", |(c, _)| c);
            for part in counts.split(", ") {
                let Some((name, numbers)) = part.split_once(' ') else {
                    continue;
                };
                let Some((passed, all)) = numbers.split_once('/') else {
                    continue;
                };
                let Some(backend) = BACKENDS.iter().find(|b| **b == name) else {
                    continue;
                };
                let entry = self.backends.entry(backend).or_default();
                entry.1 += passed.parse::<u64>().unwrap_or(0);
                entry.2 += all.parse::<u64>().unwrap_or(0);
            }
        }
    }

    fn print(&self) {
        for (backend, (tests, passed, cases)) in &self.backends {
            println!("backend {backend}: {tests} tests passed, {passed} of {cases} recorded cases pass");
        }
        println!(
            "{} passed, {} failed, {} ignored",
            self.passed, self.failed, self.ignored
        );
    }
}

const BACKENDS: [&str; 4] = ["memory", "sqlite", "postgres", "cassandra"];

/// Test programs of the store crates whose name does not say which store they run on.
const STORE_TESTS: [(&str, &str); 6] = [
    ("dao", "memory"),
    ("durability", "sqlite"),
    ("e2e", "sqlite"),
    ("files", "sqlite"),
    ("processes", "sqlite"),
    ("replace", "memory"),
];

/// The store that a test runs on, if it runs on one. Areas of recorded cases are counted by case instead.
fn backend(binary: &str, test: &str) -> Option<&'static str> {
    let named = |text: &str| BACKENDS.into_iter().find(|b| text.contains(b));
    let of_program = STORE_TESTS
        .iter()
        .find(|(program, _)| *program == binary)
        .map(|(_, backend)| *backend);
    named(test).or_else(|| named(binary)).or(of_program)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn counts_what_the_test_runner_prints() {
        let mut tally = Tally::default();
        for line in [
            "     Running unittests src/lib.rs (/t/debug/deps/kong_datastore_sqlite-0123456789abcdef)",
            "test testkit::pages ... ok",
            "test testkit::ttl ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.02s",
            "     Running unittests src/lib.rs (/t/debug/deps/kong_datastore-0123456789abcdef)",
            "test memory::suite::pages ... ok",
            "test key::orders ... ok",
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s",
            "     Running tests/e2e/main.rs (/t/debug/deps/e2e-0123456789abcdef)",
            "test bodies::a_gigabyte_up ... ok",
            "conformance admin: 280 of 287 pass [sqlite 280/287, memory 0/0], 0 findings, 8 s",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s",
        ] {
            tally.line(line);
        }
        assert_eq!((tally.passed, tally.failed, tally.ignored), (4, 1, 2));
        assert_eq!(tally.backends["sqlite"], (2, 280, 287));
        assert_eq!(tally.backends["memory"], (1, 0, 0));
    }
}
