//! The case files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::json::Json;
use super::pattern;
use crate::binary;

/// The port that the case files name as that of the echo upstream.
pub(crate) const ECHO_PORT: &str = "29900";

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Path below the cases' directory, such as `admin/paging.json`.
    pub file: Arc<str>,
    /// The sentence that states the behaviour.
    pub name: String,
    pub(crate) body: Json,
}

/// Cases for one node, in order.
#[derive(Clone, Debug)]
pub struct Group {
    /// `KONG_…` settings.
    pub env: Vec<(String, String)>,
    /// Without a datastore.
    pub dbless: bool,
    /// The cases.
    pub cases: Vec<Case>,
}

/// Where the case files are.
pub fn cases_dir() -> PathBuf {
    binary::root().join("tests/conformance/cases")
}

/// Loads the cases under a directory, `area` or all, whose `path name` matches the filter; grouped by the node they
/// need. The echo's port is replaced by `echo_port`. Groups are cut where a file ends, about every `group_size` cases.
pub fn load(area: &str, filter: &str, echo_port: u16, group_size: usize) -> anyhow::Result<Vec<Group>> {
    let root = cases_dir();
    let mut files = Vec::new();
    collect(&root.join(area), &mut files)?;
    files.sort();
    let filter = pattern::compile(filter).map_err(anyhow::Error::msg)?;
    let mut groups: Vec<Group> = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let text = text.replace(ECHO_PORT, &echo_port.to_string());
        let document = Json::parse(text.as_bytes()).with_context(|| format!("{} is not JSON", path.display()))?;
        let file: Arc<str> = path.strip_prefix(&root)?.to_string_lossy().into();
        let cases = document.get("cases").and_then(Json::as_list).context("no cases")?;
        for (i, body) in cases.iter().enumerate() {
            let name = body
                .get("name")
                .and_then(Json::as_str)
                .context("a case without name")?
                .to_owned();
            if !filter.is_match(&format!("{file} {name}"))? {
                continue;
            }
            let mut env = settings(document.get("env"));
            for (name, value) in settings(body.get("env")) {
                env.retain(|(n, _)| *n != name);
                env.push((name, value));
            }
            env.sort();
            let configured = body.get("config").is_some_and(|c| *c != Json::Null);
            let dbless = match body.get("mode").and_then(Json::as_str) {
                Some(mode) => mode == "dbless",
                None => configured,
            };
            let case = Case {
                file: file.clone(),
                name,
                body: body.clone(),
            };
            // The newest group of the kind takes it, unless that is full and this is a new file.
            let open = groups.iter_mut().rev().find(|g| g.dbless == dbless && g.env == env);
            match open {
                Some(group) if group.cases.len() < group_size || i > 0 => group.cases.push(case),
                _ => groups.push(Group {
                    env,
                    dbless,
                    cases: vec![case],
                }),
            }
        }
    }
    Ok(groups)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "json") {
            files.push(path);
        }
    }
    Ok(())
}

fn settings(env: Option<&Json>) -> Vec<(String, String)> {
    let members = env.and_then(Json::as_object).unwrap_or_default();
    members
        .iter()
        .map(|(name, value)| {
            (
                name.clone(),
                value.as_str().map_or_else(|| value.dumps(false), str::to_owned),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::conformance::exchange::request_bytes;

    fn patterns(value: &Json, out: &mut Vec<String>) {
        match value {
            Json::Object(members) => members.iter().for_each(|(_, v)| patterns(v, out)),
            Json::List(list) => list.iter().for_each(|v| patterns(v, out)),
            Json::Str(text) => out.extend(text.strip_prefix("$re:").map(str::to_owned)),
            _ => {}
        }
    }

    #[test]
    fn every_case_can_be_read_and_sent() {
        let groups = load("", "", 29900, usize::MAX).unwrap();
        let cases: Vec<_> = groups.iter().flat_map(|g| &g.cases).collect();
        assert!(cases.len() > 1700, "{}", cases.len());
        let mut regexes = Vec::new();
        for case in cases {
            for step in case.body.get("steps").unwrap().as_list().unwrap() {
                if step.get("sleep").is_some() {
                    continue;
                }
                request_bytes(step.get("send").unwrap()).unwrap();
                patterns(step.get("expect").unwrap(), &mut regexes);
            }
        }
        for regex in regexes.iter().filter(|r| !r.contains("{{")) {
            pattern::compile(regex).unwrap_or_else(|e| panic!("{regex}: {e}"));
        }
    }

    #[test]
    fn large_groups_are_cut_between_files() {
        let whole = load("admin", "", 29900, usize::MAX).unwrap();
        let cut = load("admin", "", 29900, 40).unwrap();
        assert!(cut.len() > whole.len());
        let count = |groups: &[Group]| groups.iter().map(|g| g.cases.len()).sum::<usize>();
        assert_eq!(count(&whole), count(&cut));
        let plain = |g: &&Group| g.env.is_empty() && !g.dbless;
        for (a, b) in cut.iter().filter(plain).zip(cut.iter().filter(plain).skip(1)) {
            assert_ne!(a.cases.last().unwrap().file, b.cases[0].file);
        }
    }
}
