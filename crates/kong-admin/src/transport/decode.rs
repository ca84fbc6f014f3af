//! Bodies into input (admin-api.md §2).

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::Value;

use super::Media;
use super::target::{MAX_ARGUMENTS, parse_pairs};
use crate::message::Input;

/// Why a body is refused: 400 with this message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// Not a JSON object.
    Json,
    /// More than 1000 form fields.
    TooManyArguments,
}

impl DecodeError {
    /// Message of the answer.
    pub(crate) fn message(&self) -> &'static str {
        match self {
            DecodeError::Json => "Cannot parse JSON body",
            DecodeError::TooManyArguments => "Too many arguments",
        }
    }
}

/// Decodes a body that passed the content-type gate.
pub(crate) async fn decode(media: Media, headers: &HeaderMap, body: Bytes) -> Result<Input, DecodeError> {
    match media {
        Media::None => Ok(Input::None),
        Media::Json => json(&body),
        Media::Form => {
            let pairs = parse_pairs(&body).ok_or(DecodeError::TooManyArguments)?;
            let text = |v: Option<Vec<u8>>| String::from_utf8_lossy(&v.unwrap_or_default()).into_owned();
            Ok(Input::Form(
                pairs.into_iter().map(|p| (p.name, text(p.value))).collect(),
            ))
        }
        Media::Multipart => multipart(headers, body).await,
        Media::Yaml => Ok(Input::Text(body)),
    }
}

/// An object; the original's empty table makes `[]` one too.
fn json(body: &[u8]) -> Result<Input, DecodeError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(Input::Json(object)),
        Ok(Value::Array(items)) if items.is_empty() => Ok(Input::Json(serde_json::Map::new())),
        _ => Err(DecodeError::Json),
    }
}

/// Fields of a multipart body; of repeated names the last one wins. A body cut short yields the fields that are whole.
async fn multipart(headers: &HeaderMap, body: Bytes) -> Result<Input, DecodeError> {
    let boundary = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| multer::parse_boundary(v).ok());
    let Some(boundary) = boundary.filter(|_| !body.is_empty()) else {
        return Ok(Input::Form(Vec::new()));
    };
    let stream = futures_util::stream::once(async move { Ok::<_, Infallible>(body) });
    let mut parts = multer::Multipart::new(stream, boundary);
    let mut fields: Vec<(String, String)> = Vec::new();
    while let Ok(Some(field)) = parts.next_field().await {
        let Some(name) = field.name().map(str::to_owned) else {
            continue;
        };
        let Ok(content) = field.bytes().await else { break };
        let content = String::from_utf8_lossy(&content).into_owned();
        match fields.iter().position(|(n, _)| *n == name) {
            Some(at) => fields[at].1 = content,
            None if fields.len() == MAX_ARGUMENTS => return Err(DecodeError::TooManyArguments),
            None => fields.push((name, content)),
        }
    }
    Ok(Input::Form(fields))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    async fn decoded(media: Media, content_type: &str, body: &str) -> Result<Input, DecodeError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        decode(media, &headers, Bytes::copy_from_slice(body.as_bytes())).await
    }

    #[tokio::test]
    async fn json_input_is_an_object() {
        for (body, ok) in [
            ("{}", true),
            ("[]", true),
            ("[1]", false),
            ("null", false),
            ("7", false),
            ("", false),
            ("{", false),
            ("{\"a\":1}x", false),
        ] {
            assert_eq!(
                decoded(Media::Json, "application/json", body).await.is_ok(),
                ok,
                "{body}"
            );
        }
    }

    #[tokio::test]
    async fn nesting_without_end_is_refused_and_does_not_overflow_the_stack() {
        let deep = "{\"a\":".repeat(100_000);
        assert_eq!(
            decoded(Media::Json, "application/json", &deep).await,
            Err(DecodeError::Json)
        );
    }

    #[tokio::test]
    async fn the_last_part_of_a_name_wins() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"h\"\r\n\r\n1\r\n\
                    --b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\nContent-Type: text/plain\r\n\r\nfile\r\n\
                    --b\r\nContent-Disposition: form-data; name=\"h\"\r\n\r\n2\r\n--b--\r\n";
        let got = decoded(Media::Multipart, "multipart/form-data; boundary=b", body).await;
        let want = [("h", "2"), ("f", "file")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(got, Ok(Input::Form(want.to_vec())));
    }

    #[tokio::test]
    async fn an_empty_multipart_body_is_empty_input() {
        for body in ["", "--b--\r\n"] {
            let got = decoded(Media::Multipart, "multipart/form-data; boundary=b", body).await;
            assert_eq!(got, Ok(Input::Form(Vec::new())));
        }
    }
}
