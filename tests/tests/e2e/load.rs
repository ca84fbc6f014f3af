//! Configuration changes under load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kong_tests::Request;
use serde_json::json;

use crate::{assert_unharmed, echo_gateway};

#[test]
fn no_request_fails_while_the_configuration_changes() {
    const CHANGES: usize = 200;
    let (mut gateway, _origin) = echo_gateway();
    let admin = gateway.admin();
    let stop = AtomicBool::new(false);
    let answered = AtomicU64::new(0);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut failures = Vec::new();
                    let mut connection = gateway.proxy().connect().unwrap();
                    let request = Request::new("GET", "/echo/x");
                    while !stop.load(Ordering::Relaxed) && failures.len() < 3 {
                        match connection.send(&request) {
                            Ok(response) if response.status == 200 => drop(answered.fetch_add(1, Ordering::Relaxed)),
                            Ok(response) => failures.push(format!("{} {}", response.status, response.text())),
                            Err(e) => {
                                failures.push(format!("{e:#}"));
                                connection = gateway.proxy().connect().unwrap();
                            }
                        }
                    }
                    failures
                })
            })
            .collect();
        for i in 0..CHANGES {
            match i % 5 {
                0 => drop(
                    gateway
                        .add_route("echo", json!({"name": "other", "paths": ["/other"]}))
                        .unwrap(),
                ),
                1 => drop(
                    admin
                        .patch("/routes/other", &json!({"paths": ["/else"]}))
                        .unwrap()
                        .expect_status(200)
                        .unwrap(),
                ),
                2 => {
                    let tags = json!({"tags": [format!("t{i}")]});
                    admin.patch("/routes/echo", &tags).unwrap().expect_status(200).unwrap();
                }
                3 => {
                    let retries = json!({"retries": i % 7});
                    admin
                        .patch("/services/echo", &retries)
                        .unwrap()
                        .expect_status(200)
                        .unwrap();
                }
                _ => drop(admin.delete("/routes/other").unwrap().expect_status(204).unwrap()),
            }
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(failures, Vec::<String>::new());
    let answered = answered.load(Ordering::Relaxed);
    assert!(
        answered > CHANGES as u64,
        "only {answered} requests ran beside {CHANGES} changes"
    );
    assert_unharmed(&mut gateway);
}
