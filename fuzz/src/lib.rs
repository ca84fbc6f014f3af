//! The functions that are fuzzed. Each takes any bytes and panics if an invariant is broken.

pub mod mutation;

pub use kong_http::fuzzing::{chunked_body, request_head, response_head};

/// A normalised path keeps its leading slash, and an escaped one is printable.
pub fn uri(bytes: &[u8]) {
    let mut path = vec![b'/'];
    path.extend_from_slice(bytes);
    let once = kong_router::uri::normalize(&path);
    assert_eq!(once.first(), Some(&b'/'), "a normalised path begins with a slash");
    let escaped = kong_router::uri::escape(&once);
    assert!(
        escaped.iter().all(|byte| (b'!'..=b'~').contains(byte)),
        "an escaped path is printable"
    );
}
