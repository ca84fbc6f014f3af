//! The trait of a configured plugin instance.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use kong_message::{Body, ResponseHead};
use thiserror::Error;

use crate::context::{Access, BodyFilter, Certificate, HeaderFilter, Log, Response, Rewrite};
use crate::{LocalResponse, Preread, StreamLog};

/// What a phase decided.
#[derive(Debug)]
pub enum Action {
    /// Go on with the next plugin.
    Continue,
    /// Answer the request now. Remaining `access` handlers are skipped; the later phases still run.
    Respond(LocalResponse),
    /// As `Respond`, with a ready-made response whose body may stream.
    Answer(Box<ResponseHead>, Body),
}

/// A plugin failed: the request gets a 500 `An unexpected error occurred` and the text goes to the error log.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct PluginError(pub String);

impl PluginError {
    /// From anything printable.
    pub fn new(text: impl std::fmt::Display) -> Self {
        PluginError(text.to_string())
    }
}

/// Result of a phase.
pub type PluginResult = Result<Action, PluginError>;

/// A phase is *sync-first*: it is done at once, or hands back a future only if it must wait. (Measured: boxed futures
/// for every phase cost 2.4 k instructions per request with three plugins, this 0.9 k.)
#[must_use]
pub enum Step<'a> {
    /// Done.
    Ready(PluginResult),
    /// Must wait for something.
    Wait(Pin<Box<dyn Future<Output = PluginResult> + 'a>>),
}

impl<'a> Step<'a> {
    /// Go on with the next plugin.
    pub const CONTINUE: Step<'static> = Step::Ready(Ok(Action::Continue));

    /// Answer the request.
    pub fn respond(response: LocalResponse) -> Self {
        Step::Ready(Ok(Action::Respond(response)))
    }

    /// Fail the request.
    pub fn fail(text: impl std::fmt::Display) -> Self {
        Step::Ready(Err(PluginError::new(text)))
    }

    /// Wait for a future.
    pub fn wait(future: impl Future<Output = PluginResult> + 'a) -> Self {
        Step::Wait(Box::pin(future))
    }
}

/// One configured instance of a plugin. Shared by all workers; per-request state belongs into
/// [`Exchange::state`](crate::Exchange::state).
///
/// All phases have do-nothing defaults. Only the phases named by [`Descriptor::phases`](crate::Descriptor) are called.
pub trait Plugin: Send + Sync + 'static {
    /// TLS handshake, server name known, no request yet. Global instances only.
    fn certificate<'a>(&'a self, _cx: &'a mut Certificate<'_>) -> Step<'a> {
        Step::CONTINUE
    }

    /// Request received, before routing. Global instances only.
    fn rewrite<'a>(&'a self, _cx: &'a mut Rewrite<'_>) -> Step<'a> {
        Step::CONTINUE
    }

    /// After routing, before the upstream is chosen.
    fn access<'a>(&'a self, _cx: &'a mut Access<'_>) -> Step<'a> {
        Step::CONTINUE
    }

    /// The whole upstream response was read. Having this phase forces response buffering.
    fn response<'a>(&'a self, _cx: &'a mut Response<'_>) -> Step<'a> {
        Step::CONTINUE
    }

    /// The response head is known and not yet sent.
    fn header_filter<'a>(&'a self, _cx: &'a mut HeaderFilter<'_>) -> Step<'a> {
        Step::CONTINUE
    }

    /// A chunk of the response body passes. `chunk` may be replaced or emptied; `last` is true exactly once, with a
    /// possibly empty chunk. `Action::Respond` is an error here: the head has been sent.
    fn body_filter(&self, _cx: &mut BodyFilter<'_>, _chunk: &mut Bytes, _last: bool) -> Result<(), PluginError> {
        Ok(())
    }

    /// The response was sent or given up.
    fn log(&self, _cx: &mut Log<'_>) -> Result<(), PluginError> {
        Ok(())
    }

    /// L4 counterpart of `access`.
    fn preread<'a>(&'a self, _cx: &'a mut Preread<'_>) -> Step<'a> {
        Step::CONTINUE
    }

    /// The L4 session ended.
    fn log_stream(&self, _cx: &mut StreamLog<'_>) -> Result<(), PluginError> {
        Ok(())
    }
}
