//! The node as a tower service: requests that arrive by other ways than the node's own listeners.
//!
//! [`NodeService`] is `Clone + Send` and can be mounted in axum or called from any runtime. Each request goes to one of
//! the workers in turn; its body and the response's body pass between the threads with back-pressure.

use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use kong_message::{Body, ConnInfo, Request, RequestHead, SendReport};
use kong_proxy::Gateway;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tower_service::Service;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request on its way to a worker.
pub(crate) struct Job {
    request: http::Request<UnsyncBoxBody<Bytes, BoxError>>,
    reply: oneshot::Sender<http::Response<NodeBody>>,
}

/// Why a request got no response.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The node has stopped.
    #[error("the gateway has stopped")]
    Stopped,
}

/// Chunks that may wait between a worker and the reader of a response.
const CHUNKS: usize = 8;

/// Body of a response that a worker makes.
pub struct NodeBody {
    chunks: mpsc::Receiver<Result<Bytes, BoxError>>,
}

impl http_body::Body for NodeBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.chunks
            .poll_recv(cx)
            .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

/// See the module.
#[derive(Clone)]
pub struct NodeService {
    workers: Arc<[mpsc::Sender<Job>]>,
    next: Arc<AtomicUsize>,
}

impl NodeService {
    pub(crate) fn new(workers: Vec<mpsc::Sender<Job>>) -> Self {
        NodeService {
            workers: workers.into(),
            next: Arc::default(),
        }
    }
}

impl<B> Service<http::Request<B>> for NodeService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<NodeBody>;
    type Error = ServiceError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ServiceError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ServiceError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let worker = turn
            .checked_rem(self.workers.len())
            .and_then(|n| self.workers.get(n))
            .cloned();
        Box::pin(async move {
            let worker = worker.ok_or(ServiceError::Stopped)?;
            let (reply, answer) = oneshot::channel();
            let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
            worker
                .send(Job { request, reply })
                .await
                .map_err(|_| ServiceError::Stopped)?;
            answer.await.map_err(|_| ServiceError::Stopped)
        })
    }
}

/// Numbers the connections that have no socket.
static SERIAL: AtomicU64 = AtomicU64::new(1 << 48);

/// Serves a job on the worker's thread.
pub(crate) async fn serve(mut gateway: Gateway, job: Job, worker: usize) {
    let Job { request, reply } = job;
    let (parts, body) = request.into_parts();
    let Ok(head) = RequestHead::from_http(&parts) else {
        let (_, chunks) = mpsc::channel(1);
        let mut response = http::Response::new(NodeBody { chunks });
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
        let _ = reply.send(response);
        return;
    };
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let peer = parts.extensions.get::<SocketAddr>().copied().unwrap_or(nowhere);
    let request = Request {
        head,
        body: if http_body::Body::is_end_stream(&body) {
            Body::Empty
        } else {
            Body::from_http(body)
        },
        conn: Rc::new(ConnInfo {
            peer,
            local: nowhere,
            tls: None,
            worker,
            serial: SERIAL.fetch_add(1, Ordering::Relaxed),
        }),
        received: Instant::now(),
        requests_on_connection: 1,
        head_bytes: 0,
    };
    let response = match Service::call(&mut gateway, request).await {
        Ok(response) => response,
        Err(never) => {
            let never: Infallible = never;
            match never {}
        }
    };
    let (sender, chunks) = mpsc::channel(CHUNKS);
    let head = match response.head.to_http() {
        Ok(parts) => http::Response::from_parts(parts, NodeBody { chunks }),
        Err(_) => {
            let mut response = http::Response::new(NodeBody { chunks });
            *response.status_mut() = http::StatusCode::BAD_GATEWAY;
            response
        }
    };
    let mut report = SendReport {
        aborted: reply.send(head).is_err(),
        ..SendReport::default()
    };
    let mut body = response.body;
    while !report.aborted {
        let Some(chunk) = std::future::poll_fn(|cx| body.poll_chunk(cx)).await else {
            break;
        };
        let is_error = chunk.is_err();
        let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        report.aborted = sender
            .send(chunk.map_err(|error| Box::new(error) as BoxError))
            .await
            .is_err()
            || is_error;
        report.bytes_sent += length;
        report.body_bytes_sent += length;
    }
    if let Some(hook) = response.on_finish {
        hook.finished(report);
    }
}
