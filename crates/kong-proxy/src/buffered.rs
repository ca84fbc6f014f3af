//! `response`: plugins that want the whole answer before any of it leaves.

use std::future::poll_fn;

use bytes::BytesMut;
use kong_message::{Body, ResponseHead};
use kong_plugin::pipeline::{self, Flow};
use kong_plugin::{Action, Exchange, Source};

use crate::error_page::Producer;
use crate::local::{self, Asker};
use crate::settings::ProxySettings;

/// Largest response that is read into memory, in bytes. The original has no limit and can be made to run out of memory.
const LIMIT: usize = 64 * 1024 * 1024;

/// Reads the response body and runs the phase.
pub(crate) async fn run(exchange: &mut Exchange, settings: &ProxySettings) {
    let body = std::mem::take(&mut exchange.response_body);
    match read(body).await {
        Ok(body) => exchange.response_body = body,
        Err(reason) => {
            tracing::error!(
                "response could not be buffered: {reason}, request_id: \"{}\"",
                exchange.request_id()
            );
            replace(exchange, settings, Producer::Core, 502);
            return;
        }
    }
    match pipeline::response(exchange).await {
        Flow::Continue | Flow::Answered(Action::Continue) => {}
        Flow::Failed => replace(exchange, settings, Producer::Gateway, 500),
        Flow::Answered(Action::Respond(response)) => {
            let (head, body) = local::render(response, &Asker::of(exchange), settings);
            put(exchange, head, body);
        }
        Flow::Answered(Action::Answer(head, body)) => put(exchange, *head, body),
    }
}

async fn read(mut body: Body) -> Result<Body, String> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = poll_fn(|cx| body.poll_chunk(cx)).await {
        let chunk = chunk.map_err(|error| error.to_string())?;
        if whole.len() + chunk.len() > LIMIT {
            return Err(format!("it is larger than {LIMIT} bytes"));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(Body::from_bytes(whole.freeze()))
}

fn replace(exchange: &mut Exchange, settings: &ProxySettings, producer: Producer, status: u16) {
    let (head, body) = local::document(producer, status, None, &Asker::of(exchange), settings);
    exchange.source = Source::Error;
    put(exchange, head, body);
}

fn put(exchange: &mut Exchange, head: ResponseHead, body: Body) {
    exchange.response = Some(head);
    exchange.response_body = body;
}
