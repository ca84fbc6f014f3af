//! Goes to the background: fork before any thread exists, a session of its own, and a pipe through which the child
//! tells its parent that it is ready or why it is not.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, bail};
use kong_config::log::Destination;

const READY: u8 = b'R';
const FAILED: u8 = b'E';

/// In which process the caller is now.
pub(crate) enum Side {
    Parent(Child),
    Child(Parent),
}

/// The parent's end.
pub(crate) struct Child {
    process: libc::pid_t,
    pipe: io::PipeReader,
}

/// The child's end.
pub(crate) struct Parent {
    pipe: io::PipeWriter,
}

/// Tells the parent that the node is ready.
pub(crate) struct Notifier {
    pipe: io::PipeWriter,
}

pub(crate) fn fork() -> anyhow::Result<Side> {
    let (reader, writer) = io::pipe().context("cannot make a pipe")?;
    io::stdout().flush().ok(); // what is buffered would be written twice
    // SAFETY: no other thread exists yet (commands start none before this), so the child may do anything.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()).context("cannot fork"),
        0 => {
            drop(reader);
            Ok(Side::Child(Parent { pipe: writer }))
        }
        process => {
            drop(writer);
            Ok(Side::Parent(Child { process, pipe: reader }))
        }
    }
}

/// In the child: leaves the terminal. Standard output and error end where the log goes, so that a panic is kept.
pub(crate) fn detach(log: &Destination) -> io::Result<()> {
    // SAFETY: setsid takes no arguments and only fails for a group leader, which a fresh child is not.
    if unsafe { libc::setsid() } == -1 {
        return Err(io::Error::last_os_error());
    }
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    replace(&null, libc::STDIN_FILENO)?;
    match log {
        Destination::Stderr => {} // asked for by name
        Destination::Nowhere => {
            replace(&null, libc::STDOUT_FILENO)?;
            replace(&null, libc::STDERR_FILENO)?;
        }
        Destination::File(path) => {
            let file = OpenOptions::new().append(true).create(true).open(path)?;
            replace(&file, libc::STDOUT_FILENO)?;
            replace(&file, libc::STDERR_FILENO)?;
        }
    }
    Ok(())
}

fn replace(file: &File, descriptor: libc::c_int) -> io::Result<()> {
    // SAFETY: both descriptors are open; the standard ones belong to nobody else in this process.
    if unsafe { libc::dup2(file.as_raw_fd(), descriptor) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

impl Child {
    /// Returns once the node is ready; its error if it fails before.
    pub(crate) fn wait_until_ready(mut self) -> anyhow::Result<()> {
        let mut kind = [0u8];
        let read = self.pipe.read(&mut kind).context("cannot hear from the node")?;
        match (read, kind[0]) {
            (1, READY) => Ok(()),
            (1, FAILED) => {
                let mut message = String::new();
                self.pipe.read_to_string(&mut message)?;
                bail!(message)
            }
            _ => bail!(
                "the node ended before it was ready ({}): see its error log",
                self.fate()
            ),
        }
    }

    fn fate(&self) -> String {
        let mut status = 0;
        // SAFETY: the pointer is valid for the call; the process is a child of ours.
        if unsafe { libc::waitpid(self.process, &mut status, 0) } != self.process {
            return "its fate is unknown".into();
        }
        match libc::WIFSIGNALED(status) {
            true => format!("signal {}", libc::WTERMSIG(status)),
            false => format!("exit status {}", libc::WEXITSTATUS(status)),
        }
    }
}

impl Parent {
    pub(crate) fn notifier(&self) -> anyhow::Result<Notifier> {
        Ok(Notifier {
            pipe: self.pipe.try_clone().context("cannot copy a descriptor")?,
        })
    }

    /// The parent may be gone, or satisfied already: then nobody is there to be told.
    pub(crate) fn failed(mut self, message: &str) {
        let _ = self.pipe.write_all(&[&[FAILED], message.as_bytes()].concat());
    }
}

impl Notifier {
    pub(crate) fn ready(mut self) {
        let _ = self.pipe.write_all(&[READY]);
    }
}
