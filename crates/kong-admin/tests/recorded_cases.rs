//! Replays the recorded cases that need nothing but the Admin API, in process, over the in-memory store.
//!
//! `KONG_CASES_VERBOSE=1` prints every difference, `KONG_CASES_FILTER=text` runs only the cases with that text in
//! their file or name.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod replay;

use std::collections::BTreeSet;
use std::path::Path;

use replay::{Outcome, replay_file};

/// Areas whose cases belong to the Admin API alone.
const AREAS: [&str; 2] = ["admin", "admin-more"];

#[tokio::test(flavor = "current_thread")]
async fn recorded_cases_are_answered_as_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/cases");
    let filter = std::env::var("KONG_CASES_FILTER").unwrap_or_default();
    let verbose = std::env::var_os("KONG_CASES_VERBOSE").is_some();
    let pending: BTreeSet<&str> = include_str!("pending_cases.txt")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let (mut passed, mut failed, mut waiting, mut unexpected) = (0, 0, 0, Vec::new());
    let mut seen = BTreeSet::new();
    for area in AREAS {
        let dir = root.join(area);
        let mut files: Vec<_> = std::fs::read_dir(&dir)
            .unwrap_or_else(|err| panic!("recorded cases are missing: {}: {err}", dir.display()))
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
            .collect();
        files.sort();
        // All at once: some cases wait for time to pass.
        let replays = files.iter().map(|file| async {
            let stem = format!("{area}/{}", file.file_stem().unwrap().to_string_lossy());
            let outcomes = replay_file(file, |name| {
                filter.is_empty() || stem.contains(&filter) || name.contains(&filter)
            })
            .await;
            (stem, outcomes)
        });
        let replayed: Vec<(String, Vec<Outcome>)> = futures_util::future::join_all(replays).await;
        for (stem, outcomes) in replayed {
            let ok = outcomes.iter().filter(|o| o.differences.is_empty()).count();
            println!("{stem}: {ok} of {}", outcomes.len());
            for outcome in outcomes {
                let id = format!("{stem}: {}", outcome.name);
                let listed = pending.contains(id.as_str());
                let shown = if verbose { outcome.differences.len() } else { 1 };
                let text = outcome
                    .differences
                    .iter()
                    .take(shown)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("\n    ");
                if outcome.differences.is_empty() {
                    passed += 1;
                    if listed {
                        unexpected.push(format!("{id}\n    passes although it is listed as pending"));
                    }
                } else if !outcome.missing_plugins.is_empty() {
                    waiting += 1;
                    if verbose {
                        println!("  {} waits for {}", outcome.name, outcome.missing_plugins.join(", "));
                    }
                } else {
                    failed += 1;
                    if verbose {
                        println!("  {}\n    {text}", outcome.name);
                    }
                    if !listed {
                        unexpected.push(format!("{id}\n    {text}"));
                    }
                }
                seen.insert(id);
            }
        }
    }
    println!("{passed} passed, {failed} failed, {waiting} wait for plugins that are not there yet");
    if filter.is_empty() {
        unexpected.extend(
            pending
                .iter()
                .filter(|id| !seen.contains(**id))
                .map(|id| format!("{id}\n    does not exist")),
        );
    }
    assert!(
        unexpected.is_empty(),
        "{} surprises:\n{}",
        unexpected.len(),
        unexpected.join("\n")
    );
}
