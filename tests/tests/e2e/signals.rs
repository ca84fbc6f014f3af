//! How a node ends: SIGQUIT lets requests finish, SIGTERM and SIGINT don't.

use std::time::{Duration, Instant};

use kong_tests::{Gateway, Request};

use crate::echo_gateway;

fn refused(gateway: &Gateway) -> bool {
    gateway.proxy().timeout(Duration::from_secs(2)).get("/echo").is_err()
}

#[test]
fn sigquit_finishes_what_is_in_flight() {
    let (mut gateway, origin) = echo_gateway();
    let mut idle = gateway.proxy().connect().unwrap();
    assert_eq!(idle.send(&Request::new("GET", "/echo/x")).unwrap().status, 200);
    let mut busy: Vec<_> = (0..8).map(|_| gateway.proxy().connect().unwrap()).collect();
    for connection in &mut busy {
        connection.write(&Request::new("GET", "/echo/hold").to_bytes()).unwrap();
    }
    assert!(origin.wait_held(8));
    gateway.signal(libc::SIGQUIT);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !refused(&gateway) {
        assert!(Instant::now() < deadline, "still accepting five seconds after SIGQUIT");
    }
    assert!(gateway.is_running(), "ended with requests in flight");
    origin.release();
    for connection in &mut busy {
        assert_eq!(connection.read_response(false).unwrap().status, 200);
        assert!(
            connection.closed_within(Duration::from_secs(5)),
            "kept open after its answer"
        );
    }
    let status = gateway
        .wait(Duration::from_secs(10))
        .expect("did not end after its last request");
    assert!(status.success(), "{status}\n{}", gateway.log());
}

#[test]
fn sigterm_and_sigint_stop_at_once() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let (mut gateway, origin) = echo_gateway();
        let mut busy = gateway.proxy().connect().unwrap();
        busy.write(&Request::new("GET", "/echo/hold").to_bytes()).unwrap();
        assert!(origin.wait_held(1));
        let started = Instant::now();
        gateway.signal(signal);
        assert!(
            gateway.wait(Duration::from_secs(3)).is_some(),
            "signal {signal} did not stop the node"
        );
        assert!(started.elapsed() < Duration::from_secs(3));
        assert!(busy.read_response(false).is_err());
    }
}

#[test]
fn sigterm_stops_at_once_during_a_drain() {
    let (mut gateway, origin) = echo_gateway();
    let mut busy = gateway.proxy().connect().unwrap();
    busy.write(&Request::new("GET", "/echo/hold").to_bytes()).unwrap();
    assert!(origin.wait_held(1));
    gateway.signal(libc::SIGQUIT);
    assert!(
        gateway.wait(Duration::from_millis(500)).is_none(),
        "ended with a request in flight"
    );
    gateway.signal(libc::SIGTERM);
    assert!(
        gateway.wait(Duration::from_secs(3)).is_some(),
        "SIGTERM did not end the drain"
    );
}
