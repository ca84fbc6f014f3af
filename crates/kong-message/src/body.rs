use crate::{FileBody, HeaderBlock};
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Where the bytes of a message body come from. Belongs to one worker (it is not `Send`).
#[derive(Default)]
pub enum Body {
    /// No bytes.
    #[default]
    Empty,
    /// All bytes in memory.
    Memory(Bytes),
    /// Bytes in a file, e.g. a buffered request body that was too large for memory.
    File(FileBody),
    /// Bytes that arrive while they are read.
    Stream(Pin<Box<dyn BodyStream>>),
}

/// A body that arrives in pieces.
pub trait BodyStream {
    /// The next piece (never empty), `None` at the end. After `None` or an error it is not called again.
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>>;

    /// The trailer lines, once the end was reached and if there were any.
    fn trailers(self: Pin<&mut Self>) -> Option<HeaderBlock> {
        None
    }

    /// Least and greatest number of bytes still to come; both equal when the length is known.
    fn size_hint(&self) -> (u64, Option<u64>) {
        (0, None)
    }
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The peer closed the connection in the middle of the body.
    #[error("the peer closed the connection before the end of the body")]
    Aborted,
    /// The peer sent nothing for too long.
    #[error("no byte of the body arrived in time")]
    Timeout,
    /// The body is longer than allowed.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The framing of the body is broken.
    #[error("malformed body: {0}")]
    Malformed(&'static str),
    /// The transport or the file failed.
    #[error("reading the body failed: {0}")]
    Io(#[from] std::io::Error),
    /// A layer in between failed.
    #[error("{0}")]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Body {
    /// A body of these bytes.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::Empty
        } else {
            Self::Memory(bytes)
        }
    }

    /// A body that arrives in pieces.
    pub fn from_stream(stream: impl BodyStream + 'static) -> Self {
        Self::Stream(Box::pin(stream))
    }

    /// Number of bytes still to be read, where known.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Memory(bytes) => Some(bytes.len() as u64),
            Self::File(file) => Some(file.remaining()),
            Self::Stream(stream) => {
                let (least, most) = stream.size_hint();
                most.filter(|most| *most == least)
            }
        }
    }

    /// Whether it is known that no byte will come.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The same body from its beginning, for another try; `None` for a stream. (A body in memory that was read is
    /// empty: keep the original and send its replay.)
    pub fn replay(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Memory(bytes) => Some(Self::Memory(bytes.clone())),
            Self::File(file) => Some(Self::File(file.replay())),
            Self::Stream(_) => None,
        }
    }

    /// Whether [`replay`](Self::replay) works.
    pub fn is_replayable(&self) -> bool {
        !matches!(self, Self::Stream(_))
    }

    /// The next piece; `None` at the end.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Memory(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then_some(Ok(bytes)))
            }
            Self::File(file) => Poll::Ready(file.read_chunk().transpose().map(|r| r.map_err(BodyError::Io))),
            Self::Stream(stream) => stream.as_mut().poll_chunk(cx),
        }
    }

    /// The next piece; `None` at the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The trailer lines, once the end was reached.
    pub fn trailers(&mut self) -> Option<HeaderBlock> {
        match self {
            Self::Stream(stream) => stream.as_mut().trailers(),
            _ => None,
        }
    }

    /// Reads everything into memory.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] when there are more than `limit` bytes, and what the source reports.
    pub async fn collect(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        let too_large = || BodyError::TooLarge { limit: limit as u64 };
        let Some(first) = self.chunk().await.transpose()? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit {
            return Err(too_large());
        }
        let Some(second) = self.chunk().await.transpose()? else {
            return Ok(first);
        };
        let mut all = BytesMut::from(first.as_ref());
        let mut next = Some(second);
        while let Some(chunk) = next {
            if all.len() + chunk.len() > limit {
                return Err(too_large());
            }
            all.extend_from_slice(&chunk);
            next = self.chunk().await.transpose()?;
        }
        Ok(all.freeze())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::from_bytes(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_bytes(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::from_bytes(text)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::from_bytes(text)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Empty => "Empty",
            Self::Memory(_) => "Memory",
            Self::File(_) => "File",
            Self::Stream(_) => "Stream",
        };
        f.debug_struct(kind).field("len", &self.len()).finish()
    }
}
