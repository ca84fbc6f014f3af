//! Who is calling, and may they.

pub mod acl;
pub mod basic_auth;
mod consumers;
pub mod hmac_auth;
pub mod jwt;
pub mod key_auth;
mod lenient_base64;
mod stored;

pub use acl::Acl;
pub use basic_auth::BasicAuth;
pub use hmac_auth::HmacAuth;
pub use jwt::Jwt;
pub use key_auth::KeyAuth;
