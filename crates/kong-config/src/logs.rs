//! Where logs go.

use std::path::PathBuf;

use crate::checks::Reader;
use crate::log::Level;
use crate::prefix::Prefix;

/// Log settings.
#[derive(Debug, Clone)]
pub struct Logs {
    /// `log_level`
    pub level: Level,
    /// `proxy_access_log`; none: `off`.
    pub proxy_access: Option<LogFile>,
    /// `admin_access_log`
    pub admin_access: Option<LogFile>,
    /// `status_access_log`
    pub status_access: Option<LogFile>,
    /// `proxy_error_log`; none: `off`.
    pub error: Option<PathBuf>,
    /// Whether `proxy_error_log` was set to something else than its default.
    pub error_is_set: bool,
}

/// An access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Absolute.
    pub path: PathBuf,
    /// Name of a custom format, if one follows the path.
    pub format: Option<String>,
}

impl Logs {
    pub(crate) fn read(reader: &mut Reader<'_>, prefix: &Prefix) -> Self {
        let values = reader.values;
        let words = values
            .text("proxy_access_log")
            .map_or(0, |text| text.split_whitespace().count());
        if words > 1 {
            reader
                .warnings
                .push("proxy_access_log: custom formats have no effect yet".into());
        }
        let file = |name: &str| {
            let mut words = values.text(name)?.split_whitespace();
            let path = words.next().filter(|&path| path != "off")?;
            Some(LogFile {
                path: prefix.join(path),
                format: words.next().map(str::to_owned),
            })
        };
        const ERROR_LOG: &str = "logs/error.log";
        let error = values.text("proxy_error_log").unwrap_or(ERROR_LOG);
        Self {
            level: values
                .text("log_level")
                .and_then(|text| text.parse().ok())
                .unwrap_or(Level::Notice),
            proxy_access: file("proxy_access_log"),
            admin_access: file("admin_access_log"),
            status_access: file("status_access_log"),
            error: (error != "off").then(|| prefix.join(error)),
            error_is_set: error != ERROR_LOG,
        }
    }
}
