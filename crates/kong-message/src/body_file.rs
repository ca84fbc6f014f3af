use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Largest piece read at once: what the page cache hands over in well under a millisecond.
const CHUNK: u64 = 64 * 1024;

/// A body in a file, normally an unlinked temporary one that vanishes with the last clone.
///
/// Reads are synchronous, at most 64 KiB each: the file was written moments ago and is in the page cache, and handing
/// such a read to another thread would cost more than the read.
#[derive(Clone, Debug)]
pub struct FileBody {
    file: Arc<File>,
    len: u64,
    at: u64,
}

impl FileBody {
    /// A body of the first `len` bytes of `file`.
    pub fn new(file: File, len: u64) -> Self {
        Self {
            file: Arc::new(file),
            len,
            at: 0,
        }
    }

    /// Length of the whole body.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the whole body is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> u64 {
        self.len.saturating_sub(self.at)
    }

    /// The body from its beginning.
    pub fn replay(&self) -> Self {
        Self {
            file: Arc::clone(&self.file),
            len: self.len,
            at: 0,
        }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// What the file system reports, and `UnexpectedEof` for a file that was cut.
    pub fn read_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let size = self.remaining().min(CHUNK) as usize;
        if size == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; size];
        self.file.read_exact_at(&mut chunk, self.at)?;
        self.at += size as u64;
        Ok(Some(Bytes::from(chunk)))
    }
}
