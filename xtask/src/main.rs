//! Project tasks: `cargo xtask TASK`.

mod bench;
mod compare;
mod conformance;
mod install;
mod scale;
mod soak;
mod suite;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask TASK

  test                       the full run: installs what is missing, all tests, conformance verdicts compared with run.py
  conformance [FILTER] [-v] [--update-list] [--compare] [--binary PATH] [--db-env K=V,…] [--bootstrap COMMAND]
                             recorded cases whose \"file name\" matches the regular expression
  bench [--rounds N] [--seconds N] [--only NAME] [--instructions] [--write FILE]
                             side by side with nginx and HAProxy; prints a Markdown table
  scale [--routes N] [--consumers N]
                             a large configuration: cost of a change, latency meanwhile, start-up, memory
  soak [--minutes N]         long mixed run; fails on a lost request, growth or a panic

Tests run on the debug build; bench, scale and soak on the release build.";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let task = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    let result = match task.as_str() {
        "test" => suite::run(),
        "conformance" => conformance::run_task(&words),
        "bench" => bench::run(&words),
        "scale" => scale::run(&words),
        "soak" => soak::run(&words),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{task}: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Value of `--name VALUE`, if given.
fn option<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    let at = words.iter().position(|w| w == name)?;
    words.get(at + 1).map(String::as_str)
}

/// Value of `--name N`, or the default; an error if it is no number.
fn number<T: std::str::FromStr>(words: &[String], name: &str, default: T) -> anyhow::Result<T> {
    match option(words, name) {
        Some(text) => text
            .parse()
            .map_err(|_| anyhow::anyhow!("{name}: {text:?} is not a number")),
        None => Ok(default),
    }
}

/// Whether `--name` is given.
fn flag(words: &[String], name: &str) -> bool {
    words.iter().any(|w| w == name)
}
