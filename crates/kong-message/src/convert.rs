//! To and from the types of the `http` crate, for tower layers and axum handlers around or inside the pipeline.
//!
//! `http` lower-cases names and refuses some values that the gateway passes, so this is for adapters only, never for
//! the path of an ordinary request.

use crate::{Body, BodyError, BodyStream, HeaderBlock, Method, RequestHead, ResponseHead, Target, Version};
use bytes::Bytes;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Why a head has no counterpart among the other side's types.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The method is no token.
    #[error("the method is not a token")]
    Method,
    /// The target is not a URI that `http` accepts, or neither origin nor absolute form.
    #[error("the request target is not a valid URI")]
    Target,
    /// The status is not in 100–999.
    #[error("the status {0} is not between 100 and 999")]
    Status(u16),
}

impl HeaderBlock {
    /// The lines as a map; lines that `http` does not accept are left out.
    pub fn to_http(&self) -> http::HeaderMap {
        let mut map = http::HeaderMap::with_capacity(self.len());
        for (name, value) in self.iter() {
            if let (Ok(name), Ok(value)) = (http::HeaderName::from_bytes(name), http::HeaderValue::from_bytes(value)) {
                map.append(name, value);
            }
        }
        map
    }

    /// A block of the map's lines.
    pub fn from_http(map: &http::HeaderMap) -> Self {
        map.iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect()
    }
}

impl RequestHead {
    /// The head as `http` parts.
    ///
    /// # Errors
    /// When `http` does not accept the method or the target.
    pub fn to_http(&self) -> Result<http::request::Parts, ConvertError> {
        let mut request = http::Request::new(());
        *request.method_mut() = http::Method::from_bytes(self.method.as_bytes()).map_err(|_| ConvertError::Method)?;
        *request.uri_mut() = http::Uri::try_from(self.target()).map_err(|_| ConvertError::Target)?;
        *request.version_mut() = version_to_http(self.version);
        *request.headers_mut() = self.headers.to_http();
        Ok(request.into_parts().0)
    }

    /// The head of these `http` parts.
    ///
    /// # Errors
    /// For a method with characters other than letters, digits, `-` and `_`, and for `*` and authority-form targets.
    pub fn from_http(parts: &http::request::Parts) -> Result<Self, ConvertError> {
        let method = Method::from_bytes(parts.method.as_str().as_bytes()).ok_or(ConvertError::Method)?;
        let target = Target::parse(parts.uri.to_string().as_bytes()).ok_or(ConvertError::Target)?;
        let version = version_from_http(parts.version);
        Ok(Self::new(
            method,
            target,
            version,
            HeaderBlock::from_http(&parts.headers),
        ))
    }
}

impl ResponseHead {
    /// The head as `http` parts.
    ///
    /// # Errors
    /// When the status is not between 100 and 999.
    pub fn to_http(&self) -> Result<http::response::Parts, ConvertError> {
        let mut response = http::Response::new(());
        *response.status_mut() =
            http::StatusCode::from_u16(self.status).map_err(|_| ConvertError::Status(self.status))?;
        *response.version_mut() = version_to_http(self.version);
        *response.headers_mut() = self.headers.to_http();
        Ok(response.into_parts().0)
    }

    /// The head of these `http` parts.
    pub fn from_http(parts: &http::response::Parts) -> Self {
        let mut head = Self::with_headers(parts.status.as_u16(), HeaderBlock::from_http(&parts.headers));
        head.version = version_from_http(parts.version);
        head
    }
}

fn version_to_http(version: Version) -> http::Version {
    match version {
        Version::Http10 => http::Version::HTTP_10,
        Version::Http11 | Version::Http1x => http::Version::HTTP_11,
        Version::Http2 => http::Version::HTTP_2,
    }
}

fn version_from_http(version: http::Version) -> Version {
    match version {
        http::Version::HTTP_09 | http::Version::HTTP_10 => Version::Http10,
        http::Version::HTTP_2 | http::Version::HTTP_3 => Version::Http2,
        _ => Version::Http11,
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        Poll::Ready(match std::task::ready!(this.poll_chunk(cx)) {
            Some(chunk) => Some(chunk.map(http_body::Frame::data)),
            None => {
                let trailers = this.trailers();
                *this = Self::Empty;
                trailers.map(|trailers| Ok(http_body::Frame::trailers(trailers.to_http())))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.len() {
            Some(len) => http_body::SizeHint::with_exact(len),
            None => http_body::SizeHint::default(),
        }
    }
}

/// An `http_body::Body` as a [`BodyStream`]; see [`Body::from_http`].
pub struct HttpBody<B> {
    inner: Pin<Box<B>>,
    trailers: Option<HeaderBlock>,
}

impl Body {
    /// A body that reads from an `http_body::Body`.
    pub fn from_http<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if body.is_end_stream() {
            return Self::Empty;
        }
        Self::from_stream(HttpBody {
            inner: Box::pin(body),
            trailers: None,
        })
    }
}

impl<B> BodyStream for HttpBody<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let this = self.get_mut();
        loop {
            let frame = match std::task::ready!(this.inner.as_mut().poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(BodyError::Other(error.into())))),
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(Ok(data))),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        this.trailers = Some(HeaderBlock::from_http(&trailers));
                    }
                }
            }
        }
    }

    fn trailers(self: Pin<&mut Self>) -> Option<HeaderBlock> {
        self.get_mut().trailers.take()
    }

    fn size_hint(&self) -> (u64, Option<u64>) {
        let hint = self.inner.size_hint();
        (hint.lower(), hint.upper())
    }
}
