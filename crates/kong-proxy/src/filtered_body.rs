//! A response body that passes through `body_filter`.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use kong_message::{Body, BodyError, BodyStream};
use kong_plugin::pipeline;

use crate::flight::InFlight;

pub(crate) struct FilteredBody {
    inner: Body,
    flight: Rc<RefCell<InFlight>>,
    is_done: bool,
}

impl FilteredBody {
    pub(crate) fn new(inner: Body, flight: Rc<RefCell<InFlight>>) -> Self {
        FilteredBody {
            inner,
            flight,
            is_done: false,
        }
    }

    fn filter(&self, chunk: &mut Bytes, is_last: bool) {
        if let Some(exchange) = self.flight.borrow_mut().exchange() {
            pipeline::body_filter(exchange, chunk, is_last);
        }
    }
}

impl BodyStream for FilteredBody {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if self.is_done {
                return Poll::Ready(None);
            }
            let mut chunk = match ready!(self.inner.poll_chunk(cx)) {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => {
                    self.is_done = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.is_done = true;
                    Bytes::new()
                }
            };
            let is_last = self.is_done;
            self.filter(&mut chunk, is_last);
            if !chunk.is_empty() {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }
}
