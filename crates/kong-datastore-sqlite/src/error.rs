//! What went wrong, in words that say what to do.

use std::path::Path;

use kong_datastore::StoreError;
use rusqlite::ErrorCode;

/// A store error for a failure of SQLite on a file.
pub(crate) fn explain(error: rusqlite::Error, path: &Path) -> StoreError {
    let path = path.display();
    let Some(code) = error.sqlite_error_code() else {
        return StoreError::Internal(format!("{path}: {error}"));
    };
    match code {
        ErrorCode::DiskFull => StoreError::Unavailable(format!(
            "no space left for {path}: nothing was changed; free space and try again ({error})"
        )),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Unavailable(format!(
            "{path} is locked by another process that has been writing for too long ({error})"
        )),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Internal(format!(
            "{path} is damaged or not an SQLite database ({error}): restore it from a backup, or move it away to start anew"
        )),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::Unavailable(format!(
            "{path} cannot be written ({error}): the file and its directory must be writable for this user"
        )),
        ErrorCode::CannotOpen => StoreError::Unavailable(format!(
            "{path} cannot be opened ({error}): its directory must exist and be writable for this user"
        )),
        ErrorCode::SystemIoFailure => StoreError::Unavailable(format!(
            "{path} cannot be read or written: {error} (disk full or faulty?)"
        )),
        ErrorCode::TooBig => StoreError::Internal(format!("a value is too large for {path} ({error})")),
        _ => StoreError::Internal(format!("{path}: {error}")),
    }
}
