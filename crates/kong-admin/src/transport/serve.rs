//! Serving a router on a socket. Clients that send half a request, read no answer, or never finish a handshake are cut
//! off after a while, so that they cannot keep connections for themselves.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::timed_stream::TimedStream;

/// How a listener serves.
#[derive(Clone)]
pub struct ServeOptions {
    /// Certificates and protocols of a TLS listener.
    pub tls: Option<Arc<ServerConfig>>,
    /// Longest time for a TLS handshake, for a request head, and between requests.
    pub head_timeout: Duration,
    /// Longest time in which a client takes nothing of an answer.
    pub write_timeout: Duration,
    /// Most connections at a time; further ones wait in the listener's queue.
    pub max_connections: usize,
}

impl Default for ServeOptions {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            tls: None,
            head_timeout: minute,
            write_timeout: minute,
            max_connections: 4096,
        }
    }
}

/// Serves HTTP/1 and HTTP/2 on a listener until `drain` becomes true, then finishes the requests that have begun.
pub async fn serve(listener: TcpListener, router: Router, options: ServeOptions, mut drain: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(options.max_connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = drained(&mut drain) => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, slot)) => {
                let connection = serve_connection(stream, router.clone(), options.clone(), drain.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(err) => {
                // Out of descriptors: nothing is gained by trying again at once.
                tracing::warn!(%err, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Answers are small and whole: waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    Ok((stream, slot))
}

async fn serve_connection(
    stream: tokio::net::TcpStream,
    router: Router,
    options: ServeOptions,
    drain: watch::Receiver<bool>,
) {
    let stream = TimedStream::new(stream, options.head_timeout, options.write_timeout);
    match &options.tls {
        None => serve_http(stream, router, &options, drain).await,
        Some(config) => {
            let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
            match tokio::time::timeout(options.head_timeout, handshake).await {
                Ok(Ok(stream)) => serve_http(stream, router, &options, drain).await,
                Ok(Err(err)) => tracing::debug!(%err, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            }
        }
    }
}

async fn serve_http<S>(stream: S, router: Router, options: &ServeOptions, mut drain: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout)
        .title_case_headers(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(options.head_timeout)
        .keep_alive_timeout(options.head_timeout)
        .max_concurrent_streams(128);
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut draining = false;
    let result = loop {
        tokio::select! {
            result = connection.as_mut() => break result,
            () = drained(&mut drain), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(err) = result {
        tracing::debug!(%err, "connection ended early");
    }
}

/// Resolves once draining has begun; never when its sender is gone without a word.
async fn drained(drain: &mut watch::Receiver<bool>) {
    if drain.wait_for(|draining| *draining).await.is_err() {
        std::future::pending::<()>().await;
    }
}
