//! The access log in nginx's combined format with the request id (upstream.md §14).
//!
//! Lines are gathered per worker thread and written in one piece when enough have come together or a moment has passed,
//! so that a log line costs no system call of its own.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use kong_plugin::Exchange;

/// An access log file. Cheap to clone; clones write to the same file.
#[derive(Clone)]
pub struct AccessLog {
    path: Arc<PathBuf>,
    file: Arc<ArcSwap<File>>,
}

thread_local! {
    static PENDING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lines are written when this many bytes have come together.
const FLUSH_AT: usize = 16 * 1024;

impl AccessLog {
    /// How long a line may wait.
    pub const FLUSH_EVERY: Duration = Duration::from_millis(500);

    /// Opens the file for appending, creating it if need be.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let file = append(&path)?;
        Ok(AccessLog {
            path: Arc::new(path),
            file: Arc::new(ArcSwap::from_pointee(file)),
        })
    }

    /// Opens the file anew (USR1, after log rotation).
    ///
    /// # Errors
    /// What the file system reports; the old file stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        self.file.store(Arc::new(append(&self.path)?));
        Ok(())
    }

    /// Writes what this thread has gathered. Failure to log must not fail requests.
    pub fn flush(&self) {
        PENDING.with_borrow_mut(|pending| {
            if !pending.is_empty() {
                let _ = (&mut &**self.file.load()).write_all(pending);
                pending.clear();
            }
        });
    }

    pub(crate) fn write(&self, exchange: &Exchange, body_bytes: u64) {
        let is_full = PENDING.with_borrow_mut(|pending| {
            line(pending, exchange, body_bytes);
            pending.len() >= FLUSH_AT
        });
        if is_full {
            self.flush();
        }
    }
}

fn append(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"
/// kong_request_id: "$kong_request_id"`
fn line(out: &mut Vec<u8>, exchange: &Exchange, body_bytes: u64) {
    let head = &exchange.head;
    let status = if exchange.is_client_gone {
        499
    } else {
        exchange.status().unwrap_or(499)
    };
    // Writing into memory does not fail.
    let _ = write!(
        out,
        "{} - - [{}] \"{} ",
        exchange.client.ip,
        local_time(exchange.timings.wall),
        exchange.method()
    );
    escape(out, head.target());
    let _ = write!(out, " {}\" {status} {body_bytes} \"", head.version.as_str());
    escape(out, head.headers.get("referer").unwrap_or(b"-"));
    out.extend_from_slice(b"\" \"");
    escape(out, head.headers.get("user-agent").unwrap_or(b"-"));
    let _ = writeln!(out, "\" kong_request_id: \"{}\"", exchange.request_id());
}

/// What could end a field or a line is written as `\xXX`, as nginx does.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => {
                let _ = write!(out, "\\x{byte:02X}");
            }
            _ => out.push(*byte),
        }
    }
}

/// `25/Nov/2026:19:37:27 +0000`. UTC: finding out the local offset is not safe in a threaded process.
fn local_time(time: SystemTime) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, rest) = ((seconds / 86_400) as i64, seconds % 86_400);
    // Days to civil date, after H. Hinnant's public algorithm.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * m + 2) / 5 + 1;
    let month = if m < 10 { m + 3 } else { m - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let name = MONTHS.get(usize::try_from(month - 1).unwrap_or(0)).unwrap_or(&"Jan");
    format!(
        "{day:02}/{name}/{year}:{:02}:{:02}:{:02} +0000",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted_like_nginx() {
        for (seconds, expected) in [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (1_700_000_000, "14/Nov/2023:22:13:20 +0000"),
            (1_709_210_096, "29/Feb/2024:12:34:56 +0000"),
        ] {
            assert_eq!(local_time(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn a_field_cannot_end_the_line() {
        let mut out = Vec::new();
        escape(&mut out, b"a\"b\\\n\xff");
        assert_eq!(out, b"a\\x22b\\x5C\\x0A\\xFF");
    }
}
