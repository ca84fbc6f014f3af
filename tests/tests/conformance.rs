//! The recorded cases: one test an area. Each prints how many pass, and fails when the list of expected failures is wrong
//! in either direction.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::time::Instant;

use kong_tests::binary;
use kong_tests::conformance::{Expected, Options, echo_port, load, run};

fn area(name: &str) {
    let started = Instant::now();
    let options = Options {
        binary: binary::kong().unwrap(),
        db_env: Vec::new(),
        bootstrap: None,
    };
    let groups = load(name, "", echo_port().unwrap(), 40).unwrap();
    let verdicts = run(&groups, &options, |_| {});
    let findings = Expected::read().unwrap().check(&format!("{name}/"), &verdicts);
    let passed = verdicts.iter().filter(|v| v.passed()).count();
    let of_kind = |dbless: bool| {
        let of_kind = verdicts.iter().filter(|v| v.dbless == dbless);
        format!("{}/{}", of_kind.clone().filter(|v| v.passed()).count(), of_kind.count())
    };
    // Written to the handle itself: the test runner would swallow `println!`.
    let _ = writeln!(
        std::io::stderr(),
        "\nconformance {name}: {passed} of {} pass [sqlite {}, memory {}], {} findings, {:.0} s",
        verdicts.len(),
        of_kind(false),
        of_kind(true),
        findings.len(),
        started.elapsed().as_secs_f64()
    );
    assert!(!verdicts.is_empty());
    let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), shown.join("\n"));
}

#[test]
fn admin() {
    area("admin");
}

#[test]
fn admin_more() {
    area("admin-more");
}

#[test]
fn dbless() {
    area("dbless");
}

#[test]
fn proxy() {
    area("proxy");
}

#[test]
fn plugins_auth() {
    area("plugins-auth");
}

#[test]
fn plugins_traffic() {
    area("plugins-traffic");
}
