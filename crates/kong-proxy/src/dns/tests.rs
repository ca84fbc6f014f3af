#![allow(clippy::unwrap_used)]

use std::time::Instant;

use tokio::net::UdpSocket;

use super::*;

/// Answers `a.test` with two addresses, `_svc._tcp.test` with SRV records, fails for `broken.test`; other names do not
/// exist.
async fn name_server() -> SocketAddr {
    use hickory_proto::op::{Message, MessageType, OpCode};
    use hickory_proto::rr::rdata::{A, SRV};
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            let query = Message::from_vec(&buffer[..len]).unwrap();
            let question = query.queries[0].clone();
            let mut reply = Message::new(query.id, MessageType::Response, OpCode::Query);
            reply.add_query(question.clone());
            let name = question.name().clone();
            let mut add = |ttl, data| {
                reply.add_answer(DnsRecord::from_rdata(name.clone(), ttl, data));
            };
            let code = match (name.to_ascii().as_str(), question.query_type()) {
                ("a.test.", RecordType::A) => {
                    add(60, RData::A(A::new(10, 0, 0, 1)));
                    add(30, RData::A(A::new(10, 0, 0, 2)));
                    ResponseCode::NoError
                }
                ("a.test.", _) => ResponseCode::NoError,
                ("_svc._tcp.test.", RecordType::SRV) => {
                    let target = Name::from_ascii("a.test.").unwrap();
                    add(20, RData::SRV(SRV::new(1, 0, 8081, target.clone())));
                    add(20, RData::SRV(SRV::new(2, 5, 8082, target)));
                    ResponseCode::NoError
                }
                ("broken.test.", _) => ResponseCode::ServFail,
                _ => ResponseCode::NXDomain,
            };
            reply.metadata.response_code = code;
            socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
        }
    });
    address
}

fn dns(server: SocketAddr) -> Dns {
    let mut dns = Dns::new(DnsSettings {
        servers: vec![server],
        ..DnsSettings::default()
    });
    dns.search.clear();
    dns
}

#[tokio::test]
async fn answers_and_refusals_are_told_apart() {
    let dns = dns(name_server().await);
    let a = dns.resolve("a.test").await.unwrap();
    let ips: Vec<String> = a.records.iter().map(|record| record.ip.to_string()).collect();
    assert_eq!((a.kind, a.ttl), (RecordKind::A, Duration::from_secs(30)));
    assert_eq!(ips, ["10.0.0.1", "10.0.0.2"]);

    let srv = dns.resolve("_svc._tcp.test").await.unwrap();
    let ports: Vec<_> = srv
        .records
        .iter()
        .map(|r| (r.port, r.weight, r.name.as_deref()))
        .collect();
    assert_eq!(srv.kind, RecordKind::Srv);
    assert_eq!(srv.ttl, Duration::from_secs(20));
    assert_eq!(ports, [(Some(8081), Some(1), Some("a.test")); 2]);

    let refusals = [
        (
            "gone.test",
            ResolveError::NotFound("dns server error: 3 name error".into()),
        ),
        (
            "broken.test",
            ResolveError::Failed("dns server error: 2 server failure".into()),
        ),
    ];
    for (name, expected) in refusals {
        assert_eq!(dns.resolve(name).await, Err(expected));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_at_once() {
    let port = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let began = Instant::now();
    let result = dns(port).resolve("nowhere.test").await;
    assert!(matches!(result, Err(ResolveError::Failed(_))), "{result:?}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn static_names_and_addresses_need_nobody() {
    let mut dns = dns("127.0.0.1:9".parse().unwrap());
    dns.hosts = static_names("10.1.1.1 One one.test # not-this\n::5 six.test one\nrubbish x\n");
    let rows = [
        ("one", Some("10.1.1.1")),
        ("ONE.test", Some("10.1.1.1")),
        ("one.test.", Some("10.1.1.1")),
        ("six.test", Some("::5")),
        ("localhost", Some("127.0.0.1")),
        ("127.1.1.1", Some("127.1.1.1")),
        ("[::1]", Some("::1")),
        ("not-this", None),
        ("x", None),
    ];
    for (name, expected) in rows {
        let ip = dns.known(name).map(|answer| answer.records[0].ip.to_string());
        assert_eq!(ip.as_deref(), expected, "{name}");
    }
}

#[test]
fn search_suffixes_are_tried_by_the_number_of_dots() {
    let mut dns = Dns::new(DnsSettings {
        servers: vec!["127.0.0.1:9".parse().unwrap()],
        ..DnsSettings::default()
    });
    dns.search = ["x.test", "y.test"].map(|s| Name::from_ascii(s).unwrap()).to_vec();
    let rows: [(usize, &str, &[&str]); 4] = [
        (1, "a", &["a.x.test.", "a.y.test.", "a."]),
        (1, "a.b", &["a.b.", "a.b.x.test.", "a.b.y.test."]),
        (2, "a.b", &["a.b.x.test.", "a.b.y.test.", "a.b."]),
        (9, "a.b.", &["a.b."]),
    ];
    for (ndots, name, expected) in rows {
        dns.ndots = ndots;
        let names: Vec<String> = dns.candidates(name).unwrap().iter().map(Name::to_ascii).collect();
        assert_eq!(names, expected, "{name} {ndots}");
    }
}
