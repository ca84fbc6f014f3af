#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::resolve::{Answer, Record, RecordKind};
use crate::{Limits, Report, hash};

fn targets(weights: &[(&str, u32)]) -> Vec<Resolved> {
    let target = |(host, weight): &(&str, u32)| {
        let target = Target {
            host: (*host).into(),
            port: 80,
            weight: *weight,
        };
        Resolved::new(target, Resolution::of_literal(host))
    };
    weights.iter().map(target).collect()
}

fn settings(algorithm: Algorithm) -> Settings {
    Settings {
        algorithm,
        ..Settings::default()
    }
}

const ALL: [Algorithm; 4] = [
    Algorithm::RoundRobin,
    Algorithm::ConsistentHashing,
    Algorithm::LeastConnections,
    Algorithm::Latency,
];

fn ip(peer: Option<&Peer>) -> String {
    peer.map_or_else(|| "none".to_owned(), |peer| peer.address.socket().ip().to_string())
}

#[test]
fn without_usable_targets_there_is_no_peer() {
    let rows: [&[(&str, u32)]; 3] = [&[], &[("10.0.0.1", 0)], &[("name.test", 100)]];
    for algorithm in ALL {
        for row in rows {
            let balancer = Balancer::build(settings(algorithm), targets(row), &Addresses::default());
            assert!(balancer.choose(&mut Choice::new(0)).is_none(), "{algorithm:?} {row:?}");
            assert!(!balancer.is_healthy());
        }
    }
}

#[test]
fn weight_zero_is_never_chosen_but_listed() {
    for algorithm in ALL {
        let balancer = Balancer::build(
            settings(algorithm),
            targets(&[("10.0.0.1", 5), ("10.0.0.2", 0)]),
            &Addresses::default(),
        );
        for n in 0..50_u32 {
            let mut choice = Choice::new(0).with_hash(hash(&n.to_le_bytes()));
            assert_eq!(ip(balancer.choose(&mut choice)), "10.0.0.1");
        }
        assert_eq!(balancer.summary().hosts.len(), 2);
        assert_eq!(balancer.summary().weight, Weight { total: 5, available: 5 });
    }
}

#[test]
fn retries_go_where_the_algorithm_says() {
    // Distinct peers among three tries over two targets, and whether a third try finds one.
    let rows = [
        (Algorithm::RoundRobin, 2, true),
        (Algorithm::LeastConnections, 2, true),
        (Algorithm::Latency, 2, false),
        (Algorithm::ConsistentHashing, 1, true),
    ];
    for (algorithm, distinct, has_third) in rows {
        let balancer = Balancer::build(
            settings(algorithm),
            targets(&[("10.0.0.1", 1), ("10.0.0.2", 1)]),
            &Addresses::default(),
        );
        let mut choice = Choice::new(0);
        let first = ip(balancer.choose(&mut choice));
        let second = ip(balancer.choose(&mut choice));
        assert_eq!(1 + usize::from(first != second), distinct, "{algorithm:?}");
        assert_eq!(balancer.choose(&mut choice).is_some(), has_third, "{algorithm:?}");
    }
}

#[test]
fn an_unhealthy_address_is_left_out_until_it_is_healthy() {
    let limits = Limits {
        tcp_failures: 1,
        ..Limits::default()
    };
    for algorithm in ALL {
        let addresses = Addresses::default();
        let balancer = Balancer::build(
            settings(algorithm),
            targets(&[("10.0.0.1", 1), ("10.0.0.2", 1)]),
            &addresses,
        );
        let bad = &balancer.peers()[0].address;
        assert!(bad.report(Report::TcpFailure, limits));
        for n in 0..40_u32 {
            let mut choice = Choice::new(1).with_hash(hash(&n.to_le_bytes()));
            assert_eq!(ip(balancer.choose(&mut choice)), "10.0.0.2");
        }
        // The next balancer knows it as well.
        let next = Balancer::build(settings(algorithm), targets(&[("10.0.0.1", 1)]), &addresses);
        assert!(next.choose(&mut Choice::new(0)).is_none());
        bad.force(true);
        assert_eq!(ip(next.choose(&mut Choice::new(0))), "10.0.0.1");
    }
}

#[test]
fn the_threshold_takes_the_whole_upstream_out() {
    // Threshold, weight that fails of 40 + 60, whether the rest is used.
    let rows = [
        (0.0, 60, true),
        (39.0, 60, true),
        (40.0, 60, false),
        (50.0, 60, false),
        (50.0, 40, true),
        (100.0, 0, false),
    ];
    for (threshold, failing, is_used) in rows {
        let settings = Settings {
            threshold,
            ..Settings::default()
        };
        let balancer = Balancer::build(
            settings,
            targets(&[("10.0.0.1", 40), ("10.0.0.2", 60)]),
            &Addresses::default(),
        );
        for peer in balancer.peers().iter().filter(|peer| peer.weight == failing) {
            peer.address.force(false);
        }
        assert_eq!(balancer.is_healthy(), is_used, "{threshold} {failing}");
        assert_eq!(balancer.choose(&mut Choice::new(0)).is_some(), is_used);
        assert_eq!(balancer.summary().is_healthy, is_used);
    }
}

