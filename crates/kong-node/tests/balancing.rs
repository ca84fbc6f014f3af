//! Upstreams with several targets, over real sockets: targets that die, probes, names whose addresses change.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kong_config::{Config, LoadOptions};
use kong_node::Node;
use serde_json::{Value, json};

struct Fixture {
    node: Node,
    _prefix: tempfile::TempDir,
}

impl Fixture {
    fn proxy(&self) -> SocketAddr {
        self.node.proxy_addresses()[0]
    }

    fn admin(&self) -> SocketAddr {
        self.node.admin_addresses()[0]
    }
}

fn start(upstream: Value, service: Value, more: &[(&str, String)]) -> Fixture {
    let prefix = tempfile::tempdir().unwrap();
    let mut service = service;
    service["host"] = json!("pool.test");
    service["name"] = json!("s");
    service["routes"] = json!([{"paths": ["/"]}]);
    let mut upstream = upstream;
    upstream["name"] = json!("pool.test");
    let document = json!({"_format_version": "3.0", "services": [service], "upstreams": [upstream]});
    let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut env = vec![
        ("KONG_PREFIX", prefix.path().to_str().unwrap().to_owned()),
        ("KONG_PROXY_LISTEN", format!("127.0.0.1:{}", port())),
        ("KONG_ADMIN_LISTEN", format!("127.0.0.1:{}", port())),
        ("KONG_STATUS_LISTEN", "off".to_owned()),
        ("KONG_NGINX_WORKER_PROCESSES", "2".to_owned()),
        ("KONG_DATABASE", "off".to_owned()),
        ("KONG_DECLARATIVE_CONFIG_STRING", document.to_string()),
    ];
    env.extend(more.iter().cloned());
    let options = LoadOptions::new(env.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let node = Node::builder(Config::load(&options).unwrap()).start().unwrap();
    Fixture { node, _prefix: prefix }
}

/// An origin that counts requests and can be killed: it stops listening and cuts its connections.
struct Origin {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    probes: Arc<AtomicUsize>,
    status: Arc<AtomicU16>,
    dead: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Origin {
    fn start(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let origin = Origin {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            probes: Arc::default(),
            status: Arc::new(AtomicU16::new(200)),
            dead: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, probes, status) = (origin.requests.clone(), origin.probes.clone(), origin.status.clone());
        let (dead, connections) = (origin.dead.clone(), origin.connections.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if dead.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                connections.lock().unwrap().push(stream.try_clone().unwrap());
                let (requests, probes, status) = (requests.clone(), probes.clone(), status.clone());
                thread::spawn(move || serve(stream, &requests, &probes, &status));
            }
        });
        origin
    }

    fn target(&self) -> Value {
        json!({"target": self.address.to_string()})
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        // Wakes the listener, which then closes.
        let _ = TcpStream::connect(self.address);
        for connection in self.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn serve(stream: TcpStream, requests: &AtomicUsize, probes: &AtomicUsize, status: &AtomicU16) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut out = stream;
    while let Some(Ok(first)) = lines.next() {
        for line in lines.by_ref() {
            match line {
                Ok(line) if line.is_empty() => break,
                Ok(_) => {}
                Err(_) => return,
            }
        }
        let is_probe = first.starts_with("GET /probe HTTP/1.0");
        if is_probe { probes } else { requests }.fetch_add(1, Ordering::SeqCst);
        let status = status.load(Ordering::SeqCst);
        if write!(out, "HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\nhello").is_err() || is_probe {
            return;
        }
    }
}

/// One request on its own connection.
fn call(to: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status, body.unwrap_or_default())
}

fn get(to: SocketAddr) -> u16 {
    call(to, "GET /x").0
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Statuses other than 200 of many requests on kept connections of several clients.
fn load(to: SocketAddr, requests: usize, meanwhile: impl FnOnce()) -> Vec<u16> {
    let clients: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                let mut failures = Vec::new();
                for _ in 0..requests {
                    match get(to) {
                        200 => {}
                        status => failures.push(status),
                    }
                }
                failures
            })
        })
        .collect();
    meanwhile();
    clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
}

#[test]
fn a_killed_origin_costs_no_request() {
    for algorithm in ["round-robin", "least-connections", "latency"] {
        let origins: Vec<Origin> = (0..3).map(|_| Origin::start("127.0.0.1:0")).collect();
        let upstream = json!({
            "algorithm": algorithm,
            "healthchecks": {"passive": {"unhealthy": {"tcp_failures": 1}}},
            "targets": origins.iter().map(Origin::target).collect::<Vec<_>>(),
        });
        let fixture = start(upstream, json!({"retries": 2}), &[]);
        let proxy = fixture.proxy();
        assert_eq!(load(proxy, 30, || {}), [0_u16; 0], "{algorithm}, all alive");
        for origin in &origins {
            assert!(origin.requests() > 0, "{algorithm}: every origin has its share");
        }
        let failures = load(proxy, 60, || {
            thread::sleep(Duration::from_millis(30));
            origins[0].kill();
        });
        assert_eq!(failures, [0_u16; 0], "{algorithm}, one killed");
        // It was taken out, and stays out.
        let (_, health) = call(fixture.admin(), "GET /upstreams/pool.test/health?balancer_health=1");
        let health: Value = serde_json::from_str(&health).unwrap();
        let weight = &health["data"]["details"]["weight"];
        assert_eq!(
            weight,
            &json!({"total": 300, "available": 200, "unavailable": 100}),
            "{algorithm}"
        );
        for origin in &origins[1..] {
            origin.kill();
        }
        assert!(matches!(get(proxy), 502 | 503), "{algorithm}, all killed");
    }
}

