//! Who is calling, and may they.

pub mod acl;
mod consumers;
pub mod key_auth;
mod stored;

pub use acl::Acl;
pub use key_auth::KeyAuth;
