//! TLS on both sides, and listening sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use kong_http::{
    BindError, Client, ClientConfig, ClientTls, ClientVerify, Endpoint, ListenOptions, ServerConfig, Stage, Timeouts,
    TlsTarget, UpstreamError, UpstreamHead, UpstreamResponse, bind, server_tls,
};
use kong_message::{Body, HeaderBlock, Method, Request, Response, ResponseHead};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{Peer, on_worker, serve, serve_with};

/// A root, an intermediate signed by it, and a leaf for `names` signed by the intermediate.
struct Chain {
    root: CertificateDer<'static>,
    key: Arc<CertifiedKey>,
}

fn chain(names: &[&str]) -> Chain {
    let authority = |name: &str| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params
    };
    let root_key = KeyPair::generate().unwrap();
    let root = authority("root").self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(authority("root"), root_key);
    let middle_key = KeyPair::generate().unwrap();
    let middle = authority("middle").signed_by(&middle_key, &root_issuer).unwrap();
    let middle_issuer = Issuer::new(authority("middle"), middle_key);
    let leaf_key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&leaf_key, &middle_issuer)
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let certificates = vec![leaf.der().clone(), middle.der().clone()];
    Chain {
        root: root.der().clone(),
        key: Arc::new(CertifiedKey::new(certificates, key)),
    }
}

/// Answers with whatever certificate it holds at the moment.
#[derive(Debug)]
struct Changing(Mutex<Arc<CertifiedKey>>);

impl ResolvesServerCert for Changing {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.lock().unwrap()))
    }
}

async fn tls_facts(request: Request) -> Response {
    let tls = request.conn.tls.clone().unwrap_or_default();
    let text = format!("{} {:?} {:?} {}", request.conn.scheme(), tls.sni, tls.alpn, tls.version);
    Response::new(ResponseHead::new(200), text)
}

async fn get(
    client: &Client,
    addr: std::net::SocketAddr,
    name: &str,
    tls: &ClientTls,
) -> Result<UpstreamResponse, UpstreamError> {
    let endpoint = Endpoint {
        addr,
        tls: Some(TlsTarget {
            server_name: name.into(),
            config: tls.clone(),
        }),
        pool: Some(name.into()),
    };
    let headers = HeaderBlock::new();
    let head = UpstreamHead {
        method: &Method::GET,
        target: b"/",
        host: Some(name.as_bytes()),
        headers: &headers,
        upgrade: false,
    };
    client
        .send(&endpoint, &head, &mut Body::Empty, &Timeouts::default())
        .await
}

#[test]
fn certificates_are_checked_where_asked_for_and_can_change_at_any_time() {
    on_worker(async {
        let (first, second) = (chain(&["a.test"]), chain(&["b.test"]));
        let resolver = Arc::new(Changing(Mutex::new(Arc::clone(&first.key))));
        let config = server_tls(resolver.clone()).unwrap();
        let server = serve_with(ServerConfig::default(), tls_facts, |options| options.tls = Some(config));
        let trust = |root: Option<&CertificateDer<'static>>, depth| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(root.cloned());
            ClientTls::new(
                ClientVerify::Roots {
                    roots: Arc::new(roots),
                    depth,
                },
                None,
            )
            .unwrap()
        };
        let off = ClientTls::new(ClientVerify::Off, None).unwrap();
        let first_trusted = trust(Some(&first.root), 1);
        // name, settings, whether it connects
        let rows = [
            ("a.test", &off, true),
            ("other.test", &off, true),
            ("127.0.0.1", &off, true),
            ("a.test", &first_trusted, true),
            ("A.test", &first_trusted, true),
            ("other.test", &first_trusted, false),
            ("a.test", &trust(Some(&first.root), 0), false),
            ("a.test", &trust(Some(&second.root), 1), false),
            ("a.test", &trust(None, 1), false),
        ];
        for (name, tls, connects) in rows {
            let client = Client::new(ClientConfig::default());
            match get(&client, server.addr, name, tls).await {
                Ok(mut answer) => {
                    assert!(connects, "{name}");
                    let text = answer.body.collect(1000).await.unwrap();
                    let text = String::from_utf8_lossy(&text);
                    let sni = (name != "127.0.0.1").then(|| name.to_ascii_lowercase());
                    assert_eq!(text, format!("https {sni:?} None TLSv1.3"));
                    // The connection, and later the session, is used again.
                    assert!(get(&client, server.addr, name, tls).await.unwrap().reused);
                }
                Err(error) => {
                    assert!(!connects, "{name}: {error}");
                    assert_eq!(
                        (error.stage, error.request_sent, error.is_timeout()),
                        (Stage::Handshake, false, false)
                    );
                }
            }
        }
        *resolver.0.lock().unwrap() = second.key;
        let client = Client::new(ClientConfig::default());
        assert!(
            get(&client, server.addr, "b.test", &trust(Some(&second.root), 1))
                .await
                .is_ok()
        );
    });
}

