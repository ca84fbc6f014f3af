//! The writer's thread: commits together what waits together, and looks whether other processes have written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kong_datastore::{StoreError, StoreResult};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::error::explain;
use crate::readers::{QUEUE, answer, overloaded, stopped};

/// Jobs and time that one commit may gather.
const GROUP: usize = 512;
const GROUP_TIME: Duration = Duration::from_millis(20);

/// Work that runs in a savepoint of its own and is answered after the commit.
trait Job: Send {
    /// Runs it; whether its effects are to be kept.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Answers: with its own result if the commit went well.
    fn finish(self: Box<Self>, committed: StoreResult<()>);
}

struct Work<T, F> {
    work: Option<F>,
    result: Option<StoreResult<T>>,
    sender: oneshot::Sender<StoreResult<T>>,
}

impl<T: Send, F: FnOnce(&Connection) -> StoreResult<T> + Send> Job for Work<T, F> {
    fn run(&mut self, connection: &Connection) -> bool {
        self.result = self.work.take().map(|work| work(connection));
        matches!(self.result, Some(Ok(_)))
    }

    fn finish(self: Box<Self>, committed: StoreResult<()>) {
        let result = match (self.result, committed) {
            // Its own mistake stays its own, whatever becomes of the others' commit.
            (Some(Err(own)), _) => Err(own),
            (_, Err(error)) => Err(error),
            (Some(own), Ok(())) => own,
            (None, Ok(())) => Err(stopped()),
        };
        drop(self.sender.send(result));
    }
}

/// Handle of the writer's thread.
pub(crate) struct Writer {
    jobs: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. `ticks` counts when another process has written, looked at every `interval`.
    pub(crate) fn start(
        connection: Connection,
        path: PathBuf,
        ticks: watch::Sender<u64>,
        interval: Duration,
    ) -> StoreResult<Self> {
        let (sender, jobs) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || {
                Loop {
                    connection,
                    path,
                    ticks,
                    interval,
                    version: 0,
                    looked: Instant::now(),
                }
                .run(&jobs)
            })
            .map_err(|e| StoreError::Unavailable(format!("cannot start a thread: {e}")))?;
        Ok(Self {
            jobs: Some(sender),
            thread: Some(thread),
        })
    }

    /// Runs `work` in a transaction and returns once that is durable. An `Err` undoes what it did.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (sender, receiver) = oneshot::channel();
        let job: Box<dyn Job> = Box::new(Work {
            work: Some(work),
            result: None,
            sender,
        });
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.try_send(job).map_err(|e| match e {
            TrySendError::Full(_) => overloaded(),
            TrySendError::Disconnected(_) => stopped(),
        })?;
        answer(receiver).await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        // The last connection to close checkpoints the log into the file.
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

struct Loop {
    connection: Connection,
    path: PathBuf,
    ticks: watch::Sender<u64>,
    interval: Duration,
    version: i64,
    looked: Instant,
}