#[test]
fn least_connections_fills_in_proportion_to_the_weights() {
    let balancer = Balancer::build(
        settings(Algorithm::LeastConnections),
        targets(&[("10.0.0.1", 300), ("10.0.0.2", 100)]),
        &Addresses::default(),
    );
    let mut in_use = Vec::new();
    for _ in 0..40 {
        in_use.push(balancer.choose(&mut Choice::new(0)).unwrap().address.begin());
    }
    let counts: Vec<u32> = balancer.peers().iter().map(|peer| peer.address.in_flight()).collect();
    assert_eq!(counts, [30, 10]);
    drop(in_use);
    assert!(balancer.peers().iter().all(|peer| peer.address.in_flight() == 0));
}

#[test]
fn latency_prefers_the_faster_and_new_addresses_begin_in_the_middle() {
    let addresses = Addresses::default();
    let two = targets(&[("10.0.0.1", 1), ("10.0.0.2", 1)]);
    let balancer = Balancer::build(settings(Algorithm::Latency), two, &addresses);
    let now = Instant::now();
    balancer.peers()[0].address.ewma.record(now, 0.3);
    balancer.peers()[1].address.ewma.record(now, 0.1);
    for _ in 0..10 {
        assert_eq!(ip(balancer.choose(&mut Choice::new(0))), "10.0.0.2");
    }
    let three = targets(&[("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.3", 1)]);
    let balancer = Balancer::build(settings(Algorithm::Latency), three, &addresses);
    let value = balancer.peers()[2].address.ewma.value(Instant::now());
    assert!((0.19..0.21).contains(&value), "{value}");
    // What did not answer does not count, what did counts once it is over.
    let address = &balancer.peers()[2].address;
    let before = address.ewma.value(now);
    drop(address.begin_measured(now));
    std::thread::sleep(Duration::from_millis(20));
    let mut in_use = address.begin_measured(now.checked_sub(Duration::from_secs(600)).unwrap_or(now));
    in_use.answered();
    drop(in_use);
    assert!(address.ewma.value(now) > before);
}

#[test]
fn names_count_per_address_and_srv_records_bring_ports_and_weights() {
    let record = |last, port, weight| Record {
        ip: [10, 0, 0, last].into(),
        port,
        weight,
        name: None,
    };
    let answer = |kind, records| {
        Resolution::Known(Answer {
            kind,
            records,
            ttl: Duration::from_secs(1),
        })
    };
    let target = |host: &str| Target {
        host: host.into(),
        port: 8000,
        weight: 100,
    };
    let a = answer(RecordKind::A, vec![record(1, None, None), record(2, None, None)]);
    let srv = answer(
        RecordKind::Srv,
        vec![record(3, Some(81), Some(7)), record(4, None, Some(1))],
    );
    let targets = vec![
        Resolved::new(target("a.test"), a),
        Resolved::new(target("s.test"), srv),
        Resolved::new(target("p.test"), Resolution::Pending),
    ];
    let balancer = Balancer::build(Settings::default(), targets, &Addresses::default());
    assert!(balancer.is_pending());
    let peers: Vec<(String, u32)> = balancer
        .peers()
        .iter()
        .map(|peer| (peer.address.socket().to_string(), peer.weight))
        .collect();
    let expected = [
        ("10.0.0.1:8000", 100),
        ("10.0.0.2:8000", 100),
        ("10.0.0.3:81", 7),
        ("10.0.0.4:8000", 1),
    ];
    assert_eq!(peers, expected.map(|(address, weight)| (address.to_owned(), weight)));
    assert_eq!(balancer.summary().weight.total, 208);
}

#[test]
fn workers_share_the_load_evenly() {
    let balancer = Balancer::build(
        Settings::default(),
        targets(&[("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.3", 3)]),
        &Addresses::default(),
    );
    let mut counts: HashMap<String, u32> = HashMap::new();
    for worker in 0..4 {
        for _ in 0..60 {
            *counts.entry(ip(balancer.choose(&mut Choice::new(worker)))).or_default() += 1;
        }
    }
    assert_eq!(
        (counts["10.0.0.1"], counts["10.0.0.2"], counts["10.0.0.3"]),
        (40, 80, 120)
    );
}
