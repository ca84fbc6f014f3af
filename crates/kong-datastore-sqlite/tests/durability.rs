//! What is acknowledged is on the disk, whatever happens to the process.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod support;

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use kong_datastore::{Datastore, Key};
use support::{child, open, this_binary};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a child process of the other tests"]
async fn child_writer() {
    support::write_and_acknowledge().await;
}

/// Runs a child and kills it after `kill_after` acknowledgements; returns all that it acknowledged.
fn run_and_kill(path: &Path, prefix: &str, tasks: usize, kill_after: usize) -> HashSet<String> {
    let mut process = child(this_binary(), path, prefix, 1000, tasks).spawn().unwrap();
    let mut acknowledged = HashSet::new();
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The harness may print before the first of them on the same line.
        if let Some((_, name)) = line.split_once("ack ") {
            acknowledged.insert(name.to_owned());
        }
        if acknowledged.len() == kill_after {
            process.kill().unwrap();
        }
    }
    assert!(
        !process.wait().unwrap().success(),
        "the child ended before it was killed"
    );
    acknowledged
}

#[tokio::test]
async fn no_acknowledged_write_is_lost_when_the_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    let mut all = HashSet::new();
    for (round, (tasks, kill_after)) in [(1, 3), (1, 250), (8, 400), (32, 700), (4, 990)]
        .into_iter()
        .enumerate()
    {
        let acknowledged = run_and_kill(&path, &format!("round-{round}"), tasks, kill_after);
        assert!(
            acknowledged.len() >= kill_after,
            "{} acknowledgements",
            acknowledged.len()
        );
        all.extend(acknowledged);
        let (store, schemas) = open(&path).await;
        let ws = store.default_workspace();
        let mut lost = Vec::new();
        for name in &all {
            if store
                .select(&schemas.parents, ws, &Key::unique("name", name))
                .await
                .unwrap()
                .is_none()
            {
                lost.push(name.clone());
            }
        }
        assert!(
            lost.is_empty(),
            "round {round}: {} of {} acknowledged writes are lost: {lost:?}",
            lost.len(),
            all.len()
        );
        drop(store);
        let check = rusqlite::Connection::open(&path).unwrap();
        let verdict: String = check.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        // A row and its side rows came together, or not at all.
        let torn: i64 = check
            .query_row(
                "SELECT (SELECT count(*) FROM testkit_parents) - (SELECT count(*) FROM tags) + \
                 (SELECT count(*) FROM testkit_parents p WHERE NOT EXISTS \
                  (SELECT 1 FROM cluster_events WHERE data LIKE '%' || p.id || '%'))",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(torn, 0, "rows without their tags or events");
    }
}

/// Lines of a trace of the child: `true` for a sync, `false` for an acknowledgement. `None` without strace.
fn trace(count: usize, tasks: usize) -> Option<Vec<bool>> {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: strace is not installed");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("trace");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-s", "64", "-e", "trace=fdatasync,fsync,write", "-o"])
        .arg(&log);
    strace.arg(std::env::current_exe().unwrap());
    let output = child(strace, &directory.path().join("store.sqlite"), "traced", count, tasks)
        .output()
        .unwrap();
    assert!(output.status.success(), "the traced child failed: {output:?}");
    let log = std::fs::read_to_string(log).unwrap();
    let event = |line: &str| match () {
        // A call that was interrupted is counted when it resumes, that is, when it has ended.
        () if line.contains("sync(") && !line.contains("<unfinished") => Some(true),
        () if line.contains("sync resumed>") => Some(true),
        () if line.contains("\"ack traced-") => Some(false),
        () => None,
    };
    Some(log.lines().filter_map(event).collect())
}

#[test]
fn every_acknowledged_write_has_been_synced() {
    let Some(events) = trace(100, 1) else { return };
    let acknowledged = events.iter().filter(|sync| !**sync).count();
    assert_eq!(acknowledged, 100);
    // One after the other: between two acknowledgements lies at least one sync.
    let mut synced = false;
    for (n, sync) in events.iter().enumerate() {
        assert!(
            *sync || synced,
            "acknowledgement without a sync before it (event {n} of the trace)"
        );
        synced = *sync;
    }
}

#[test]
fn writes_that_wait_together_share_a_sync() {
    let Some(events) = trace(512, 64) else { return };
    let acknowledged = events.iter().filter(|sync| !**sync).count();
    let syncs = events.iter().filter(|sync| **sync).count();
    assert_eq!(acknowledged, 512);
    assert!(syncs > 0 && syncs < 300, "{syncs} syncs for 512 writes of 64 tasks");
}
