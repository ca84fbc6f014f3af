//! The plugin around a layer; see the module above.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use kong_message::{Body, ResponseHead};
use tower_layer::Layer;
use tower_service::Service;

use super::gate::{Passage, unwrap_body};
use super::headers::apply_difference;
use super::{BoxError, Gate};
use crate::context::{Access, HeaderFilter};
use crate::{Action, Exchange, Plugin, PluginError, PluginResult, Step};

/// A tower layer as a plugin.
pub struct LayerPlugin<L> {
    layer: L,
    /// Which of a thread's services is this instance's.
    id: u64,
}

thread_local! {
    /// The layered services of this worker, by plugin.
    static SERVICES: RefCell<HashMap<u64, Box<dyn Any>>> = RefCell::default();
}

static NEXT: AtomicU64 = AtomicU64::new(0);

type Answer = Result<http::Response<Body>, BoxError>;
type Layered = Pin<Box<dyn Future<Output = Answer>>>;

/// A request inside a layer, shared by the phases and the guard.
struct Inside {
    plugin: u64,
    passage: Passage,
    /// `None` once it gave its answer.
    future: RefCell<Option<Layered>>,
}

impl Inside {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut slot = self.future.borrow_mut();
        let Some(future) = slot.as_mut() else {
            return Poll::Pending;
        };
        let answer = std::task::ready!(future.as_mut().poll(cx));
        *slot = None;
        Poll::Ready(answer)
    }

    fn is_done(&self) -> bool {
        self.future.borrow().is_none()
    }
}

/// The layers that a request is inside of.
struct Layers(Vec<Rc<Inside>>);

impl<L, S, B> LayerPlugin<L>
where
    L: Layer<Gate, Service = S>,
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    S::Future: 'static,
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: Into<BoxError>,
{
    /// A plugin of this layer.
    pub fn new(layer: L) -> Self {
        LayerPlugin {
            layer,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// A clone of this worker's service.
    fn service(&self) -> Option<S> {
        SERVICES.with_borrow_mut(|services| {
            let service = services
                .entry(self.id)
                .or_insert_with(|| Box::new(self.layer.layer(Gate)));
            service.downcast_ref::<S>().cloned()
        })
    }

    async fn enter(&self, cx: &mut Access<'_>) -> PluginResult {
        let mut service = self
            .service()
            .ok_or_else(|| PluginError::new("the layer's service is of another type"))?;
        poll_fn(|task| service.poll_ready(task))
            .await
            .map_err(|error| PluginError(error.into().to_string()))?;
        let passage = Passage::new();
        let mut parts = cx.head.to_http().map_err(PluginError::new)?;
        set_query(&mut parts.uri, cx.query.as_deref());
        let before = parts.clone();
        passage.mark(&mut parts.extensions);
        let request = http::Request::from_parts(parts, cx.take_body());
        let call = service.call(request);
        let future: Layered = Box::pin(async move {
            let response = call.await.map_err(Into::into)?;
            Ok(response.map(unwrap_body))
        });
        let inside = Rc::new(Inside {
            plugin: self.id,
            passage,
            future: RefCell::new(Some(future)),
        });
        // Until the layer answers, or calls the gate.
        let answer = poll_fn(|task| match inside.poll(task) {
            Poll::Ready(answer) => Poll::Ready(Err(answer)),
            Poll::Pending => match inside.passage.link.take_request() {
                Some(request) => Poll::Ready(Ok(request)),
                None => Poll::Pending,
            },
        })
        .await;
        match answer {
            Ok(request) => {
                copy_back(cx, &before, request)?;
                let guarded = inside.clone();
                cx.guard(Box::pin(async move {
                    poll_fn(|task| guarded.poll(task)).await.map_or_else(failed, taken)
                }));
                match cx.state_mut::<Layers>() {
                    Some(layers) => layers.0.push(inside),
                    None => cx.set_state(Layers(vec![inside])),
                }
                Ok(Action::Continue)
            }
            Err(Ok(response)) => {
                let (head, body) = taken(response);
                Ok(Action::Answer(Box::new(head), body))
            }
            Err(Err(error)) => Err(PluginError::new(error)),
        }
    }

    async fn leave(cx: &mut HeaderFilter<'_>, inside: Rc<Inside>) -> PluginResult {
        let head = cx.response.as_ref().ok_or_else(|| PluginError::new("no response"))?;
        let before = head.to_http().map_err(PluginError::new)?;
        let mut body = Body::Empty;
        cx.map_body(|response_body| {
            body = response_body;
            Body::Empty
        });
        inside
            .passage
            .link
            .answer(http::Response::from_parts(before.clone(), body));
        let (after, body) = match poll_fn(|task| inside.poll(task)).await {
            Ok(response) => response.into_parts(),
            // The head is still to be sent: the client learns of the failure.
            Err(error) => {
                tracing::error!("a layer failed with the response: {error}");
                let (head, body) = failed(error);
                cx.set_status(head.status);
                for name in before.headers.keys() {
                    cx.remove_header(name.as_str());
                }
                cx.map_body(|_| body);
                return Ok(Action::Continue);
            }
        };
        if after.status != before.status {
            cx.set_status(after.status.as_u16());
        }
        if let Some(headers) = cx.response_headers_mut() {
            apply_difference(headers, &before.headers, &after.headers);
        }
        cx.map_body(|_| body);
        Ok(Action::Continue)
    }
}

impl<L, S, B> Plugin for LayerPlugin<L>
where
    L: Layer<Gate, Service = S> + Send + Sync + 'static,
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + 'static,
    S::Error: Into<BoxError>,
    S::Future: 'static,
    B: http_body::Body<Data = Bytes> + 'static,
    B::Error: Into<BoxError>,
{
    fn access<'a>(&'a self, cx: &'a mut Access<'_>) -> Step<'a> {
        Step::wait(self.enter(cx))
    }

    fn header_filter<'a>(&'a self, cx: &'a mut HeaderFilter<'_>) -> Step<'a> {
        let layers = cx.state::<Layers>();
        let inside = layers
            .and_then(|layers| layers.0.iter().find(|inside| inside.plugin == self.id))
            .cloned();
        match inside {
            // Not done: it did not answer in the place of the service.
            Some(inside) if !inside.is_done() => Step::wait(Self::leave(cx, inside)),
            _ => Step::CONTINUE,
        }
    }
}

