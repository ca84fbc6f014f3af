//! The thread that writes.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

/// Most entries that wait for the disk; beyond that they are dropped and counted.
const CAPACITY: usize = 10_000;

/// An entry on its way to a file.
pub struct Line {
    /// File.
    pub path: Arc<PathBuf>,
    /// Entry with its line break.
    pub text: Vec<u8>,
    /// Open the file anew.
    pub reopen: bool,
}

enum Message {
    Line(Line),
    Reopen,
    Flush(oneshot::Sender<()>),
}

/// Queue to the writing thread, which starts with the first message and ends, everything written, when the writer is
/// dropped.
#[derive(Default)]
pub struct Writer {
    queue: OnceLock<Option<SyncSender<Message>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    dropped: AtomicU64,
}

impl Writer {
    fn queue(&self) -> Option<&SyncSender<Message>> {
        let start = || {
            let (sender, receiver) = sync_channel(CAPACITY);
            let thread = std::thread::Builder::new()
                .name("file-log".into())
                .spawn(move || run(&receiver));
            match thread {
                Ok(thread) => {
                    *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
                    Some(sender)
                }
                Err(error) => {
                    tracing::error!("[file-log] cannot start the writing thread, entries are lost: {error}");
                    None
                }
            }
        };
        self.queue.get_or_init(start).as_ref()
    }

    /// Hands over an entry; never waits.
    pub fn write(&self, line: Line) {
        let Some(queue) = self.queue() else { return };
        match queue.try_send(Message::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
                if dropped.is_power_of_two() {
                    tracing::error!("[file-log] {CAPACITY} entries wait for the disk, {dropped} were dropped");
                }
            }
        }
    }

    /// Opens all files anew at their next entry.
    pub fn reopen(&self) {
        if let Some(Some(queue)) = self.queue.get() {
            // A full queue is drained soon; a thread waits for that, not the caller.
            let queue = queue.clone();
            if let Err(TrySendError::Full(message)) = queue.try_send(Message::Reopen) {
                std::thread::spawn(move || drop(queue.send(message)));
            }
        }
    }

    /// Resolves once everything handed over so far is written.
    pub async fn flush(&self) {
        let Some(Some(queue)) = self.queue.get() else { return };
        let (done, written) = oneshot::channel();
        let queue = queue.clone();
        std::thread::spawn(move || drop(queue.send(Message::Flush(done))));
        let _ = written.await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The thread ends when the queue does.
        drop(self.queue.take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

fn run(queue: &Receiver<Message>) {
    let mut files: HashMap<Arc<PathBuf>, File> = HashMap::new();
    while let Ok(message) = queue.recv() {
        match message {
            Message::Reopen => files.clear(),
            Message::Flush(done) => {
                let _ = done.send(());
            }
            Message::Line(line) => {
                if line.reopen {
                    files.remove(&line.path);
                }
                let file = match files.get_mut(&line.path) {
                    Some(file) => file,
                    None => match open(&line.path) {
                        Ok(file) => files.entry(line.path.clone()).or_insert(file),
                        Err(error) => {
                            tracing::error!("[file-log] failed to open the file: {}", reason(&error));
                            continue;
                        }
                    },
                };
                if let Err(error) = file.write_all(&line.text) {
                    tracing::error!(
                        "[file-log] failed to write to {}: {}",
                        line.path.display(),
                        reason(&error)
                    );
                    files.remove(&line.path);
                }
            }
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().append(true).create(true).mode(0o644).open(path)
}

/// The system's text, without the number that Rust adds.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
