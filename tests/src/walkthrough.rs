//! The commands of a document, with what they must print: so that what it tells a reader to type keeps working.
//!
//! A walk-through is a run of fenced blocks:
//!
//! ````text
//! <!-- test: walkthrough -->
//! ```sh
//! curl -i http://localhost:8000/orders
//! ```
//! <!-- expect -->
//! ```text
//! HTTP/1.1 401 Unauthorized
//! ...
//! ```
//! ````
//!
//! Each line of the expected block must be among what the commands print, in any order (headers have none). In a line,
//! `...` stands for anything; a line of only `...` is skipped.

use std::process::Command;

use anyhow::{Context, bail};

/// One block of commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Shell commands.
    pub commands: String,
    /// Lines that the output must have.
    pub expected: Vec<String>,
}

/// The steps of the walk-through called `name` in a Markdown text.
pub fn steps(markdown: &str, name: &str) -> Vec<Step> {
    let marker = format!("<!-- test: {name} -->");
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if line.trim() == marker {
            steps.push(Step {
                commands: fence(&mut lines).join("\n"),
                expected: Vec::new(),
            });
        } else if line.trim() == "<!-- expect -->"
            && let Some(step) = steps.last_mut()
        {
            step.expected = fence(&mut lines);
        }
    }
    steps
}

/// The next fenced block.
fn fence<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut inside = lines.skip_while(|l| !l.trim_start().starts_with("```"));
    inside.next();
    inside
        .take_while(|l| !l.trim_start().starts_with("```"))
        .map(str::to_owned)
        .collect()
}

impl Step {
    /// Runs the commands with bash after replacing ports (`from` → `to`), and checks what they print.
    pub fn run(&self, ports: &[(u16, u16)]) -> anyhow::Result<String> {
        let commands = ports.iter().fold(self.commands.clone(), |text, (from, to)| {
            text.replace(&format!(":{from}"), &format!(":{to}"))
        });
        let output = Command::new("bash")
            .arg("-c")
            .arg(&commands)
            .output()
            .context("cannot run bash")?;
        // Bodies end without a line end, so that the next command's output would follow on the same line.
        let printed = String::from_utf8_lossy(&output.stdout)
            .replace('\r', "")
            .replace("HTTP/1.", "\nHTTP/1.");
        if let Err(e) = self.check(&printed) {
            bail!(
                "{e}\n--- commands\n{commands}\n--- printed\n{printed}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(printed)
    }

    fn check(&self, printed: &str) -> anyhow::Result<()> {
        for expected in self
            .expected
            .iter()
            .map(|l| l.trim())
            .filter(|l| !l.is_empty() && *l != "...")
        {
            if !printed.lines().any(|line| fits(expected, line.trim())) {
                bail!("nothing printed fits {expected:?}");
            }
        }
        Ok(())
    }
}

/// Whether a line has the parts between `...`, in order; the first at its start, the last at its end.
fn fits(expected: &str, line: &str) -> bool {
    let Some((first, others)) = expected.split_once("...") else {
        return expected == line;
    };
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let (between, last) = others.rsplit_once("...").unwrap_or(("", others));
    for part in between.split("...") {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DOCUMENT: &str = "# Title\n\n```sh\nignored\n```\n<!-- test: walk -->\n```sh\necho http://localhost:8001\n\
                            echo b\n```\ntext\n<!-- expect -->\n```text\nhttp://localhost:9001\n...\nb\n```\n\n\
                            <!-- test: walk -->\n```sh\ntrue\n```\n<!-- test: other -->\n```sh\nfalse\n```\n";

    #[test]
    fn blocks_are_found_and_run() {
        let steps = steps(DOCUMENT, "walk");
        assert_eq!(steps.len(), 2);
        assert_eq!(steps[0].expected, ["http://localhost:9001", "...", "b"]);
        assert_eq!(steps[0].run(&[(8001, 9001)]).unwrap(), "http://localhost:9001\nb\n");
        assert!(steps[0].run(&[]).is_err());
        assert_eq!(steps[1].commands, "true");
    }

    #[test]
    fn dots_stand_for_anything() {
        for (expected, line, good) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a...", "ab", true),
            ("...b", "ab", true),
            ("a...c", "abc", true),
            ("a...c", "acb", false),
            ("a...c", "acbc", true),
            ("a...b...c", "a-c-b-c", true),
            ("HTTP/1.1 401 ...", "HTTP/1.1 401 Unauthorized", true),
        ] {
            assert_eq!(fits(expected, line), good, "{expected} {line}");
        }
    }
}