impl<L> Drop for LayerPlugin<L> {
    fn drop(&mut self) {
        // Services of other workers stay until their threads end; instances that change are few.
        let _ = SERVICES.try_with(|services| {
            if let Ok(mut services) = services.try_borrow_mut() {
                services.remove(&self.id);
            }
        });
    }
}

fn taken(response: http::Response<Body>) -> (ResponseHead, Body) {
    let (parts, body) = response.into_parts();
    (ResponseHead::from_http(&parts), body)
}

fn failed(error: BoxError) -> (ResponseHead, Body) {
    tracing::error!("a layer failed: {error}");
    (ResponseHead::new(500), Body::Empty)
}

/// The target as the service will get it.
fn set_query(uri: &mut http::Uri, query: Option<&[u8]>) {
    if uri.query().map(str::as_bytes) == query {
        return;
    }
    let mut text = uri.path().as_bytes().to_vec();
    if let Some(query) = query {
        text.push(b'?');
        text.extend_from_slice(query);
    }
    let mut parts = std::mem::take(uri).into_parts();
    if let Ok(path_and_query) = http::uri::PathAndQuery::try_from(text) {
        parts.path_and_query = Some(path_and_query);
    }
    *uri = http::Uri::from_parts(parts).unwrap_or_default();
}

/// Copies back what the layer did to the request.
fn copy_back(
    cx: &mut Access<'_>,
    before: &http::request::Parts,
    request: http::Request<Body>,
) -> Result<(), PluginError> {
    let (after, body) = request.into_parts();
    cx.replace_body(body);
    if after.method != before.method && !cx.set_method(after.method.as_str()) {
        return Err(PluginError(format!("a layer set the method {}", after.method)));
    }
    apply_difference(cx.headers_mut(), &before.headers, &after.headers);
    if after.uri.query() != before.uri.query() {
        cx.set_query(after.uri.query().map(|query| Bytes::copy_from_slice(query.as_bytes())));
    }
    if after.uri.path() != before.uri.path()
        && let Some(upstream) = cx.upstream_mut()
    {
        upstream.path = after.uri.path().to_owned();
    }
    Ok(())
}

impl Access<'_> {
    fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.exchange_mut().body)
    }

    fn replace_body(&mut self, body: Body) {
        self.exchange_mut().body = body;
    }

    fn headers_mut(&mut self) -> &mut kong_message::HeaderBlock {
        let exchange: &mut Exchange = self.exchange_mut();
        &mut exchange.head.headers
    }
}
