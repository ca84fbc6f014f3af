use super::ServerConfig;
use super::connection::Connection;
use super::request_body::RequestBody;
use super::respond::{After, Asked, respond};
use super::takeover::{Takeover, linger};
use crate::codec::{Framing, Limits, Parsed, RequestParser};
use crate::{Drain, Upgrade};
use kong_message::{Body, ConnInfo, FinishHook, Request, RequestHead, Response, SendReport, Version};
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

/// Serves the requests of one connection until either side closes it.
///
/// The life of a connection, and what ends it:
/// * a head is read within the header timeout (the first byte of a further request within the idle timeout);
/// * it is refused with a page of [`ErrorPages`](super::ErrorPages), or handed to the service;
/// * while the service works, a client that goes away is noticed and the service's future is dropped;
/// * the response is sent; what the service left of the request's body is thrown away;
/// * the connection is kept if the client, the response, the limits and the drain agree.
pub async fn serve_connection<IO, S>(io: IO, conn: Rc<ConnInfo>, mut service: S, config: Rc<ServerConfig>, drain: Drain)
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let connection = Rc::new(RefCell::new(Connection::new(io, Rc::clone(&config))));
    let mut drained = pin!(drain.started());
    // Polled once: it wakes this task when the drain begins, and the flag tells the rest.
    poll_fn(|cx| Poll::Ready(drained.as_mut().poll(cx).is_ready())).await;
    let mut served = 0;
    loop {
        let mut parser = RequestParser::new();
        let parsed = poll_fn(|cx| poll_head(&mut connection.borrow_mut(), &mut parser, served, &drain, cx)).await;
        let begun = match parsed {
            Next::Close => return,
            Next::Refused(status) => Err(Refused::new(status, refused_head(&connection, &mut parser))),
            Next::Head(len) => begin(&connection, parser, len),
        };
        served += 1;
        let outcome = match begun {
            Ok(begun) => {
                let (request, asked) = begun.into_request(&conn, served);
                if poll_fn(|cx| service.poll_ready(cx)).await.is_err() {
                    return;
                }
                // The future, and all it holds, is gone before the response is sent.
                let response = {
                    let answer = pin!(service.call(request));
                    answer_unless_gone(&connection, answer).await
                };
                let Some(response) = response else { return };
                let may_keep = asked.keep_alive
                    && served < config.max_requests
                    && !drain.is_draining()
                    && !config.idle_timeout.is_zero()
                    && connection.borrow().body_can_be_skipped();
                if response.head.status == 101 && response.upgrade.is_some() {
                    return hand_over(connection, response, asked.facts).await;
                }
                respond(&connection, response, asked.facts, may_keep).await
            }
            Err(refused) => {
                let Refused { status, head } = *refused;
                let facts = Asked {
                    version: head.as_ref().map_or(Version::Http11, |head| head.version),
                    is_head: head.as_ref().is_some_and(|head| head.method == "HEAD"),
                };
                let page = config.pages.page(status, head.as_ref(), &conn);
                if respond(&connection, page, facts, false).await != After::Aborted {
                    linger(&connection).await;
                }
                return;
            }
        };
        match outcome {
            After::Aborted => return,
            After::KeepAlive if discard_body(&connection).await => {}
            After::KeepAlive | After::Close => return close(&connection).await,
        }
    }
}

/// What came of waiting for a head.
enum Next {
    Head(usize),
    Refused(u16),
    Close,
}

fn poll_head<IO: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut Connection<IO>,
    parser: &mut RequestParser,
    served: u64,
    drain: &Drain,
    cx: &mut Context<'_>,
) -> Poll<Next> {
    let limits = Limits {
        max_line: connection.config.max_line,
        max_head: connection.config.max_head,
    };
    let mut is_new = !connection.input.is_empty();
    loop {
        if is_new {
            match parser.parse(&connection.input, limits) {
                Parsed::Complete(len) => {
                    connection.read_timer.disarm();
                    return Poll::Ready(Next::Head(len));
                }
                Parsed::Refused(status) => {
                    connection.read_timer.disarm();
                    return Poll::Ready(Next::Refused(status));
                }
                Parsed::Partial => {}
            }
        }
        let was_idle = connection.input.is_empty();
        match connection.poll_fill(cx) {
            // A client that leaves in the middle of a head gets no answer.
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Close),
            Poll::Ready(Ok(_)) => {
                if was_idle && connection.read_timer.is_armed() {
                    // The idle time is over; the head has its own from its first byte.
                    connection.read_timer.disarm();
                }
                is_new = true;
            }
            Poll::Pending => break,
        }
    }
    let is_idle = connection.input.is_empty();
    let limit = match (is_idle, served) {
        (true, 1..) => connection.config.idle_timeout,
        _ => connection.config.header_timeout,
    };
    connection.read_timer.arm_if_idle(limit);
    if is_idle && drain.is_draining() {
        let grace = connection.config.drain_grace;
        if grace.is_zero() {
            return Poll::Ready(Next::Close);
        }
        connection.read_timer.arm_at_most(grace);
    }
    ready!(connection.read_timer.poll_expired(cx));
    connection.read_timer.disarm();
    Poll::Ready(if is_idle { Next::Close } else { Next::Refused(408) })
}

/// A request whose head is complete.
struct Begun<IO> {
    connection: Rc<RefCell<Connection<IO>>>,
    head: RequestHead,
    head_bytes: usize,
    keep_alive: bool,
    framing: Framing,
    serial: u64,
}

/// A request that the service does not see, and what is known of it.
struct Refused {
    status: u16,
    head: Option<RequestHead>,
}

impl Refused {
    fn new(status: u16, head: Option<RequestHead>) -> Box<Self> {
        Box::new(Self { status, head })
    }
}

