//! Who is calling, and may they.

mod consumers;
pub mod key_auth;
mod stored;

pub use key_auth::KeyAuth;
