//! Responses to requests that the codec refuses: the core's error documents, with the gateway's headers and the log phase
//! of the global plugins.

use std::rc::Rc;
use std::time::Instant;

use kong_http::{ErrorPages, nginx_page};
use kong_message::{Body, ConnInfo, HeaderBlock, Method, Request, RequestHead, Response, SendReport, Target, Version};
use kong_plugin::{Source, pipeline};

use crate::error_page::Producer;
use crate::local::{self, Asker};
use crate::response_head;
use crate::worker::Worker;

/// See the module.
pub struct Pages {
    worker: Rc<Worker>,
}

impl Pages {
    /// Pages of this worker.
    pub fn new(worker: Rc<Worker>) -> Self {
        Pages { worker }
    }
}

impl ErrorPages for Pages {
    fn page(&self, status: u16, head: Option<&RequestHead>, conn: &Rc<ConnInfo>) -> Response {
        let snapshot = self.worker.snapshot();
        let Some(understood) = head.cloned().or_else(nothing_understood) else {
            return Response::status(status);
        };
        let request = Request {
            head: understood,
            body: Body::Empty,
            conn: conn.clone(),
            received: Instant::now(),
            requests_on_connection: 1,
            head_bytes: 0,
        };
        let mut flight = self.worker.exchange(request, &snapshot);
        let settings = self.worker.settings.clone();
        let Some(exchange) = flight.exchange() else {
            return Response::status(status);
        };
        let (head, body) = match status {
            501 | 505 => {
                let page = nginx_page(status);
                (page.head, page.body)
            }
            _ => {
                let id = exchange.id;
                let asker = Asker::new(head, std::str::from_utf8(&id).unwrap_or_default());
                local::document(Producer::Core, status, None, &asker, &settings)
            }
        };
        exchange.source = Source::Error;
        exchange.response = Some(head);
        pipeline::collect_global(exchange);
        response_head::finish(exchange, &settings, false);
        let head = exchange
            .response
            .clone()
            .unwrap_or_else(|| kong_message::ResponseHead::new(status));
        let mut response = Response::new(head, body);
        response.on_finish = Some(Box::new(move |report: SendReport| flight.finish(report)));
        response
    }
}

/// Stands for a request of which not even the request line was understood.
fn nothing_understood() -> Option<RequestHead> {
    let target = Target::parse(b"/")?;
    Some(RequestHead::new(
        Method::GET,
        target,
        Version::Http11,
        HeaderBlock::new(),
    ))
}
