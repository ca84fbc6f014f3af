//! The prefix: which directory it is, what lies in it, and who runs in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The working directory of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// Absolute.
    pub path: PathBuf,
    /// Why it is not the usual one, if it was neither set nor is the usual one.
    pub fallback: Option<String>,
}

impl Prefix {
    /// The prefix that was set, or the first default that this user may write to.
    pub(crate) fn choose(set: Option<&str>, usual: &Path, home: Option<&str>, state_home: Option<&str>) -> Self {
        if let Some(set) = set {
            return Self {
                path: absolute(Path::new(set)),
                fallback: None,
            };
        }
        if may_write(usual) {
            return Self {
                path: absolute(usual),
                fallback: None,
            };
        }
        let below_state = state_home
            .filter(|path| path.starts_with('/'))
            .map(|path| Path::new(path).join("kong"));
        let below_home = home
            .filter(|path| path.starts_with('/'))
            .map(|path| Path::new(path).join(".local/state/kong"));
        let candidates = below_state.into_iter().chain(below_home);
        let path = candidates
            .into_iter()
            .find(|path| may_write(path))
            .unwrap_or_else(|| absolute(Path::new(".kong")));
        let fallback = format!(
            "prefix is not set and {} is not writable for this user",
            usual.display()
        );
        Self {
            path,
            fallback: Some(fallback),
        }
    }

    /// Creates the directories of the layout.
    pub fn create(&self) -> io::Result<()> {
        for directory in ["", "pids", "logs", "ssl"] {
            let path = self.path.join(directory);
            // Logs may be for a group to read, keys are not.
            let mode = if directory == "ssl" { 0o700 } else { 0o755 };
            fs::DirBuilder::new()
                .recursive(true)
                .mode(mode)
                .create(&path)
                .map_err(|error| {
                    io::Error::new(
                        error.kind(),
                        format!("cannot create directory {}: {error}", path.display()),
                    )
                })?;
        }
        Ok(())
    }

    /// `pids/nginx.pid`: the path that scripts know.
    pub fn pid_file(&self) -> PathBuf {
        self.path.join("pids/nginx.pid")
    }

    /// `.kong_env`: the configuration of the node that runs here.
    pub fn env_file(&self) -> PathBuf {
        self.path.join(".kong_env")
    }

    /// A path as the configuration gives it: relative ones lie below the prefix.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path.join(path)
    }

    /// The node that runs in this prefix, if one does.
    ///
    /// The running node holds a lock on its pid file, so that neither a file left behind by a crash nor a reused
    /// process id is taken for a node.
    pub fn running(&self) -> io::Result<Option<u32>> {
        let mut file = match File::open(self.pid_file()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                (&mut file).take(32).read_to_string(&mut text)?;
                Ok(text.trim().parse().ok())
            }
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Claims the prefix for this process; none if a node runs here already.
    pub fn claim(&self) -> io::Result<Option<PidFile>> {
        let path = self.pid_file();
        // A `kong health` that looks at the lock holds it for an instant; a node that ends removes the file that we
        // may just have opened. Neither is a running node, so look again.
        for attempt in 0..5 {
            if attempt > 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .open(&path)?;
            match file.try_lock() {
                Ok(()) if is_still_at(&file, &path) => return Ok(Some(PidFile { path, file })),
                Ok(()) | Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }
}

fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(found)) => (open.dev(), open.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

/// The claim on a prefix. It lasts as long as the value, also across a fork; dropping it removes the file.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Writes the id of the calling process: after a fork the child does this.
    pub fn write(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{}", std::process::id())
    }

    /// Forgets the claim without removing the file: after a fork the parent does this, the child keeps it.
    pub fn leave_to_child(self) {
        std::mem::forget(self);
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // `/usr/local/kong/` and `/usr/local/kong` are one prefix.
    path.components().collect()
}

/// Whether the directory is writable, or can be created below a writable one. Changes nothing.
fn may_write(path: &Path) -> bool {
    let existing = path.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok());
    existing.is_some_and(|directory| directory.is_dir() && access(directory))
}

fn access(directory: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let Ok(path) = std::ffi::CString::new(directory.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: the path is a NUL-terminated string that outlives the call.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::W_OK | libc::X_OK, libc::AT_EACCESS) == 0 }
}
