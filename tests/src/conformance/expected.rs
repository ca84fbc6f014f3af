//! The list of cases that don't pass yet, and which piece of work removes each.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, bail};

use super::case::Group;
use super::run::Verdict;
use crate::binary;

/// `tests/conformance/expected-failures.txt`: lines of `FILE: CASE | WHAT REMOVES IT`; the case `*` means all of the
/// file.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// (file, case or `*`) → reason
    entries: BTreeMap<(String, String), String>,
}

/// Something the list and the verdicts disagree about. Each fails the run.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Fails and is not listed.
    Failed {
        /// `FILE: CASE`
        case: String,
        /// The differences.
        problems: Vec<String>,
    },
    /// Passes although it is listed: take it off the list.
    Passed {
        /// `FILE: CASE`
        case: String,
    },
    /// Listed, but there is no such case.
    Unknown {
        /// `FILE: CASE`
        case: String,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed { case, problems } => {
                write!(f, "FAIL {case}")?;
                problems
                    .iter()
                    .take(3)
                    .try_for_each(|p| write!(f, "\n     {}", p.chars().take(400).collect::<String>()))
            }
            Self::Passed { case } => write!(f, "PASS {case}\n     is in expected-failures.txt: take it off"),
            Self::Unknown { case } => write!(
                f,
                "NONE {case}\n     is in expected-failures.txt, but not among the cases"
            ),
        }
    }
}

impl Expected {
    /// Where the list is.
    pub fn path() -> PathBuf {
        binary::root().join("tests/conformance/expected-failures.txt")
    }

