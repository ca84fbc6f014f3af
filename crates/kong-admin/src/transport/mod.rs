//! What happens between the socket and the endpoints: rules about paths, content types, bodies and headers
//! (admin-api.md §1 and §2).

mod content_type;
mod cors;
mod decode;
mod respond;
mod serve;
mod target;
mod timed_stream;

pub use cors::Cors;
pub use respond::HeaderOptions;
pub use serve::{ServeOptions, serve};

pub(crate) use content_type::{Media, media_type};
pub(crate) use decode::decode;
pub(crate) use respond::{Finish, respond};
pub(crate) use target::{BadTarget, Target, decode as decode_text};
