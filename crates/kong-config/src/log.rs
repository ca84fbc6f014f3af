//! The process's log: lines as the original writes them, `2026/01/31 12:00:00 [notice] 4711#0: message`.
//!
//! The original has eight levels, `tracing` has five. `debug!`, `info!`, `warn!` and `error!` mean what they say
//! (`trace!` is debug too); the four others are events with a `severity` field, for which there are macros here:
//!
//! ```
//! kong_config::log::notice!("started");
//! kong_config::log::crit!(store = "sqlite", "the datastore is gone");
//! ```
//!
//! This is a `tracing` subscriber of its own and not a layer of `tracing-subscriber`: it keeps no spans, so there is
//! nothing to register, and a disabled event costs one load.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

/// Severity, the least severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum Level {
    Debug,
    Info,
    Notice,
    Warn,
    Error,
    Crit,
    Alert,
    Emerg,
}

const LEVELS: [(Level, &str); 8] = [
    (Level::Debug, "debug"),
    (Level::Info, "info"),
    (Level::Notice, "notice"),
    (Level::Warn, "warn"),
    (Level::Error, "error"),
    (Level::Crit, "crit"),
    (Level::Alert, "alert"),
    (Level::Emerg, "emerg"),
];

impl Level {
    /// As `log_level` spells it.
    pub fn name(self) -> &'static str {
        LEVELS
            .iter()
            .find(|(level, _)| *level == self)
            .map_or("notice", |(_, name)| name)
    }

    fn from_number(number: u8) -> Self {
        LEVELS.get(usize::from(number)).map_or(Self::Emerg, |(level, _)| *level)
    }

    fn of(level: &tracing::Level) -> Self {
        match *level {
            tracing::Level::TRACE | tracing::Level::DEBUG => Self::Debug,
            tracing::Level::INFO => Self::Info,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::ERROR => Self::Error,
        }
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        LEVELS
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(level, _)| *level)
            .ok_or(())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Logs at level notice.
#[macro_export]
#[doc(hidden)]
macro_rules! __notice {
    ($($event:tt)+) => { ::tracing::info!(severity = "notice", $($event)+) };
}
/// Logs at level crit.
#[macro_export]
#[doc(hidden)]
macro_rules! __crit {
    ($($event:tt)+) => { ::tracing::error!(severity = "crit", $($event)+) };
}
/// Logs at level alert.
#[macro_export]
#[doc(hidden)]
macro_rules! __alert {
    ($($event:tt)+) => { ::tracing::error!(severity = "alert", $($event)+) };
}
/// Logs at level emerg.
#[macro_export]
#[doc(hidden)]
macro_rules! __emerg {
    ($($event:tt)+) => { ::tracing::error!(severity = "emerg", $($event)+) };
}
pub use crate::{__alert as alert, __crit as crit, __emerg as emerg, __notice as notice};

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard error.
    Stderr,
    /// Appended to a file.
    File(PathBuf),
    /// Nowhere.
    Nowhere,
}

#[derive(Debug)]
enum Sink {
    Stderr,
    File(File),
    Nowhere,
}

impl Destination {
    fn open(&self) -> io::Result<Sink> {
        Ok(match self {
            Self::Stderr => Sink::Stderr,
            Self::File(path) => Sink::File(OpenOptions::new().append(true).create(true).open(path)?),
            Self::Nowhere => Sink::Nowhere,
        })
    }
}

/// Changes the log of the running process.
#[derive(Debug, Clone)]
pub struct LogHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    level: AtomicU8,
    destination: Destination,
    sink: Mutex<Sink>,
}

static HANDLE: OnceLock<LogHandle> = OnceLock::new();

/// The handle of the log that `init` made; none if the process has another `tracing` subscriber.
pub fn handle() -> Option<&'static LogHandle> {
    HANDLE.get()
}