#[test]
fn large_bodies_pass_through_tls() {
    on_worker(async {
        let chain = chain(&["a.test"]);
        let config = server_tls(Arc::new(Changing(Mutex::new(chain.key)))).unwrap();
        let server = serve_with(ServerConfig::default(), support::echo, |options| {
            options.tls = Some(config)
        });
        let tls = ClientTls::new(ClientVerify::Off, None).unwrap();
        let client = Client::new(ClientConfig::default());
        let endpoint = Endpoint {
            addr: server.addr,
            tls: Some(TlsTarget {
                server_name: "a.test".into(),
                config: tls,
            }),
            pool: None,
        };
        let headers = HeaderBlock::new();
        let head = UpstreamHead {
            method: &Method::POST,
            target: b"/",
            host: Some(b"a.test"),
            headers: &headers,
            upgrade: false,
        };
        for _ in 0..3 {
            let mut body = Body::from(vec![b'x'; 5_000_000]);
            let mut answer = client
                .send(&endpoint, &head, &mut body, &Timeouts::default())
                .await
                .unwrap();
            assert!(answer.body.collect(6_000_000).await.unwrap().len() > 5_000_000);
        }
        assert_eq!(client.idle_connections(), 1);
    });
}

#[test]
fn plain_http_on_a_tls_port_and_silence_end_the_connection() {
    on_worker(async {
        let chain = chain(&["a.test"]);
        let config = server_tls(Arc::new(Changing(Mutex::new(chain.key)))).unwrap();
        let server = serve_with(ServerConfig::default(), tls_facts, |options| {
            options.tls = Some(config);
            options.handshake_timeout = Duration::from_millis(100);
        });
        let mut peer = Peer::connect(server.addr).await;
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        while peer.more().await {}
        assert!(Peer::connect(server.addr).await.is_closed().await);
        // And the other way round: TLS spoken to a plain-text upstream.
        let plain = serve(ServerConfig::default(), support::echo);
        let tls = ClientTls::new(ClientVerify::Off, None).unwrap();
        let error = get(&Client::new(ClientConfig::default()), plain.addr, "a.test", &tls)
            .await
            .unwrap_err();
        assert_eq!((error.stage, error.is_timeout()), (Stage::Handshake, false));
    });
}

#[test]
fn a_busy_port_is_an_error_although_workers_share_theirs() {
    let any = "127.0.0.1:0".parse().unwrap();
    let sockets = bind(any, 3, &ListenOptions::default()).unwrap();
    let addr = sockets[0].local_addr().unwrap();
    assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == addr));
    assert!(matches!(bind(addr, 3, &ListenOptions::default()), Err(BindError::InUse(busy)) if busy == addr));
    assert!(matches!(
        bind(
            addr,
            1,
            &ListenOptions {
                reuseport: false,
                ..ListenOptions::default()
            }
        ),
        Err(BindError::InUse(_))
    ));
    drop(sockets);
    let shared = bind(
        addr,
        3,
        &ListenOptions {
            reuseport: false,
            ..ListenOptions::default()
        },
    )
    .unwrap();
    assert_eq!(shared.len(), 3);
}
