//! Runs groups of cases, several nodes at once, and judges each case.

use std::path::PathBuf;
use std::sync::{Condvar, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::case::{Case, Group};
use super::compare::{differ, substitute, unordered};
use super::echo::Echo;
use super::exchange::{Answer, NoAnswer, request_bytes};
use super::json::Json;
use super::node::Node;

/// Headers that no expectation looks at: they change from run to run or belong to the connection.
const SKIPPED_HEADERS: [&str; 14] = [
    "date",
    "server",
    "connection",
    "transfer-encoding",
    "content-length",
    "keep-alive",
    "via",
    "x-kong-response-latency",
    "x-kong-proxy-latency",
    "x-kong-upstream-latency",
    "x-kong-admin-latency",
    "x-kong-request-id",
    "vary",
    "alt-svc",
];

/// What to run the cases against.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `kong` binary.
    pub binary: PathBuf,
    /// Settings of nodes with a datastore; empty for the embedded one.
    pub db_env: Vec<(String, String)>,
    /// Shell command run before a node with a datastore starts.
    pub bootstrap: Option<String>,
}

/// How a case went.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// File of the case, below the cases' directory.
    pub file: String,
    /// The case.
    pub case: String,
    /// Whether it ran on a node without a datastore.
    pub dbless: bool,
    /// Every difference; none if it passed.
    pub problems: Vec<String>,
}

impl Verdict {
    /// Whether there was no difference.
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }
}

/// How long another run may keep the port of the recordings.
const WAIT_FOR_PORT: Duration = Duration::from_secs(60);

/// The port of the echo upstream, one for all cases of this process: 29900 as in the files if it is free.
pub fn echo_port() -> anyhow::Result<u16> {
    static ECHO: OnceLock<Result<u16, String>> = OnceLock::new();
    let start = || {
        // Consistent hashing depends on the port itself, so another run that has it is waited for a while.
        for _ in 0..WAIT_FOR_PORT.as_secs() {
            if let Ok(echo) = Echo::start(29_900) {
                return Ok(echo.port());
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        // Five digits again: some recorded lengths depend on it. The claim is kept until the process ends.
        let block = crate::PortBlock::claim().map_err(|e| e.to_string())?;
        let echo = Echo::start(block.port(0)).map_err(|e| e.to_string())?;
        std::mem::forget(block);
        Ok(echo.port())
    };
    ECHO.get_or_init(start).clone().map_err(anyhow::Error::msg)
}

/// Runs the groups and hands over each verdict as it falls. All callers in this process together keep at most three
/// nodes running (cases sleep, so two cores feed three).
pub fn run(groups: &[Group], options: &Options, on_verdict: impl Fn(&Verdict) + Sync) -> Vec<Verdict> {
    let next = Mutex::new(groups.iter().enumerate());
    let verdicts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..SLOTS.min(groups.len()) {
            scope.spawn(|| {
                loop {
                    let Some((i, group)) = lock(&next).next() else { break };
                    let _slot = Slot::take();
                    let of_group = run_group(group, options, &on_verdict);
                    lock(&verdicts).push((i, of_group));
                }
            });
        }
    });
    let mut verdicts = verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
    verdicts.sort_by_key(|(i, _)| *i);
    verdicts.into_iter().flat_map(|(_, of_group)| of_group).collect()
}

fn run_group(group: &Group, options: &Options, on_verdict: &(impl Fn(&Verdict) + Sync)) -> Vec<Verdict> {
    let verdict = |case: &Case, problems: Vec<String>| {
        let verdict = Verdict {
            file: case.file.to_string(),
            case: case.name.clone(),
            dbless: group.dbless,
            problems,
        };
        on_verdict(&verdict);
        verdict
    };
    let node = match Node::start(group, options) {
        Ok(node) => node,
        Err(e) => {
            let problem = format!("{e:#}");
            return group
                .cases
                .iter()
                .map(|case| verdict(case, vec![problem.clone()]))
                .collect();
        }
    };
    let verdicts = group
        .cases
        .iter()
        .map(|case| {
            let problems = run_case(&node, case, group.dbless).unwrap_or_else(|e| vec![format!("{e:#}")]);
            verdict(case, problems)
        })
        .collect();
    if !group.dbless && options.bootstrap.is_some() {
        // What a group leaves in a shared database could keep the next node from starting.
        let _ = node.wipe();
    }
    node.stop();
    verdicts
}

