//! What changes on the way.

mod entry;
mod json_body;
pub mod request_transformer;
pub mod response_transformer;

pub use request_transformer::RequestTransformer;
pub use response_transformer::ResponseTransformer;