    /// Reads the list.
    pub fn read() -> anyhow::Result<Self> {
        let path = Self::path();
        Self::parse(&std::fs::read_to_string(&path).with_context(|| path.display().to_string())?)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut entries = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let parsed = line
                .split_once(": ")
                .and_then(|(file, rest)| {
                    rest.rsplit_once(" | ")
                        .map(|(case, reason)| (file, case, reason.trim()))
                })
                .filter(|(_, _, reason)| !reason.is_empty());
            let Some((file, case, reason)) = parsed else {
                bail!("line {}: not of the form FILE: CASE | WHAT REMOVES IT", i + 1);
            };
            entries.insert((file.to_owned(), case.to_owned()), reason.to_owned());
        }
        Ok(Self { entries })
    }

    /// Compares the list with the verdicts of an area (a prefix of file names); all cases of the area must be there.
    pub fn check(&self, area: &str, verdicts: &[Verdict]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for verdict in verdicts {
            let case = format!("{}: {}", verdict.file, verdict.case);
            match (self.reason(&verdict.file, &verdict.case), verdict.passed()) {
                (None, false) => findings.push(Finding::Failed {
                    case,
                    problems: verdict.problems.clone(),
                }),
                (Some(_), true) => findings.push(Finding::Passed { case }),
                _ => {}
            }
        }
        for (file, case) in self.entries.keys().filter(|(file, _)| file.starts_with(area)) {
            if !verdicts
                .iter()
                .any(|v| v.file == *file && (case == "*" || v.case == *case))
            {
                findings.push(Finding::Unknown {
                    case: format!("{file}: {case}"),
                });
            }
        }
        findings
    }

    fn reason(&self, file: &str, case: &str) -> Option<&String> {
        let entry = |case: &str| self.entries.get(&(file.to_owned(), case.to_owned()));
        entry(case).or_else(|| entry("*"))
    }

    /// The list that fits the verdicts: what failed, with the reason it had or else the one `work` gives. Entries of
    /// files that the verdicts don't touch stay.
    pub fn updated(&self, verdicts: &[Verdict], groups: &[Group], work: &Work) -> Self {
        let touched: HashMap<&str, Vec<&Verdict>> = verdicts.iter().fold(HashMap::new(), |mut files, verdict| {
            files
                .entry(verdict.file.as_str())
                .or_insert_with(Vec::new)
                .push(verdict);
            files
        });
        let mut entries: BTreeMap<_, _> = self
            .entries
            .iter()
            .filter(|((file, _), _)| !touched.contains_key(file.as_str()))
            .map(own)
            .collect();
        for (file, of_file) in touched {
            let reasons: Vec<(String, String)> = of_file
                .iter()
                .filter(|v| !v.passed())
                .map(|v| {
                    let body = groups
                        .iter()
                        .flat_map(|g| &g.cases)
                        .find(|c| *c.file == *file && c.name == v.case);
                    let text = body.map(|c| c.body.dumps(false)).unwrap_or_default();
                    let old = self.entries.get(&(file.to_owned(), v.case.clone())).cloned();
                    (v.case.clone(), old.unwrap_or_else(|| work.reason(file, &text)))
                })
                .collect();
            let first = reasons.first().map(|(_, reason)| reason.clone());
            let all_alike = reasons.len() == of_file.len() && reasons.iter().all(|(_, r)| Some(r) == first.as_ref());
            match first.filter(|_| all_alike) {
                Some(reason) => {
                    entries.insert((file.to_owned(), "*".to_owned()), reason);
                }
                None => entries.extend(
                    reasons
                        .into_iter()
                        .map(|(case, reason)| ((file.to_owned(), case), reason)),
                ),
            }
        }
        Self { entries }
    }

    /// Writes the list.
    pub fn write(&self) -> anyhow::Result<()> {
        let mut text = String::from(
            "# Recorded cases that don't pass yet, one a line: FILE: CASE | WHAT REMOVES IT   (`*`: every case of the file)\n\
             # A listed case that passes fails the run, and so does an unlisted one that fails.\n\
             # `cargo xtask conformance --update-list` writes this file; reasons come from work.txt.\n",
        );
        for ((file, case), reason) in &self.entries {
            let _ = writeln!(text, "{file}: {case} | {reason}");
        }
        Ok(std::fs::write(Self::path(), text)?)
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether every case is expected to pass.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn own((key, reason): (&(String, String), &String)) -> ((String, String), String) {
    (key.clone(), reason.clone())
}

/// `tests/conformance/work.txt`: which piece of work makes which cases pass. Lines of `PREFIX | PIECE OF WORK`, the
/// longest prefix of the file name wins; `~TEXT | PIECE OF WORK` goes first and is for every case that contains the text.
#[derive(Clone, Debug, Default)]
pub struct Work {
    texts: Vec<(String, String)>,
    prefixes: Vec<(String, String)>,
}

impl Work {
    /// Reads the file.
    pub fn read() -> anyhow::Result<Self> {
        let path = binary::root().join("tests/conformance/work.txt");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut work = Self::default();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let Some((key, piece)) = line.split_once(" | ") else {
                continue;
            };
            let (key, piece) = (key.trim(), piece.trim().to_owned());
            match key.strip_prefix('~') {
                Some(text) => work.texts.push((text.to_owned(), piece)),
                None => work.prefixes.push((key.to_owned(), piece)),
            }
        }
        work
    }

    /// The piece of work for a case of that file with that content.
    pub fn reason(&self, file: &str, content: &str) -> String {
        let by_text = self.texts.iter().find(|(text, _)| content.contains(text));
        let by_prefix = || {
            self.prefixes
                .iter()
                .filter(|(p, _)| file.starts_with(p))
                .max_by_key(|(p, _)| p.len())
        };
        by_text
            .or_else(by_prefix)
            .map_or_else(|| "unassigned".to_owned(), |(_, piece)| piece.clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn verdict(file: &str, case: &str, passed: bool) -> Verdict {
        let problems = if passed { vec![] } else { vec!["differs".to_owned()] };
        Verdict {
            file: file.to_owned(),
            case: case.to_owned(),
            dbless: false,
            problems,
        }
    }

    #[test]
    fn list_and_verdicts_must_agree() {
        let list =
            Expected::parse("# c\n\na/x.json: one | later\na/y.json: * | later\nb/z.json: gone | later\n").unwrap();
        let verdicts = [
            verdict("a/x.json", "one", true),
            verdict("a/x.json", "two", false),
            verdict("a/y.json", "one", false),
            verdict("a/y.json", "two", true),
        ];
        let findings = list.check("a/", &verdicts);
        let shown: Vec<String> = findings
            .iter()
            .map(|f| f.to_string().lines().next().unwrap().to_owned())
            .collect();
        assert_eq!(
            shown,
            ["PASS a/x.json: one", "FAIL a/x.json: two", "PASS a/y.json: two"]
        );
        assert!(matches!(list.check("b/", &[])[..], [Finding::Unknown { .. }]));
    }

    #[test]
    fn a_line_without_reason_is_refused() {
        assert!(Expected::parse("a/x.json: one").is_err());
        assert!(Expected::parse("a/x.json: one | ").is_err());
    }

    #[test]
    fn an_update_keeps_reasons_and_foreign_files() {
        let list = Expected::parse("a/x.json: one | mine\nb/z.json: other | later\n").unwrap();
        let work = Work::parse("a/ | the rest\na/y | whys\n");
        let verdicts = [
            verdict("a/x.json", "one", false),
            verdict("a/x.json", "two", false),
            verdict("a/y.json", "one", false),
            verdict("a/y.json", "two", false),
            verdict("a/w.json", "two", true),
        ];
        let updated = list.updated(&verdicts, &[], &work);
        let lines: Vec<String> = updated
            .entries
            .iter()
            .map(|((f, c), r)| format!("{f}: {c} | {r}"))
            .collect();
        assert_eq!(
            lines,
            [
                "a/x.json: one | mine",
                "a/x.json: two | the rest",
                "a/y.json: * | whys",
                "b/z.json: other | later"
            ]
        );
        assert!(updated.check("a/", &verdicts).is_empty());
    }

    #[test]
    fn content_goes_before_place() {
        let work = Work::parse("~pre-function | Lua\na/ | A\na/b | B\n");
        assert_eq!(work.reason("a/b.json", "…pre-function…"), "Lua");
        assert_eq!(work.reason("a/b.json", ""), "B");
        assert_eq!(work.reason("a/c.json", ""), "A");
    }
}
