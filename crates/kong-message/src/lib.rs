//! HTTP messages as a gateway sees them: heads that keep the received bytes and take edits, and body sources.
//! Opens no socket and knows neither routes nor plugins.
//!
//! `http::HeaderMap` lower-cases names, loses the order of lines and costs an allocation a header; a gateway mostly
//! forwards what it received. [`HeaderBlock`] therefore keeps the received bytes in one buffer, remembers where each
//! line is, and appends edits to the same buffer, so that an untouched run of lines is written with one copy. Buffers
//! are recycled per thread: in a steady state a head costs no allocation.
//!
//! ```
//! use kong_message::{HeaderBlock, ResponseHead};
//!
//! let mut headers = HeaderBlock::new();
//! headers.append("Content-Type", "text/plain");
//! headers.append("X-Tag", "a");
//! headers.append("x-tag", "b");
//! headers.set("X-TAG", "c\r\nInjected: 1"); // replaces both lines; a line break cannot end the value
//! assert_eq!(headers.get_str("x-tag"), Some("c  Injected: 1"));
//!
//! let mut wire = Vec::new();
//! ResponseHead::with_headers(200, headers).write_status_line(&mut wire);
//! assert_eq!(wire, b"HTTP/1.1 200 OK\r\n");
//! ```

mod body;
mod body_file;
mod connection;
mod convert;
mod header_block;
mod header_line;
mod message;
mod method;
mod recycle;
mod request_head;
mod response_head;
mod target;
mod version;

pub use body::{Body, BodyError, BodyStream};
pub use body_file::FileBody;
pub use connection::{ConnInfo, TlsInfo};
pub use convert::{ConvertError, HttpBody};
pub use header_block::{HeaderBlock, HeaderKey, ReceivedLine};
pub use message::{FinishHook, Request, Response, SendReport};
pub use method::Method;
pub use recycle::Buffer;
pub use request_head::RequestHead;
pub use response_head::{ResponseHead, reason_phrase};
pub use target::Target;
pub use version::Version;