fn run_case(node: &Node, case: &Case, dbless: bool) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut known = node.names();
    known.extend(
        case.body
            .get("vars")
            .and_then(Json::as_object)
            .unwrap_or_default()
            .iter()
            .cloned(),
    );
    let config = case.body.get("config").filter(|c| **c != Json::Null);
    if let Some(config) = config {
        node.load(&substitute(config, &known))?;
    } else if !dbless {
        node.wipe()?;
    }
    let steps = case.body.get("steps").and_then(Json::as_list).unwrap_or_default();
    for (i, step) in steps.iter().enumerate() {
        if let Some(seconds) = step.get("sleep").and_then(Json::as_number) {
            std::thread::sleep(Duration::from_secs_f64(seconds));
            continue;
        }
        let send = substitute(step.get("send").unwrap_or(&Json::Null), &known);
        let text = |name: &str| send.get(name).and_then(Json::as_str);
        let what = format!(
            "step {} {} {}",
            i + 1,
            text("method").unwrap_or("raw"),
            text("path").unwrap_or("")
        );
        let to = text("to").unwrap_or(if config.is_some() { "proxy" } else { "admin" });
        let tls = to.ends_with("_ssl").then(|| text("sni").unwrap_or(""));
        let raw = request_bytes(&send).map_err(anyhow::Error::msg)?;
        let times = step.get("repeat").and_then(Json::as_number).unwrap_or(1.0) as usize;
        let mut answer = None;
        for _ in 0..times {
            answer = match node.call(to, &raw, tls, text("method") == Some("HEAD")) {
                Ok(answer) => Some(answer),
                Err(NoAnswer::Closed) => None,
                Err(NoAnswer::Broken(text)) => anyhow::bail!("{what}: {text}"),
            };
        }
        let json = answer
            .as_ref()
            .and_then(|a| Json::parse(&a.body))
            .filter(|json| *json != Json::Null);
        for (name, path) in step.get("save").and_then(Json::as_object).unwrap_or_default() {
            let value = saved(json.as_ref(), path.as_str().unwrap_or_default())
                .ok_or_else(|| anyhow::anyhow!("{what}: nothing at {} to save", path.dumps(false)))?;
            known.push((name.clone(), value));
        }
        let want = substitute(step.get("expect").unwrap_or(&Json::Null), &known);
        judge(&what, &want, answer, json, &mut problems);
    }
    Ok(problems)
}

/// Adds every difference between an answer and what is wanted.
fn judge(what: &str, want: &Json, answer: Option<Answer>, json: Option<Json>, problems: &mut Vec<String>) {
    let closed = want.get("closed").is_some_and(|c| *c == Json::Bool(true));
    let Some(answer) = answer else {
        if !closed {
            problems.push(format!("{what}: no answer"));
        }
        return;
    };
    if closed {
        problems.push(format!(
            "{what}: expected the connection to close, got {}",
            answer.status
        ));
        return;
    }
    let body = String::from_utf8_lossy(&answer.body);
    if let Some(status) = want
        .get("status")
        .filter(|s| s.as_number() != Some(f64::from(answer.status)))
    {
        let start: String = body.chars().take(300).collect();
        problems.push(format!(
            "{what}: status {}, expected {}: {start:?}",
            answer.status,
            status.dumps(false)
        ));
        return;
    }
    let mut found = Vec::new();
    for (name, wanted) in want.get("headers").and_then(Json::as_object).unwrap_or_default() {
        differ(wanted, header(&answer, name).as_ref(), name, &mut found);
    }
    problems.extend(found.drain(..).map(|d| format!("{what}: header {d}")));
    if let Some(wanted) = want.get("json") {
        differ(&unordered(wanted.clone()), json.map(unordered).as_ref(), "", &mut found);
    } else if let Some(wanted) = want.get("body") {
        // A body that is JSON is compared as JSON where the expectation was recorded as such, else as text.
        differ(wanted, Some(&Json::Str(body.into_owned())), "", &mut found);
    }
    problems.extend(found.into_iter().map(|d| format!("{what}: body{d}")));
}

/// A header's value; a list if it came several times; nothing if it is among those not looked at.
fn header(answer: &Answer, name: &str) -> Option<Json> {
    if SKIPPED_HEADERS.contains(&name) {
        return None;
    }
    let mut values: Vec<Json> = answer
        .headers
        .iter()
        .filter(|(n, _)| n == name)
        .map(|(_, v)| Json::Str(v.clone()))
        .collect();
    if values.len() > 1 {
        Some(Json::List(values))
    } else {
        values.pop()
    }
}

/// What is at `a.0.b`; a missing member is `null`, but there is no element of nothing.
fn saved(json: Option<&Json>, path: &str) -> Option<Json> {
    let mut at = json.cloned().unwrap_or(Json::Null);
    for part in path.split('.') {
        at = match (part.parse::<usize>(), &at) {
            (Ok(i), Json::List(list)) => list.get(i)?.clone(),
            (Ok(_), _) => return None,
            (Err(_), value) => value.get(part).cloned().unwrap_or(Json::Null),
        };
    }
    Some(at)
}

const SLOTS: usize = 3;

/// Leave to run one node.
struct Slot;

static FREE: LazyLock<(Mutex<usize>, Condvar)> = LazyLock::new(|| (Mutex::new(SLOTS), Condvar::new()));

impl Slot {
    fn take() -> Self {
        let (free, changed) = &*FREE;
        let mut free = changed
            .wait_while(lock(free), |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let (free, changed) = &*FREE;
        *lock(free) += 1;
        changed.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
