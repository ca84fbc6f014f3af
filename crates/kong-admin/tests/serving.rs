//! The application on real sockets: clients that dawdle, TLS, draining.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kong_admin::{AdminApp, ServeOptions, serve};
use support::context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

struct Served {
    address: std::net::SocketAddr,
    drain: watch::Sender<bool>,
    task: JoinHandle<()>,
}

async fn served(options: ServeOptions) -> Served {
    let mut context = context();
    context.body_timeout = Duration::from_millis(200);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (drain, draining) = watch::channel(false);
    let task = tokio::spawn(serve(listener, AdminApp::new(context), options, draining));
    Served { address, drain, task }
}

fn impatient() -> ServeOptions {
    let short = Duration::from_millis(200);
    ServeOptions {
        head_timeout: short,
        write_timeout: short,
        ..ServeOptions::default()
    }
}

/// Sends and reads until the other side closes.
async fn exchange(address: std::net::SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection was not closed");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_are_answered_over_a_socket() {
    let served = served(ServeOptions::default()).await;
    let answer = exchange(
        served.address,
        "GET /timers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("Content-Length: ") && answer.contains("Date: "),
        "{answer}"
    );
}

#[tokio::test]
async fn unknown_verbs_and_head_are_answered_without_surprises() {
    let served = served(ServeOptions::default()).await;
    let answer = exchange(
        served.address,
        "FOO /timers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let answer = exchange(
        served.address,
        "HEAD /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
    assert!(answer.contains("Content-Length: 23\r\n"), "{answer}");
}

#[tokio::test]
async fn half_a_head_and_half_a_body_are_cut_off() {
    let served = served(impatient()).await;
    for text in [
        "",
        "PRI * HTTP/2.0",
        "GET /timers HTTP/1.1\r\nHos",
        "POST /tags HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
    ] {
        let started = Instant::now();
        exchange(served.address, text).await;
        assert!(started.elapsed() < Duration::from_secs(3), "{text}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_others_are_served_meanwhile() {
    let served = served(impatient()).await;
    let request = "GET /timers HTTP/1.1\r\nHost: a\r\n\r\n";
    let idle = tokio::spawn(exchange(served.address, request));
    assert!(exchange(served.address, request).await.starts_with("HTTP/1.1 200"));
    assert!(idle.await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_free_place() {
    let served = served(ServeOptions {
        max_connections: 1,
        ..impatient()
    })
    .await;
    let hog = tokio::spawn(exchange(served.address, "GET /ti"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = exchange(
        served.address,
        "GET /timers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    hog.await.unwrap();
}

#[tokio::test]
async fn draining_finishes_what_has_begun_and_accepts_nothing_more() {
    let served = served(ServeOptions::default()).await;
    // The test node takes a while to invalidate a key.
    let slow = tokio::spawn(exchange(served.address, "DELETE /cache/x HTTP/1.1\r\nHost: a\r\n\r\n"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.drain.send(true).unwrap();
    assert!(slow.await.unwrap().starts_with("HTTP/1.1 204"));
    tokio::time::timeout(Duration::from_secs(3), served.task)
        .await
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn tls_listeners_serve_too_and_cut_off_a_handshake_that_never_comes() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let certificate = certified.cert.der().clone();
    let config = tokio_rustls::rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let served = served(ServeOptions {
        tls: Some(Arc::new(config)),
        ..impatient()
    })
    .await;
    exchange(served.address, "").await;

    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = tokio_rustls::rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let stream = TcpStream::connect(served.address).await.unwrap();
    let mut stream = connector
        .connect("localhost".try_into().unwrap(), stream)
        .await
        .unwrap();
    stream
        .write_all(b"GET /timers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}
