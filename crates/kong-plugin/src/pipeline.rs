//! Runs the phases of an exchange's plan.
//!
//! On the request path. A phase without plugins costs one test; a plugin that answers at once costs no allocation.
//! A panicking plugin fails its own request and nothing else.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::context::{Access, BodyFilter, HeaderFilter, Log, Response, Rewrite};
use crate::plan::Chosen;
use crate::{
    Action, Exchange, Phases, Plan, PluginError, PluginResult, Preread, Selected, Step, StreamExchange, StreamLog,
};

/// Whether a request goes on.
#[derive(Debug)]
pub enum Flow {
    /// To the next stage.
    Continue,
    /// A plugin answered: `Action::Respond` or `Action::Answer`.
    Answered(Action),
    /// A plugin failed; the error has been logged. The client gets a 500.
    Failed,
}

impl Flow {
    fn of(result: PluginResult, selected: &Selected, phase: &str, request_id: &str) -> Flow {
        match result {
            Ok(Action::Continue) => Flow::Continue,
            Ok(answer) => Flow::Answered(answer),
            Err(error) => {
                report(selected, phase, request_id, &error);
                Flow::Failed
            }
        }
    }

    /// No plugin has answered or failed.
    pub fn is_continue(&self) -> bool {
        matches!(self, Flow::Continue)
    }
}

#[cold]
fn report(selected: &Selected, phase: &str, request_id: &str, error: &PluginError) {
    tracing::error!(
        "[{}] {phase} of instance {}: {error}, request_id: \"{request_id}\"",
        selected.instance.name,
        selected.instance.id
    );
}

/// Text of a panic.
fn panic_text(payload: Box<dyn std::any::Any + Send>) -> PluginError {
    let text = payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic".to_owned());
    PluginError(format!("panicked: {text}"))
}

fn catch<R>(f: impl FnOnce() -> R) -> Result<R, PluginError> {
    catch_unwind(AssertUnwindSafe(f)).map_err(panic_text)
}

/// Drives a step to its result.
async fn finish(step: Result<Step<'_>, PluginError>) -> PluginResult {
    match step? {
        Step::Ready(result) => result,
        Step::Wait(mut future) => {
            poll_fn(|cx| match catch(|| future.as_mut().poll(cx)) {
                Ok(poll) => poll,
                Err(error) => Poll::Ready(Err(error)),
            })
            .await
        }
    }
}

/// Runs `rewrite` of the global instances, before routing. [`Exchange::plan`] must be the global plan.
pub async fn rewrite(exchange: &mut Exchange) -> Flow {
    if !exchange.plan.phases.contains(Phases::REWRITE) {
        return Flow::Continue;
    }
    let plan = exchange.plan.clone();
    for entry in plan
        .entries
        .iter()
        .filter(|entry| entry.phases.contains(Phases::REWRITE))
    {
        let Some(selected) = &entry.instance else { continue };
        let result = {
            let mut cx = Rewrite::new(exchange);
            finish(catch(|| selected.plugin.rewrite(&mut cx))).await
        };
        let flow = Flow::of(result, selected, "rewrite", exchange.request_id());
        if !flow.is_continue() {
            return flow;
        }
    }
    Flow::Continue
}

/// Runs `access` and collects the instances of the later phases. Collecting goes on after a plugin has answered.
pub async fn access(exchange: &mut Exchange) -> Flow {
    if exchange.plan.entries.is_empty() {
        return Flow::Continue;
    }
    let plan = exchange.plan.clone();
    let route = exchange.route.as_ref().map(|route| route.id);
    let service = exchange.service.as_ref().map(|service| service.id);
    let mut flow = Flow::Continue;
    for (index, entry) in plan.entries.iter().enumerate() {
        let consumer = exchange.consumer.as_ref().map(|consumer| consumer.id);
        // A plan has far fewer than 65,536 plugins: one entry per plugin name.
        let Some(chosen) = plan.choose(index as u16, route, service, consumer) else {
            continue;
        };
        if flow.is_continue()
            && entry.phases.contains(Phases::ACCESS)
            && let Some(selected) = plan.selected(&chosen)
        {
            let result = {
                let mut cx = Access::new(exchange);
                finish(catch(|| selected.plugin.access(&mut cx))).await
            };
            flow = Flow::of(result, selected, "access", exchange.request_id());
        }
        exchange.collected.push(chosen);
    }
    flow
}

/// Collects the global instances for the later phases of a request whose access phase never ran (404, malformed).
/// [`Exchange::plan`] must be the global plan.
pub fn collect_global(exchange: &mut Exchange) {
    exchange.collected.clear();
    for (index, entry) in exchange.plan.entries.iter().enumerate() {
        if entry.instance.is_some() {
            exchange.collected.push(Chosen::Entry(index as u16));
        }
    }
}

