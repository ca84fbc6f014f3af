//! Where log entries go.

pub mod file_log;

pub use file_log::FileLog;
