//! A request that is being worked on: makes sure that its log phase runs exactly once, however it ends.

use std::rc::Rc;
use std::time::Instant;

use kong_message::{FinishHook, SendReport};
use kong_plugin::{Exchange, pipeline};

use crate::worker::Worker;

/// Dropped before the response was sent (the client went away and the server gave the request up), it logs the request
/// as abandoned.
pub(crate) struct InFlight {
    worker: Rc<Worker>,
    exchange: Option<Box<Exchange>>,
}

impl InFlight {
    pub(crate) fn new(worker: Rc<Worker>, exchange: Box<Exchange>) -> Self {
        worker.stats.request_started();
        InFlight {
            worker,
            exchange: Some(exchange),
        }
    }

    /// The exchange; `None` only after the log phase.
    pub(crate) fn exchange(&mut self) -> Option<&mut Exchange> {
        self.exchange.as_deref_mut()
    }

    /// Runs the log phase.
    pub(crate) fn finish(&mut self, report: SendReport) {
        let Some(mut exchange) = self.exchange.take() else {
            return;
        };
        exchange.timings.finished = Some(Instant::now());
        exchange.bytes_sent = report.bytes_sent;
        exchange.is_client_gone = report.aborted;
        if exchange.collected.is_empty() && exchange.route.is_none() {
            pipeline::collect_global(&mut exchange);
        }
        pipeline::log(&mut exchange);
        if let Some(log) = &self.worker.access_log {
            log.write(&exchange, report.body_bytes_sent);
        }
        self.worker.stats.request_finished();
    }
}

impl FinishHook for InFlight {
    fn finished(mut self: Box<Self>, report: SendReport) {
        self.finish(report);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.finish(SendReport {
            aborted: true,
            ..SendReport::default()
        });
    }
}
