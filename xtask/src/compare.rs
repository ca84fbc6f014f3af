//! Both runners on the same build: every verdict must be the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use kong_tests::conformance::{Options, cases_dir, load, run};
use kong_tests::{Client, PortBlock, Process};

use crate::install;

/// `FILE: CASE` → what differed.
type Verdicts = BTreeMap<String, Vec<String>>;

/// Cases per run of run.py, several of which go on at once.
const PIECE: usize = 60;
const LANES: usize = 3;

/// Runs both and fails on a difference. Where they differ, the files concerned are run again, twice at most: some cases
/// depend on the clock.
pub(crate) fn compare(options: &Options, filter: &str) -> anyhow::Result<()> {
    install::install(&[("python3", "python3")])?;
    let dir = tempfile::tempdir()?;
    let _echo = python_echo(dir.path())?;
    let mut ours = ours(options, filter)?;
    let files = files_of(&ours);
    let mut theirs = theirs(options, &files, filter, dir.path())?;
    for _ in 0..2 {
        let differing = differences(&ours, &theirs);
        if differing.is_empty() {
            break;
        }
        let files: Vec<(String, usize)> = files_of(&ours)
            .into_iter()
            .filter(|(file, _)| differing.iter().any(|case| case.starts_with(&format!("{file}: "))))
            .collect();
        println!(
            "{} verdicts differ; running {} files again",
            differing.len(),
            files.len()
        );
        for case in &differing {
            println!("     {case}");
        }
        let only: Vec<String> = files
            .iter()
            .map(|(file, _)| format!("^{} ", file.replace('.', "\\.")))
            .collect();
        ours.extend(self::ours(options, &only.join("|"))?);
        theirs.extend(self::theirs(options, &files, filter, dir.path())?);
    }
    let differing = differences(&ours, &theirs);
    for case in &differing {
        let verdict = |of: &Verdicts| match of.get(case) {
            None => "not run".to_owned(),
            Some(problems) if problems.is_empty() => "passes".to_owned(),
            Some(problems) => format!(
                "fails: {}",
                problems.iter().take(2).cloned().collect::<Vec<_>>().join("; ")
            ),
        };
        println!(
            "DIFFERENT {case}\n     ours   {}\n     run.py {}",
            verdict(&ours),
            verdict(&theirs)
        );
    }
    let passed = ours.values().filter(|p| p.is_empty()).count();
    println!(
        "both runners: {} cases, {passed} pass, {} verdicts differ",
        ours.len(),
        differing.len()
    );
    if !differing.is_empty() {
        bail!("{} verdicts differ from run.py's", differing.len());
    }
    Ok(())
}

fn differences(ours: &Verdicts, theirs: &Verdicts) -> Vec<String> {
    let passes = |of: &Verdicts, case: &String| of.get(case).map(Vec::is_empty);
    ours.keys()
        .chain(theirs.keys().filter(|k| !ours.contains_key(*k)))
        .filter(|case| passes(ours, case) != passes(theirs, case))
        .cloned()
        .collect()
}

fn ours(options: &Options, filter: &str) -> anyhow::Result<Verdicts> {
    // Against the same echo as run.py: it has the port of the recordings, on which consistent hashing depends.
    let groups = load("", filter, 29_900, 40)?;
    let verdicts = run(&groups, options, |_| {});
    Ok(verdicts
        .into_iter()
        .map(|v| (format!("{}: {}", v.file, v.case), v.problems))
        .collect())
}

/// Files with the number of their cases.
fn files_of(verdicts: &Verdicts) -> Vec<(String, usize)> {
    let mut files: BTreeMap<String, usize> = BTreeMap::new();
    for case in verdicts.keys() {
        let file = case.split(": ").next().unwrap_or_default();
        *files.entry(file.to_owned()).or_default() += 1;
    }
    files.into_iter().collect()
}

fn theirs(options: &Options, files: &[(String, usize)], filter: &str, dir: &Path) -> anyhow::Result<Verdicts> {
    let mut pieces: Vec<(Vec<PathBuf>, usize)> = Vec::new();
    for (file, cases) in files {
        let path = cases_dir().join(file);
        match pieces.last_mut() {
            Some((paths, sum)) if *sum + cases <= PIECE => {
                paths.push(path);
                *sum += cases;
            }
            _ => pieces.push((vec![path], *cases)),
        }
    }
    let next = Mutex::new(pieces.into_iter());
    let collected = Mutex::new(Ok(Verdicts::new()));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                loop {
                    let piece = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((paths, _)) = piece else { break };
                    let result = python(options, &paths, filter, dir);
                    let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
                    match (result, collected.as_mut()) {
                        (Ok(verdicts), Ok(all)) => all.extend(verdicts),
                        (Err(e), Ok(_)) => *collected = Err(e),
                        _ => {}
                    }
                }
            });
        }
    });
    collected.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn python(options: &Options, paths: &[PathBuf], filter: &str, dir: &Path) -> anyhow::Result<Verdicts> {
    let ports = PortBlock::claim()?;
    let base = ports.port(0).to_string();
    let results = dir.join(format!("results-{base}.json"));
    let mut command = run_py(dir);
    command
        .arg("--kong")
        .arg(&options.binary)
        .args(["--port-base", &base, "--json"])
        .arg(&results);
    if !filter.is_empty() {
        command.args(["--filter", filter]);
    }
    if !options.db_env.is_empty() {
        let pairs: Vec<String> = options
            .db_env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        command.arg("--db-env").arg(pairs.join(","));
    }
    if let Some(bootstrap) = &options.bootstrap {
        command.arg("--bootstrap").arg(bootstrap);
    }
    // Its exit code says whether all passed; the verdicts are in the file.
    let output = command
        .args(paths)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()?;
    let text = std::fs::read_to_string(&results)
        .with_context(|| format!("run.py wrote no results: {}", String::from_utf8_lossy(&output.stderr)))?;
    std::fs::remove_file(&results)?;
    let verdicts: BTreeMap<String, Vec<String>> = serde_json::from_str(&text)?;
    let prefix = format!("{}/", cases_dir().display());
    Ok(verdicts
        .into_iter()
        .map(|(k, v)| (k.strip_prefix(&prefix).map(str::to_owned).unwrap_or(k), v))
        .collect())
}

fn run_py(dir: &Path) -> Command {
    let mut command = Command::new("python3");
    command.arg("-B").arg(cases_dir().with_file_name("run.py"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KONG_") {
            command.env_remove(name);
        }
    }
    command.env("TMPDIR", dir).stdin(Stdio::null());
    command
}

/// run.py's own echo, on the port that the cases name. Several runs of run.py would otherwise share the first one's.
fn python_echo(dir: &Path) -> anyhow::Result<Process> {
    let mut process = Process::spawn(run_py(dir).arg("--echo").stdout(Stdio::null()).stderr(Stdio::null()))?;
    let client = Client::new(29_900).timeout(Duration::from_secs(2));
    for _ in 0..200 {
        if client.get("/status/299").is_ok_and(|r| r.status == 299) {
            return Ok(process);
        }
        std::thread::sleep(Duration::from_millis(25));
        // It ends at once if the port is taken, by another run's echo for instance.
        let _ = process.exited();
    }
    bail!("nothing echoes on port 29900")
}