/// Makes this the log of the process.
///
/// # Errors
///
/// The file cannot be opened, or the process has a `tracing` subscriber already.
pub fn init(destination: Destination, level: Level) -> io::Result<LogHandle> {
    let (logger, handle) = logger(destination, level)?;
    tracing::subscriber::set_global_default(logger).map_err(|_| io::Error::other("the process logs already"))?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// A subscriber and its handle, without making it the process's.
pub fn logger(destination: Destination, level: Level) -> io::Result<(Logger, LogHandle)> {
    let sink = Mutex::new(destination.open()?);
    let shared = Arc::new(Shared {
        level: AtomicU8::new(level as u8),
        destination,
        sink,
    });
    Ok((
        Logger {
            shared: Arc::clone(&shared),
        },
        LogHandle { shared },
    ))
}

impl LogHandle {
    /// The present level.
    pub fn level(&self) -> Level {
        Level::from_number(self.shared.level.load(Ordering::Relaxed))
    }

    /// Changes the level, at once and for all threads.
    pub fn set_level(&self, level: Level) {
        self.shared.level.store(level as u8, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// Opens the file anew: after a rotation has moved it away.
    pub fn reopen(&self) -> io::Result<()> {
        let sink = self.shared.destination.open()?;
        *self.shared.sink.lock().unwrap_or_else(PoisonError::into_inner) = sink;
        Ok(())
    }
}

impl Shared {
    fn write(&self, line: &str) {
        // What cannot be logged cannot be reported either.
        let _ = match &mut *self.sink.lock().unwrap_or_else(PoisonError::into_inner) {
            Sink::Stderr => io::stderr().write_all(line.as_bytes()),
            Sink::File(file) => file.write_all(line.as_bytes()),
            Sink::Nowhere => Ok(()),
        };
    }
}

/// The `tracing` subscriber.
#[derive(Debug)]
pub struct Logger {
    shared: Arc<Shared>,
}

impl Logger {
    fn level(&self) -> Level {
        Level::from_number(self.shared.level.load(Ordering::Relaxed))
    }

    /// Whether an event of this call site may be severe enough; its `severity` is known only with its values.
    fn may_log(&self, metadata: &Metadata<'_>) -> bool {
        let has_severity = metadata.fields().field("severity").is_some();
        let highest = match (Level::of(metadata.level()), has_severity) {
            (Level::Info, true) => Level::Notice,
            (Level::Error, true) => Level::Emerg,
            (level, _) => level,
        };
        metadata.is_event() && highest >= self.level()
    }
}

impl Subscriber for Logger {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.may_log(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.may_log(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.level() {
            Level::Debug => LevelFilter::TRACE,
            Level::Info | Level::Notice => LevelFilter::INFO,
            Level::Warn => LevelFilter::WARN,
            _ => LevelFilter::ERROR,
        })
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line {
            level: Level::of(event.metadata().level()),
            message: String::new(),
            rest: String::new(),
        };
        event.record(&mut line);
        if line.level >= self.level() {
            let process = std::process::id();
            let time = timestamp();
            self.shared.write(&format!(
                "{time} [{}] {process}#0: {}{}\n",
                line.level, line.message, line.rest
            ));
        }
    }

    // Spans are never enabled, so what follows is not called.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The parts of a line: the message, then `, field: value` for the others, texts in quotes.
struct Line {
    level: Level,
    message: String,
    rest: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "severity" => self.level = value.parse().unwrap_or(self.level),
            "message" => push_harmless(&mut self.message, value),
            name => {
                let _ = write!(self.rest, ", {name}: \"");
                push_harmless(&mut self.rest, value);
                self.rest.push('"');
            }
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => push_harmless(&mut self.message, &text),
            // The `log` crate's own fields, forwarded by its bridge.
            name if name.starts_with("log.") => {}
            name => {
                let _ = write!(self.rest, ", {name}: ");
                push_harmless(&mut self.rest, &text);
            }
        }
    }
}

/// Control characters would let a request write lines of its own into the log.
fn push_harmless(line: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() && character != '\t' {
            let _ = write!(line, "\\x{:02X}", u32::from(character));
        } else {
            line.push(character);
        }
    }
}

/// Now, in local time, `2026/01/31 12:00:00`.
pub fn timestamp() -> String {
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let seconds = libc::time_t::try_from(seconds).unwrap_or(0);
    // SAFETY: all-zero bytes are a valid `tm` (its pointer may be null).
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call; localtime_r writes only to the second.
    unsafe { libc::localtime_r(&seconds, &mut local) };
    format!(
        "{:04}/{:02}/{:02} {:02}:{:02}:{:02}",
        local.tm_year + 1900,
        local.tm_mon + 1,
        local.tm_mday,
        local.tm_hour,
        local.tm_min,
        local.tm_sec
    )
}

#[cfg(test)]
mod tests;
