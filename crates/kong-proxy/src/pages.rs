//! Responses to requests that the codec refuses: the core's error documents, with the gateway's headers and the log phase
//! of the global plugins.

use std::rc::Rc;
use std::time::Instant;

use kong_http::{ErrorPages, nginx_page};
use kong_message::{Body, ConnInfo, HeaderBlock, Method, Request, RequestHead, Response, Target, Version};
use kong_plugin::{Source, pipeline};

use crate::error_page::Producer;
use crate::local::{self, Asker};
use crate::worker::Worker;
use crate::{gateway, response_head};

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
            _ => local::document(Producer::Core, status, None, &Asker::of(exchange), &settings),
        };
        exchange.source = Source::Error;
        exchange.response = Some(head);
        pipeline::collect_global(exchange);
        response_head::finish(exchange, &settings, false);
        let head = gateway::sent_head(exchange);
        gateway::finish(flight, head, body)
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
