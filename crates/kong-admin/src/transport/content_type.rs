//! The content-type gate of POST, PUT and PATCH: runs before routing, hence before 404 and 405 (admin-api.md §1.5).

use http::{HeaderMap, Method, header};

/// Kinds of body that the Admin API reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// No `Content-Type` and no body, or a method whose body is ignored.
    None,
    /// `application/json…`.
    Json,
    /// `application/x-www-form-urlencoded…`.
    Form,
    /// `multipart/form-data…`.
    Multipart,
    /// `application/yaml` or `text/yaml`, on `/config` only.
    Yaml,
}

/// The kind of body of a request, or `None` for 415. Prefixes are compared case-sensitively, as in the original.
pub(crate) fn media_type(method: &Method, path: &str, headers: &HeaderMap, has_body: bool) -> Option<Media> {
    if !matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        return Some(Media::None);
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return (!has_body).then_some(Media::None);
    };
    let value = value.as_bytes();
    if value.starts_with(b"application/json") {
        Some(Media::Json)
    } else if value.starts_with(b"application/x-www-form-urlencoded") {
        Some(Media::Form)
    } else if value.starts_with(b"multipart/form-data") {
        Some(Media::Multipart)
    } else if path == "/config" && (value.starts_with(b"application/yaml") || value.starts_with(b"text/yaml")) {
        Some(Media::Yaml)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn bodies_are_accepted_by_the_prefix_of_their_type() {
        for (method, path, content_type, has_body, want) in [
            ("GET", "/services", Some("text/plain"), true, Some(Media::None)),
            ("DELETE", "/services", Some("text/plain"), true, Some(Media::None)),
            ("POST", "/services", None, false, Some(Media::None)),
            ("POST", "/services", None, true, None),
            ("POST", "/services", Some("application/json"), true, Some(Media::Json)),
            (
                "POST",
                "/services",
                Some("application/json-patch+json"),
                true,
                Some(Media::Json),
            ),
            ("POST", "/services", Some("APPLICATION/JSON"), true, None),
            (
                "PUT",
                "/services",
                Some("multipart/form-data; boundary=x"),
                true,
                Some(Media::Multipart),
            ),
            (
                "PATCH",
                "/x",
                Some("application/x-www-form-urlencoded"),
                false,
                Some(Media::Form),
            ),
            ("POST", "/config", Some("text/yaml"), true, Some(Media::Yaml)),
            ("POST", "/config/", Some("text/yaml"), true, None),
            ("POST", "/services", Some("application/yaml"), true, None),
            ("POST", "/services", Some("text/plain"), false, None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = content_type {
                headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            }
            let method = method.parse().unwrap();
            assert_eq!(
                media_type(&method, path, &headers, has_body),
                want,
                "{method} {path} {content_type:?}"
            );
        }
    }
}
