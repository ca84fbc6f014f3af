//! The README does what it says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kong_tests::{Gateway, binary, walkthrough};

fn readme() -> String {
    std::fs::read_to_string(binary::root().join("README.md")).unwrap()
}

#[test]
fn readme_commands_print_what_the_readme_says() {
    let steps = walkthrough::steps(&readme(), "walkthrough");
    assert!(steps.len() >= 3, "the walk-through has only {} steps", steps.len());
    let expected: Vec<&String> = steps.iter().flat_map(|s| &s.expected).collect();
    for status in ["HTTP/1.1 401", "HTTP/1.1 200", "HTTP/1.1 429"] {
        assert!(
            expected.iter().any(|line| line.starts_with(status)),
            "no {status} is expected"
        );
    }
    // Rate limits count by the minute of the clock; don't begin near its end.
    let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 60;
    if second >= 45 {
        std::thread::sleep(Duration::from_secs(60 - second));
    }
    let gateway = Gateway::builder().start().unwrap();
    let ports = [
        (8000, gateway.proxy_port()),
        (8443, gateway.proxy_ssl_port()),
        (8001, gateway.admin_port()),
    ];
    for step in &steps {
        step.run(&ports).unwrap();
    }
}

#[test]
fn readme_names_the_command_that_runs_all_tests() {
    assert!(readme().contains("cargo test --workspace"));
}