/// Whether a collected instance has the phase.
pub fn has_phase(exchange: &Exchange, phase: Phases) -> bool {
    exchange.plan.phases.contains(phase)
        && exchange
            .collected
            .iter()
            .filter_map(|c| exchange.plan.selected(c))
            .any(|s| s.phases.contains(phase))
}

/// Plan and choices of an exchange, detached so that instances can be run on it; `None`: nothing has the phase.
fn with_phase(exchange: &Exchange, phase: Phases) -> Option<Collected> {
    // Consumer-bound instances are of a plugin in the plan, so its phases are in the union.
    (!exchange.collected.is_empty() && exchange.plan.phases.contains(phase)).then(|| Collected {
        plan: exchange.plan.clone(),
        chosen: exchange.collected.clone(),
        phase,
    })
}

struct Collected {
    plan: Arc<Plan>,
    chosen: SmallVec<[Chosen; 8]>,
    phase: Phases,
}

impl Collected {
    fn iter(&self) -> impl Iterator<Item = &Arc<Selected>> {
        self.chosen
            .iter()
            .filter_map(|chosen| self.plan.selected(chosen))
            .filter(|selected| selected.phases.contains(self.phase))
    }
}

/// Runs `response` on the buffered response.
pub async fn response(exchange: &mut Exchange) -> Flow {
    let Some(collected) = with_phase(exchange, Phases::RESPONSE) else {
        return Flow::Continue;
    };
    for selected in collected.iter() {
        let result = {
            let mut cx = Response::new(exchange);
            finish(catch(|| selected.plugin.response(&mut cx))).await
        };
        let flow = Flow::of(result, selected, "response", exchange.request_id());
        if !flow.is_continue() {
            return flow;
        }
    }
    Flow::Continue
}

/// Applies the headers that plugins set early, then runs `header_filter`. A failing plugin is logged and skipped: the
/// response is on its way.
pub async fn header_filter(exchange: &mut Exchange) {
    if !exchange.early_response_headers.is_empty() {
        let early = std::mem::take(&mut exchange.early_response_headers);
        if let Some(head) = &mut exchange.response {
            for (name, value) in early {
                head.headers.set(name, value);
            }
        }
    }
    let Some(collected) = with_phase(exchange, Phases::HEADER_FILTER) else {
        return;
    };
    for selected in collected.iter() {
        let result = {
            let mut cx = HeaderFilter::new(exchange);
            finish(catch(|| selected.plugin.header_filter(&mut cx))).await
        };
        let _ = Flow::of(result, selected, "header_filter", exchange.request_id());
    }
}

/// Runs `body_filter` on a chunk. `last` must be true exactly once.
pub fn body_filter(exchange: &mut Exchange, chunk: &mut Bytes, last: bool) {
    let Some(collected) = with_phase(exchange, Phases::BODY_FILTER) else {
        return;
    };
    for selected in collected.iter() {
        let result = catch(|| selected.plugin.body_filter(&mut BodyFilter::new(exchange), chunk, last)).flatten();
        if let Err(error) = result {
            report(selected, "body_filter", exchange.request_id(), &error);
        }
    }
}

/// Runs `log`.
pub fn log(exchange: &mut Exchange) {
    let Some(collected) = with_phase(exchange, Phases::LOG) else {
        return;
    };
    for selected in collected.iter() {
        let result = catch(|| selected.plugin.log(&mut Log::new(exchange))).flatten();
        if let Err(error) = result {
            report(selected, "log", exchange.request_id(), &error);
        }
    }
}

/// Runs `preread` of an L4 session.
pub async fn preread(exchange: &mut StreamExchange) -> Flow {
    let plan = exchange.plan.clone();
    for entry in plan
        .entries
        .iter()
        .filter(|entry| entry.phases.contains(Phases::PREREAD))
    {
        let Some(selected) = &entry.instance else { continue };
        let result = {
            let mut cx = Preread::new(exchange);
            finish(catch(|| selected.plugin.preread(&mut cx))).await
        };
        let flow = Flow::of(result, selected, "preread", "");
        if !flow.is_continue() {
            return flow;
        }
    }
    Flow::Continue
}

/// Runs `log` of an L4 session.
pub fn log_stream(exchange: &mut StreamExchange) {
    let plan = exchange.plan.clone();
    for entry in plan
        .entries
        .iter()
        .filter(|entry| entry.phases.contains(Phases::STREAM_LOG))
    {
        let Some(selected) = &entry.instance else { continue };
        let result = catch(|| selected.plugin.log_stream(&mut StreamLog::new(exchange))).flatten();
        if let Err(error) = result {
            report(selected, "log", "", &error);
        }
    }
}
