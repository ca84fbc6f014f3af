//! How ids are made.

use std::cell::Cell;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use kong_plugin::Exchange;
use kong_schema::Choice;
use serde::Deserialize;
use uuid::{Builder, Uuid};

/// Kind of id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Choice)]
pub enum Generator {
    /// A random UUID.
    #[serde(rename = "uuid")]
    Uuid,
    /// A UUID of the worker and a counter.
    #[serde(rename = "uuid#counter")]
    Counter,
    /// Server address and port, process, connection, request and time.
    #[serde(rename = "tracker")]
    Tracker,
}

thread_local! {
    /// A worker is a thread: its UUID, and how many ids it made.
    static WORKER: (Uuid, Cell<u64>) = (random(), Cell::new(0));
}

/// An id need not be unguessable, so that no system call is made for it.
fn random() -> Uuid {
    Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid()
}

impl Generator {
    /// A new id.
    pub fn generate(self, exchange: &Exchange) -> Bytes {
        Bytes::from(match self {
            Generator::Uuid => random().to_string(),
            Generator::Counter => WORKER.with(|(worker, made)| {
                made.set(made.get() + 1);
                format!("{worker}#{}", made.get())
            }),
            Generator::Tracker => {
                let since = exchange.timings.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
                let conn = &exchange.conn;
                format!(
                    "{}-{}-{}-{}-{}-{}.{:03}",
                    conn.local.ip(),
                    conn.local.port(),
                    std::process::id(),
                    conn.serial,
                    exchange.requests_on_connection,
                    since.as_secs(),
                    since.subsec_millis()
                )
            }
        })
    }
}
