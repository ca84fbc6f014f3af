//! HTTP/1 syntax: heads, chunked bodies, dates. Pure: bytes in, values out; nothing here can panic on any input.

mod chunked;
mod date;
mod head_line;
mod host;
mod path;
mod request;
mod response;

pub(crate) use chunked::{ChunkedDecoder, ChunkedStep};
pub(crate) use date::with_date;
pub(crate) use request::{Framing, Limits, Parsed, RequestParser};
pub(crate) use response::{ResponseFraming, ResponseParser};