impl Loop {
    fn run(mut self, jobs: &Receiver<Box<dyn Job>>) {
        self.version = self.data_version();
        loop {
            match jobs.recv_timeout(self.interval) {
                Ok(first) => self.group(first, jobs),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.looked.elapsed() >= self.interval {
                self.look();
            }
        }
    }

    fn data_version(&self) -> i64 {
        let query = || {
            self.connection
                .prepare_cached("PRAGMA data_version")?
                .query_row([], |row| row.get(0))
        };
        query().unwrap_or(self.version)
    }

    /// SQLite's data version, on this connection, changes only when another one has committed, and the readers don't.
    fn look(&mut self) {
        self.looked = Instant::now();
        let version = self.data_version();
        if version != self.version {
            self.version = version;
            self.ticks.send_modify(|n| *n = n.wrapping_add(1));
        }
    }

    /// Runs the first job and whatever waits behind it in one transaction.
    fn group(&mut self, first: Box<dyn Job>, jobs: &Receiver<Box<dyn Job>>) {
        if let Err(error) = self.execute("BEGIN IMMEDIATE") {
            return first.finish(Err(error));
        }
        let begun = Instant::now();
        let mut done: Vec<Box<dyn Job>> = Vec::new();
        let (mut any_kept, mut failure) = (false, None);
        let mut next = Some(first);
        while let Some(job) = next.take() {
            let (job, kept) = self.job(job);
            done.extend(job);
            match kept {
                Ok(kept) => any_kept |= kept,
                // SQLite has given up the whole transaction (disk full, I/O error): nobody's work is kept.
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
            if done.len() < GROUP && begun.elapsed() < GROUP_TIME {
                next = jobs.try_recv().ok();
            }
        }
        let committed = match failure {
            Some(error) => Err(error),
            None if any_kept => self.execute("COMMIT"),
            None => self.execute("ROLLBACK"),
        };
        if committed.is_err() && !self.connection.is_autocommit() {
            drop(self.execute("ROLLBACK"));
        }
        for job in done {
            job.finish(committed.clone());
        }
    }

    /// Runs a job in its savepoint. Gives it back unless it panicked, with whether it was kept; an error says that the
    /// transaction is lost.
    fn job(&self, mut job: Box<dyn Job>) -> (Option<Box<dyn Job>>, StoreResult<bool>) {
        if let Err(error) = self.execute("SAVEPOINT job") {
            return (Some(job), Err(error));
        }
        let connection = &self.connection;
        // A panic costs this job its answer, not the thread.
        let ran = catch_unwind(AssertUnwindSafe(move || {
            let kept = job.run(connection);
            (job, kept)
        }));
        let (job, kept) = match ran {
            Ok((job, kept)) => (Some(job), kept),
            Err(_) => (None, false),
        };
        if self.connection.is_autocommit() {
            let path = self.path.display();
            let lost = format!("{path}: the transaction was rolled back; nothing was changed (disk full or faulty?)");
            return (job, Err(StoreError::Unavailable(lost)));
        }
        let undone = if kept { Ok(()) } else { self.execute("ROLLBACK TO job") };
        let released = undone.and_then(|()| self.execute("RELEASE job"));
        (job, released.map(|()| kept))
    }

    fn execute(&self, sql: &str) -> StoreResult<()> {
        let run = || self.connection.prepare_cached(sql)?.execute([]);
        run().map(drop).map_err(|e| explain(e, &self.path))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::sync::Arc;

    use super::*;
    use crate::SqliteOptions;
    use crate::connection::{self, Role};

    fn start() -> (Arc<Writer>, PathBuf, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.sqlite");
        connection::create(&path).unwrap();
        let connection = connection::open(&path, &SqliteOptions::default(), Role::Writer).unwrap();
        connection
            .execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY, data TEXT)")
            .unwrap();
        let writer = Writer::start(
            connection,
            path.clone(),
            watch::Sender::new(0),
            Duration::from_millis(50),
        )
        .unwrap();
        (Arc::new(writer), path, directory)
    }

    async fn put(writer: &Writer, path: &std::path::Path, n: i64, bytes: usize) -> StoreResult<()> {
        let path = path.to_owned();
        writer
            .run(move |c| {
                c.execute("INSERT INTO t VALUES (?1, ?2)", (n, "x".repeat(bytes)))
                    .map(drop)
                    .map_err(|e| explain(e, &path))
            })
            .await
    }

    async fn rows(writer: &Writer) -> i64 {
        writer
            .run(|c| Ok(c.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_that_changes_nothing_and_passes() {
        let (writer, path, _directory) = start();
        put(&writer, &path, 1, 10).await.unwrap();
        let limit = |pages: i64| {
            let writer = writer.clone();
            async move {
                let set = move |c: &Connection| {
                    c.pragma_update(None, "max_page_count", pages).unwrap();
                    Ok(())
                };
                writer.run(set).await.unwrap();
            }
        };
        limit(8).await;
        let error = put(&writer, &path, 2, 100_000).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Unavailable(text) if text.contains("no space left")),
            "{error}"
        );
        assert_eq!(rows(&writer).await, 1);
        limit(1 << 30).await;
        put(&writer, &path, 2, 100_000).await.unwrap();
        assert_eq!(rows(&writer).await, 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_failing_or_panicking_job_leaves_those_beside_it_alone() {
        let (writer, path, _directory) = start();
        put(&writer, &path, 0, 1).await.unwrap();
        let mut tasks = Vec::new();
        for n in 1..=60 {
            let (writer, path) = (writer.clone(), path.clone());
            tasks.push(tokio::spawn(async move {
                match n % 3 {
                    0 => put(&writer, &path, n, 1).await,
                    // Writes, then fails on a row that is there: both go.
                    1 => {
                        let work = move |c: &Connection| {
                            c.execute("INSERT INTO t VALUES (?1, '')", [n]).unwrap();
                            c.execute("INSERT INTO t VALUES (0, '')", [])
                                .map_err(|e| explain(e, &path))
                        };
                        writer.run(work).await.map(drop)
                    }
                    _ => writer.run::<()>(|_| panic!("for the test")).await,
                }
            }));
        }
        let mut kept = 0;
        for task in tasks {
            kept += i64::from(task.await.unwrap().is_ok());
        }
        assert_eq!((kept, rows(&writer).await), (20, 21));
    }
}