#[test]
fn probes_take_targets_out_and_put_them_back_once_per_node() {
    let origins = [Origin::start("127.0.0.1:0"), Origin::start("127.0.0.1:0")];
    let upstream = json!({
        "healthchecks": {"active": {
            "type": "http", "http_path": "/probe", "timeout": 1,
            "healthy": {"interval": 0.1, "successes": 1},
            "unhealthy": {"interval": 0.1, "http_failures": 2, "tcp_failures": 1, "http_statuses": [500]},
        }},
        "targets": origins.iter().map(Origin::target).collect::<Vec<_>>(),
    });
    let fixture = start(upstream, json!({"retries": 0}), &[]);
    let available = || {
        let (_, health) = call(fixture.admin(), "GET /upstreams/pool.test/health?balancer_health=1");
        let health: Value = serde_json::from_str(&health).unwrap();
        health["data"]["details"]["weight"]["available"].as_u64().unwrap()
    };
    assert_eq!(available(), 200);
    origins[0].status.store(500, Ordering::SeqCst);
    wait_until("a failing target is taken out", || available() == 100);
    let before = origins[0].requests();
    assert!((0..20).all(|_| get(fixture.proxy()) == 200));
    assert_eq!(origins[0].requests(), before);

    origins[0].status.store(200, Ordering::SeqCst);
    wait_until("a recovered target is put back", || available() == 200);

    // Ten probes a second and target, whatever the number of workers.
    let (before, began) = (origins[1].probes.load(Ordering::SeqCst), Instant::now());
    thread::sleep(Duration::from_secs(1));
    let probes = origins[1].probes.load(Ordering::SeqCst) - before;
    let at_most = began.elapsed().as_millis() as usize / 100 + 2;
    assert!((2..=at_most).contains(&probes), "{probes} probes");

    origins[1].kill();
    wait_until("a dead target is taken out", || available() == 100);
    origins[0].kill();
    wait_until("no target is left", || available() == 0);
    assert_eq!(get(fixture.proxy()), 503);
}

#[test]
fn a_tcp_probe_finds_out_who_listens() {
    let origin = Origin::start("127.0.0.1:0");
    let dead = Origin::start("127.0.0.1:0");
    dead.kill();
    let upstream = json!({
        "healthchecks": {"active": {
            "type": "tcp",
            "healthy": {"interval": 0.1, "successes": 1},
            "unhealthy": {"interval": 0.1, "tcp_failures": 1},
        }},
        "targets": [origin.target(), dead.target()],
    });
    let fixture = start(upstream, json!({"retries": 0}), &[]);
    wait_until("only the living target is used", || {
        (0..10).all(|_| get(fixture.proxy()) == 200)
    });
}

/// A name server that knows one address for every name; 0: none.
fn name_server(answer: Arc<AtomicUsize>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let question = &buffer[12..len];
            let is_address = question[question.len() - 4..] == [0, 1, 0, 1];
            let last = answer.load(Ordering::SeqCst) as u8;
            let mut reply = buffer[..2].to_vec();
            let (code, count) = match (last, is_address) {
                (0, _) => (3, 0),
                (_, false) => (0, 0),
                _ => (0, 1),
            };
            reply.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
            reply.extend(question);
            if count == 1 {
                // A pointer to the name, type A, class IN, TTL 1 s, four bytes.
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, last]);
            }
            socket.send_to(&reply, from).unwrap();
        }
    });
    address
}

#[test]
fn a_target_by_name_follows_its_addresses() {
    let first = Origin::start("127.0.0.1:0");
    let second = Origin::start(&format!("127.0.0.2:{}", first.address.port()));
    let answer = Arc::new(AtomicUsize::new(1));
    let server = name_server(answer.clone());
    let upstream = json!({"targets": [{"target": format!("svc.test:{}", first.address.port())}]});
    let resolver = [("KONG_DNS_RESOLVER", server.to_string())];
    let fixture = start(upstream, json!({"retries": 0}), &resolver);
    // The very first request waits for the name.
    assert_eq!(get(fixture.proxy()), 200);
    assert_eq!(first.requests(), 1);
    answer.store(2, Ordering::SeqCst);
    wait_until("the new address is used", || {
        assert_eq!(get(fixture.proxy()), 200);
        second.requests() > 0
    });
    // The name is gone: the last address is still used.
    answer.store(0, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(get(fixture.proxy()), 200);
    let (_, health) = call(fixture.admin(), "GET /upstreams/pool.test/health");
    let health: Value = serde_json::from_str(&health).unwrap();
    let data = &health["data"][0]["data"];
    assert_eq!((&data["host"], &data["dns"]), (&json!("svc.test"), &json!("A")));
    assert_eq!(
        data["addresses"][0]["ip"].as_str().unwrap().parse::<IpAddr>().unwrap(),
        second.address.ip()
    );
}

#[test]
fn a_target_whose_name_does_not_exist_has_a_dns_error() {
    let server = name_server(Arc::default());
    let upstream = json!({"targets": [{"target": "svc.test:80"}]});
    let resolver = [("KONG_DNS_RESOLVER", server.to_string())];
    let fixture = start(upstream, json!({"retries": 0}), &resolver);
    assert_eq!(get(fixture.proxy()), 503);
    let (_, health) = call(fixture.admin(), "GET /upstreams/pool.test/health");
    let health: Value = serde_json::from_str(&health).unwrap();
    let target = &health["data"][0];
    assert_eq!(target["health"], "DNS_ERROR");
    assert_eq!(target["data"]["dns"], "dns server error: 3 name error");
}
