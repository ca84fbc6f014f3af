//! The readers' threads: each has a connection of its own, all take from one queue.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use kong_datastore::{StoreError, StoreResult};
use rusqlite::Connection;
use tokio::sync::oneshot;

/// Jobs that may wait for a thread. Beyond that the store says that it is overloaded instead of hoarding memory.
pub(crate) const QUEUE: usize = 16_384;

type Job = Box<dyn FnOnce(&Connection) + Send>;

pub(crate) fn stopped() -> StoreError {
    StoreError::Unavailable("the store has been closed, or failed while it worked on this".into())
}

pub(crate) fn overloaded() -> StoreError {
    StoreError::Unavailable(format!("more than {QUEUE} operations wait for the store"))
}

/// Answer of a thread, waited for without blocking.
pub(crate) async fn answer<T>(receiver: oneshot::Receiver<StoreResult<T>>) -> StoreResult<T> {
    receiver.await.unwrap_or_else(|_| Err(stopped()))
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<(VecDeque<Job>, bool)>,
    filled: Condvar,
}

/// Handle of the readers' threads.
pub(crate) struct Readers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts one thread per connection.
    pub(crate) fn start(connections: Vec<Connection>) -> StoreResult<Self> {
        let queue = Arc::new(Queue::default());
        let mut readers = Self {
            queue: queue.clone(),
            threads: Vec::new(),
        };
        for connection in connections {
            let queue = queue.clone();
            let thread = std::thread::Builder::new()
                .name("sqlite-reader".into())
                .spawn(move || serve(&queue, &connection))
                .map_err(|e| StoreError::Unavailable(format!("cannot start a thread: {e}")))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs `work` on one of the connections.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody waits any longer for an answer that was given up.
            if !sender.is_closed() {
                drop(sender.send(work(connection)));
            }
        });
        {
            let mut jobs = self.queue.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            if jobs.0.len() >= QUEUE {
                return Err(overloaded());
            }
            jobs.0.push_back(job);
        }
        self.queue.filled.notify_one();
        answer(receiver).await
    }
}

fn serve(queue: &Queue, connection: &Connection) {
    loop {
        let job = {
            let mut jobs = queue.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if let Some(job) = jobs.0.pop_front() {
                    break job;
                }
                if jobs.1 {
                    return;
                }
                jobs = queue.filled.wait(jobs).unwrap_or_else(PoisonError::into_inner);
            }
        };
        // A panic costs this job its answer, not the thread.
        drop(catch_unwind(AssertUnwindSafe(|| job(connection))));
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.jobs.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.queue.filled.notify_all();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}
