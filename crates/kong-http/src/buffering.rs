//! Request bodies that are read whole before the upstream is contacted.

use bytes::{Bytes, BytesMut};
use kong_message::{Body, BodyError, FileBody};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where request bodies are kept while they are read.
#[derive(Clone, Debug)]
pub struct BufferConfig {
    /// Bodies up to this many bytes stay in memory (`client_body_buffer_size`).
    pub memory: usize,
    /// Directory of the temporary files; must be writable.
    pub dir: PathBuf,
}

/// Reads the whole body, so that its length is known and it can be sent again.
///
/// Bodies larger than `memory` go to a temporary file that has no name (or loses it at once), so it is gone with the
/// request whatever happens. Pieces (at most 32 KiB from our own connections) are written synchronously: that is a copy
/// to the page cache, and handing it to another thread would cost more; a disk that cannot keep up slows its worker down.
///
/// # Errors
/// What the body reports, and I/O errors of the temporary file.
pub async fn buffer_body(mut body: Body, config: &BufferConfig) -> Result<Body, BodyError> {
    if body.is_replayable() {
        return Ok(body);
    }
    let Some(mut piece) = body.chunk().await.transpose()? else {
        return Ok(Body::Empty);
    };
    let mut kept = Vec::new();
    let mut size = 0;
    loop {
        size += piece.len();
        if size > config.memory || body.len().is_some_and(|left| left > (config.memory - size) as u64) {
            return spill(kept, piece, body, &config.dir).await;
        }
        kept.push(piece);
        piece = match body.chunk().await.transpose()? {
            Some(piece) => piece,
            None => return Ok(Body::from_bytes(join(kept, size))),
        };
    }
}

/// One piece of memory. Even a single piece is copied, unless it is about as large as the buffer it is part of: it must
/// not keep a receive buffer alive for the time of the request.
fn join(pieces: Vec<Bytes>, size: usize) -> Bytes {
    let mut joined = BytesMut::with_capacity(size);
    for piece in pieces {
        joined.extend_from_slice(&piece);
    }
    joined.freeze()
}

async fn spill(kept: Vec<Bytes>, piece: Bytes, mut body: Body, dir: &Path) -> Result<Body, BodyError> {
    let mut file = nameless_file(dir)?;
    let mut size = 0;
    for piece in kept.into_iter().chain([piece]) {
        file.write_all(&piece)?;
        size += piece.len() as u64;
    }
    while let Some(piece) = body.chunk().await.transpose()? {
        file.write_all(&piece)?;
        size += piece.len() as u64;
    }
    Ok(Body::File(FileBody::new(file, size)))
}

/// A file that is in no directory. Where the file system cannot make one, a named one is made and its name removed.
fn nameless_file(dir: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    #[cfg(target_os = "linux")]
    match options.clone().custom_flags(libc::O_TMPFILE).open(dir) {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EOPNOTSUPP | libc::EISDIR | libc::ENOENT)
            ) => {}
        result => return result,
    }
    named_then_unlinked(dir, options)
}

fn named_then_unlinked(dir: &Path, mut options: OpenOptions) -> io::Result<File> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    options.create_new(true);
    for _ in 0..64 {
        let path = dir.join(format!(
            "body-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        match options.open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            // Left over by a process of the same number that was killed in between.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use kong_message::BodyStream;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    struct Pieces(Vec<Result<Bytes, BodyError>>);

    impl BodyStream for Pieces {
        fn poll_chunk(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
            Poll::Ready((!self.0.is_empty()).then(|| self.0.remove(0)))
        }
    }

    fn body_of(sizes: &[usize]) -> Body {
        let piece = |(index, size): (usize, &usize)| Ok(Bytes::from(vec![b'a' + index as u8; *size]));
        Body::from_stream(Pieces(sizes.iter().enumerate().map(piece).collect()))
    }

    #[tokio::test]
    async fn small_bodies_stay_in_memory_and_large_ones_go_to_a_nameless_file() {
        let dir = tempfile::tempdir().unwrap();
        let config = BufferConfig {
            memory: 10,
            dir: dir.path().to_owned(),
        };
        let rows: &[(&[usize], &str)] = &[
            (&[], "Empty"),
            (&[10], "Memory"),
            (&[4, 6], "Memory"),
            (&[11], "File"),
            (&[4, 6, 1], "File"),
            (&[100_000, 100_000], "File"),
        ];
        for (sizes, kind) in rows {
            let mut buffered = buffer_body(body_of(sizes), &config).await.unwrap();
            assert!(format!("{buffered:?}").starts_with(kind), "{sizes:?}: {buffered:?}");
            let total: usize = sizes.iter().sum();
            assert_eq!(buffered.len(), Some(total as u64));
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
            let mut again = buffered.replay().unwrap();
            let first = buffered.collect(1 << 20).await.unwrap();
            assert_eq!(first, again.collect(1 << 20).await.unwrap());
            assert_eq!(first, body_of(sizes).collect(1 << 20).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_failing_body_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let config = BufferConfig {
            memory: 1,
            dir: dir.path().to_owned(),
        };
        let body = Body::from_stream(Pieces(vec![Ok(Bytes::from_static(b"abc")), Err(BodyError::Aborted)]));
        assert!(matches!(buffer_body(body, &config).await, Err(BodyError::Aborted)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_without_the_nameless_kind_is_unlinked_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let mut file = named_then_unlinked(dir.path(), options).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
