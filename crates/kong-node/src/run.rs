//! A node as a process: runs until a signal ends it.

use std::time::Duration;

use kong_config::Config;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Node, NodeError};

/// What a signal asks for.
enum Wish {
    Stop,
    Quit,
    Reload,
    Reopen,
}

/// Runs a node until it is told to end: SIGTERM and SIGINT stop at once (also during a drain), SIGQUIT lets requests
/// finish, HUP reloads, USR1 opens log files anew (node.md §3, §4). `ready` is called once the node serves.
///
/// # Errors
/// [`NodeError`] when the node does not start.
pub fn run(config: Config, ready: impl FnOnce() + Send) -> Result<(), NodeError> {
    let terminate_drain = config.server.terminate_drain;
    let quit_drain = config.server.quit_drain;
    let node = Node::builder(config).start()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| NodeError::Start {
            what: "the signal handler",
            source,
        })?;
    runtime.block_on(async {
        let mut wishes = Signals::new().map_err(|source| NodeError::Start {
            what: "the signal handler",
            source,
        })?;
        ready();
        let mut deadline = None;
        loop {
            let wish = tokio::select! {
                wish = wishes.next() => wish,
                // A drain is over when nothing is left, or its time is.
                () = drained(&node, deadline), if deadline.is_some() => break,
            };
            match wish {
                Wish::Stop if deadline.is_none() && !terminate_drain.is_zero() => {
                    tracing::info!("draining for at most {terminate_drain:?}");
                    node.drain();
                    deadline = Some(Some(terminate_drain));
                }
                Wish::Stop => break,
                Wish::Quit if deadline.is_some() => {}
                Wish::Quit => {
                    node.drain();
                    deadline = Some(quit_drain);
                }
                Wish::Reload => tracing::warn!(
                    "reload is not available yet: the running configuration stays; restart to apply a new one"
                ),
                Wish::Reopen => node.reopen_logs(),
            }
        }
        Ok::<(), NodeError>(())
    })?;
    node.stop();
    Ok(())
}

/// Resolves when every worker has ended, or after the limit.
async fn drained(node: &Node, limit: Option<Option<Duration>>) {
    let all = async {
        while !node.is_finished() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match limit.flatten() {
        Some(limit) => {
            if tokio::time::timeout(limit, all).await.is_err() {
                tracing::warn!("requests were still in flight when the drain's time was over");
            }
        }
        None => all.await,
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    usr1: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            usr1: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.quit.recv() => Wish::Quit,
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.usr1.recv() => Wish::Reopen,
        }
    }
}
