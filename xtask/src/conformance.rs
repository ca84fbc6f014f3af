//! `cargo xtask conformance`: the recorded cases with details, and the upkeep of the list of expected failures.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::bail;
use kong_tests::binary;
use kong_tests::conformance::{Expected, Options, Work, echo_port, load, run};

use crate::{compare, flag, option};

pub(crate) fn run_task(words: &[String]) -> anyhow::Result<()> {
    let with_value = ["--binary", "--db-env", "--bootstrap"];
    let filter = words
        .iter()
        .enumerate()
        .find(|(i, w)| {
            let is_value = i
                .checked_sub(1)
                .and_then(|i| words.get(i))
                .is_some_and(|w| with_value.contains(&w.as_str()));
            !w.starts_with('-') && !is_value
        })
        .map_or("", |(_, w)| w);
    let verbose = flag(words, "-v");
    let options = Options {
        binary: match option(words, "--binary") {
            Some(path) => path.into(),
            None => binary::kong()?,
        },
        db_env: option(words, "--db-env")
            .unwrap_or_default()
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        bootstrap: option(words, "--bootstrap").map(str::to_owned),
    };
    if flag(words, "--compare") {
        return compare::compare(&options, filter);
    }
    let groups = load("", filter, echo_port()?, 40)?;
    let expected = Expected::read()?;
    let verdicts = run(&groups, &options, |verdict| {
        let mut out = std::io::stdout().lock();
        let _ = if verdict.passed() {
            if verbose {
                writeln!(out, "ok   {}: {}", verdict.file, verdict.case)
            } else {
                Ok(())
            }
        } else {
            writeln!(out, "FAIL {}: {}", verdict.file, verdict.case)
        };
        if !verdict.passed() && verbose {
            for problem in &verdict.problems {
                let _ = writeln!(out, "     {problem}");
            }
        } else if !verdict.passed() && !filter.is_empty() {
            for problem in verdict.problems.iter().take(3) {
                let _ = writeln!(out, "     {}", problem.chars().take(300).collect::<String>());
            }
        }
    });
    let mut areas: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for verdict in &verdicts {
        let area = verdict.file.split('/').next().unwrap_or_default();
        let counts = areas.entry(area).or_default();
        counts.0 += usize::from(verdict.passed());
        counts.1 += 1;
    }
    for (area, (passed, all)) in &areas {
        println!("{area}: {passed} of {all} pass");
    }
    let passed = verdicts.iter().filter(|v| v.passed()).count();
    if flag(words, "--update-list") {
        let updated = expected.updated(&verdicts, &groups, &Work::read()?);
        updated.write()?;
        println!("expected-failures.txt has {} entries", updated.len());
        return Ok(());
    }
    println!("{passed} passed, {} failed", verdicts.len() - passed);
    // With a filter, entries of cases that were left out are not missing.
    let findings: Vec<_> = expected
        .check("", &verdicts)
        .into_iter()
        .filter(|f| filter.is_empty() || !matches!(f, kong_tests::conformance::Finding::Unknown { .. }))
        .collect();
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings against expected-failures.txt", findings.len());
    }
    Ok(())
}