#[derive(Clone, Copy)]
struct Facts {
    facts: Asked,
    keep_alive: bool,
}

/// Takes the head out of the received bytes; refuses what is too large for the limit on bodies.
fn begin<IO: AsyncRead + AsyncWrite + Unpin>(
    connection: &Rc<RefCell<Connection<IO>>>,
    mut parser: RequestParser,
    head_bytes: usize,
) -> Result<Begun<IO>, Box<Refused>> {
    let mut inner = connection.borrow_mut();
    let Some(line) = parser.take_line() else {
        return Err(Refused::new(400, None));
    };
    let framing = parser.framing();
    let keep_alive = parser.keep_alive(line.version);
    let expects_continue = parser.expects_continue && line.version > Version::Http10;
    let mut received = std::mem::take(&mut inner.input);
    let serial = inner.begin_body(
        framing,
        expects_continue,
        received.get(head_bytes..).unwrap_or_default(),
    );
    received.truncate(head_bytes);
    let mut headers = parser.headers;
    headers.set_received(received);
    let head = RequestHead::new(line.method, line.target, line.version, headers);
    let limit = inner.config.max_body;
    if let Framing::Length(length) = framing
        && limit != 0
        && length > limit
    {
        return Err(Refused::new(413, Some(head)));
    }
    Ok(Begun {
        connection: Rc::clone(connection),
        head,
        head_bytes,
        keep_alive,
        framing,
        serial,
    })
}

/// What is known of a refused request, for its error page.
fn refused_head<IO>(connection: &Rc<RefCell<Connection<IO>>>, parser: &mut RequestParser) -> Option<RequestHead> {
    let line = parser.take_line()?;
    let mut headers = std::mem::take(&mut parser.headers);
    headers.set_received(std::mem::take(&mut connection.borrow_mut().input));
    Some(RequestHead::new(line.method, line.target, line.version, headers))
}

impl<IO: AsyncRead + AsyncWrite + Unpin + 'static> Begun<IO> {
    fn into_request(self, conn: &Rc<ConnInfo>, served: u64) -> (Request, Facts) {
        let facts = Asked {
            version: self.head.version,
            is_head: self.head.method.as_bytes() == b"HEAD",
        };
        let body = match self.framing {
            Framing::Empty => Body::Empty,
            _ => Body::from_stream(RequestBody {
                connection: self.connection,
                serial: self.serial,
            }),
        };
        let request = Request {
            head: self.head,
            body,
            conn: Rc::clone(conn),
            received: Instant::now(),
            requests_on_connection: served,
            head_bytes: self.head_bytes,
        };
        (
            request,
            Facts {
                facts,
                keep_alive: self.keep_alive,
            },
        )
    }
}

/// The service's response; `None` when the client went away first.
async fn answer_unless_gone<IO, F>(
    connection: &Rc<RefCell<Connection<IO>>>,
    mut answer: Pin<&mut F>,
) -> Option<Response>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<Response, Infallible>>,
{
    poll_fn(|cx| {
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(answer.ok());
        }
        let mut connection = connection.borrow_mut();
        // While there is a body to read, reading it is what notices.
        if connection.body_is_done() && connection.poll_gone(cx).is_ready() {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}

/// Reads what the service left of the body, so that the next request can be found; `false` if that is not worth it.
async fn discard_body<IO: AsyncRead + AsyncWrite + Unpin>(connection: &Rc<RefCell<Connection<IO>>>) -> bool {
    if connection.borrow().body_is_done() {
        return true;
    }
    let total = connection.borrow().config.linger_total;
    let is_done = crate::timeout(
        total,
        poll_fn(|cx| {
            let mut connection = connection.borrow_mut();
            for _ in 0..16 {
                match ready!(connection.poll_body(cx)) {
                    None => return Poll::Ready(true),
                    Some(Ok(_)) => {}
                    Some(Err(_)) => return Poll::Ready(false),
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }),
    )
    .await;
    is_done == Some(true)
}

/// Closes after a last response. If the client may still be sending, lingers.
async fn close<IO: AsyncRead + AsyncWrite + Unpin>(connection: &Rc<RefCell<Connection<IO>>>) {
    let is_clean = {
        let connection = connection.borrow();
        connection.body_is_done() && connection.input.is_empty()
    };
    if is_clean {
        let shut = poll_fn(|cx| Pin::new(&mut connection.borrow_mut().io).poll_shutdown(cx));
        let _ = crate::timeout(Duration::from_secs(5), shut).await;
    } else {
        linger(connection).await;
    }
}

/// Sends the head of a `101` and hands the stream to what the service put into the response.
async fn hand_over<IO>(connection: Rc<RefCell<Connection<IO>>>, mut response: Response, asked: Asked)
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let upgrade = response
        .upgrade
        .take()
        .and_then(|upgrade| upgrade.downcast::<Upgrade>().ok());
    let hook: Option<Box<dyn FinishHook>> = response.on_finish.take();
    let before = connection.borrow().written;
    let sent = respond(&connection, response, asked, false).await;
    let head_bytes = connection.borrow().written - before;
    let report = match upgrade {
        Some(upgrade) if sent != After::Aborted => {
            let report = upgrade.run(Box::pin(Takeover(Rc::clone(&connection)))).await;
            SendReport {
                bytes_sent: head_bytes + report.to_client,
                body_bytes_sent: report.to_client,
                aborted: report.aborted,
            }
        }
        _ => SendReport {
            bytes_sent: head_bytes,
            body_bytes_sent: 0,
            aborted: true,
        },
    };
    if let Some(hook) = hook {
        hook.finished(report);
    }
    let shut = poll_fn(|cx| Pin::new(&mut connection.borrow_mut().io).poll_shutdown(cx));
    let _ = crate::timeout(Duration::from_secs(5), shut).await;
}
