//! What the fuzz targets of `fuzz/` call. Not part of the interface.
//!
//! Each function panics when an invariant is broken: above all, a message must read the same however its bytes are cut.

use crate::codec::{ChunkedDecoder, ChunkedStep, Limits, Parsed, RequestParser, ResponseParser};
use kong_message::{Buffer, HeaderBlock};

/// Where the input is cut in two: it comes from the input itself, so that a finding can be replayed.
fn cut(bytes: &[u8]) -> usize {
    let sum = bytes.iter().fold(0usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    sum % (bytes.len() + 1)
}

/// Parses a request head whole and cut in two; what is accepted must survive being written and read again.
pub fn request_head(bytes: &[u8]) {
    let limits = Limits {
        max_line: 512,
        max_head: 2048,
    };
    let mut whole = RequestParser::new();
    let parsed = whole.parse(bytes, limits);
    let mut pieces = RequestParser::new();
    let first = bytes.get(..cut(bytes)).unwrap_or_default();
    let parsed_pieces = match pieces.parse(first, limits) {
        Parsed::Partial => pieces.parse(bytes, limits),
        other => other,
    };
    assert_eq!(parsed, parsed_pieces, "a head reads differently in pieces");
    let Parsed::Complete(len) = parsed else { return };
    assert!(len <= bytes.len() && len <= limits.max_head);
    assert_eq!(whole.framing(), pieces.framing());
    let line = whole.take_line();
    let (framing, keep_alive) = (
        whole.framing(),
        line.as_ref().map(|line| whole.keep_alive(line.version)),
    );
    let headers = received(std::mem::take(&mut whole.headers), bytes, len);
    let Some(line) = line else { return };
    let mut written = Vec::new();
    written.extend_from_slice(line.method.as_bytes());
    written.push(b' ');
    written.extend_from_slice(line.target.as_bytes());
    written.extend_from_slice(if line.version == kong_message::Version::Http10 {
        b" HTTP/1.0\r\n"
    } else {
        b" HTTP/1.1\r\n"
    });
    headers.write_to(&mut written);
    written.extend_from_slice(b"\r\n");
    let mut again = RequestParser::new();
    let roomy = Limits {
        max_line: 4096,
        max_head: 16 * 1024,
    };
    assert_eq!(
        again.parse(&written, roomy),
        Parsed::Complete(written.len()),
        "what was accepted is refused when canonical"
    );
    assert_eq!(
        (again.framing(), Some(again.keep_alive(line.version))),
        (framing, keep_alive)
    );
    let headers_again = received(std::mem::take(&mut again.headers), &written, written.len());
    assert!(
        headers.iter().eq(headers_again.iter()),
        "header lines change when written"
    );
}

/// Parses a response head whole and cut in two.
pub fn response_head(bytes: &[u8]) {
    let mut whole = ResponseParser::new();
    let parsed = whole.parse(bytes);
    let mut pieces = ResponseParser::new();
    let first = bytes.get(..cut(bytes)).unwrap_or_default();
    let parsed_pieces = match pieces.parse(first) {
        Ok(None) => pieces.parse(bytes),
        other => other,
    };
    assert_eq!(parsed.ok(), parsed_pieces.ok(), "a head reads differently in pieces");
    if let Ok(Some(len)) = parsed {
        assert!(len <= bytes.len());
        assert_eq!(whole.framing(false), pieces.framing(false));
        assert!((100..=999).contains(&whole.status));
        received(std::mem::take(&mut whole.headers), bytes, len).write_to(&mut Vec::new());
    }
}

/// Decodes a chunked body whole and cut in two.
pub fn chunked_body(bytes: &[u8]) {
    let at = cut(bytes);
    let whole = decode(&[bytes]);
    let pieces = decode(&[bytes.get(..at).unwrap_or_default(), bytes.get(at..).unwrap_or_default()]);
    assert_eq!(whole, pieces, "a body reads differently in pieces");
    assert!(whole.0.len() <= bytes.len());
}

/// The data, whether the end was found (`None`: the framing is broken), and how many bytes the body took.
fn decode(pieces: &[&[u8]]) -> (Vec<u8>, Option<bool>, usize) {
    let mut decoder = ChunkedDecoder::default();
    let (mut data, mut taken) = (Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match decoder.step(rest) {
                ChunkedStep::NeedMore => break,
                ChunkedStep::Data { skip, len } => {
                    assert!(len > 0 && skip + len <= rest.len());
                    data.extend_from_slice(rest.get(skip..skip + len).unwrap_or_default());
                    taken += skip + len;
                    rest = rest.get(skip + len..).unwrap_or_default();
                }
                ChunkedStep::Done { skip } => return (data, Some(true), taken + skip),
                // How far a broken body was read depends on the pieces and on nothing that matters.
                ChunkedStep::Invalid => return (data, None, 0),
            }
        }
        taken += rest.len();
    }
    (data, Some(false), taken)
}

fn received(mut headers: HeaderBlock, bytes: &[u8], len: usize) -> HeaderBlock {
    headers.set_received(Buffer::copy_of(bytes.get(..len).unwrap_or_default()));
    headers
}
