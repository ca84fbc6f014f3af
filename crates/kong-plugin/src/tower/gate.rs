//! The innermost service of a layered stack: where the layer's onion meets the gateway's phases.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use kong_message::Body;
use thiserror::Error;
use tower_service::Service;

use super::BoxError;

/// Why a request did not get through the gate.
#[derive(Debug, Error)]
pub enum GateError {
    /// The request lost its extensions, so that nobody knows which one it is.
    #[error("a layer replaced the request instead of passing it on")]
    Unknown,
    /// A request passes once: the gateway itself retries.
    #[error("a layer called its inner service a second time for one request")]
    Repeated,
}

/// Names a request on its way through a layered service; travels in its extensions.
#[derive(Debug, Clone, Copy)]
struct Ticket(u64);

/// What a request and the gateway exchange.
#[derive(Default)]
pub(super) struct Link {
    request: RefCell<Option<http::Request<Body>>>,
    response: RefCell<Option<http::Response<Body>>>,
    waiting: Cell<Option<Waker>>,
    is_used: Cell<bool>,
}

impl Link {
    /// The request, once the layered service called the gate.
    pub(super) fn take_request(&self) -> Option<http::Request<Body>> {
        self.request.borrow_mut().take()
    }

    /// Hands the response to the layered service.
    pub(super) fn answer(&self, response: http::Response<Body>) {
        *self.response.borrow_mut() = Some(response);
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }
}

thread_local! {
    /// Requests on their way to the gate: extensions hold only what is `Send`, so they carry a number.
    static LINKS: RefCell<(u64, HashMap<u64, Rc<Link>>)> = RefCell::default();
}

/// A registered request; forgotten when dropped.
pub(super) struct Passage {
    ticket: Ticket,
    pub(super) link: Rc<Link>,
}

impl Passage {
    pub(super) fn new() -> Self {
        let link = Rc::<Link>::default();
        let ticket = LINKS.with_borrow_mut(|(next, links)| {
            *next += 1;
            links.insert(*next, link.clone());
            Ticket(*next)
        });
        Passage { ticket, link }
    }

    pub(super) fn mark(&self, extensions: &mut http::Extensions) {
        extensions.insert(self.ticket);
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        // While a thread ends, its table may be gone.
        let _ = LINKS.try_with(|links| {
            if let Ok(mut links) = links.try_borrow_mut() {
                links.1.remove(&self.ticket.0);
            }
        });
    }
}

/// The innermost service. Takes any request body, since layers may wrap it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gate;

impl<B> Service<http::Request<B>> for Gate
where
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = GateFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> GateFuture {
        let ticket = request.extensions().get::<Ticket>().copied();
        let link = ticket.and_then(|ticket| LINKS.with_borrow(|(_, links)| links.get(&ticket.0).cloned()));
        let Some(link) = link else {
            return GateFuture(Err(Some(GateError::Unknown)));
        };
        if link.is_used.replace(true) {
            return GateFuture(Err(Some(GateError::Repeated)));
        }
        *link.request.borrow_mut() = Some(request.map(unwrap_body));
        GateFuture(Ok(link))
    }
}

/// A body that went through untouched keeps its kind (memory, file), so that it can still be replayed.
pub(super) fn unwrap_body<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: Into<BoxError>,
{
    let mut body = Some(body);
    let any: &mut dyn Any = &mut body;
    match any.downcast_mut::<Option<Body>>() {
        Some(ours) => ours.take().unwrap_or_default(),
        None => body.map_or(Body::Empty, Body::from_http),
    }
}

/// Waits for the response of the gateway.
pub struct GateFuture(Result<Rc<Link>, Option<GateError>>);

impl Future for GateFuture {
    type Output = Result<http::Response<Body>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Err(error) => Poll::Ready(Err(error.take().unwrap_or(GateError::Repeated).into())),
            Ok(link) => match link.response.borrow_mut().take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => {
                    link.waiting.set(Some(cx.waker().clone()));
                    Poll::Pending
                }
            },
        }
    }
}
