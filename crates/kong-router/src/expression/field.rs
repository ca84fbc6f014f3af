//! The fields that expressions may name.

use crate::request::canonical_name_byte;

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldType {
    Text,
    Number,
    Address,
}

/// A field, ready to be read from a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    Protocol,
    Sni,
    Method,
    Host,
    Path,
    /// One segment of the path, or a run of them: first and last, from 0 on.
    Segments(usize, usize),
    SegmentCount,
    /// In lower case, with `_` for `-`.
    Header(Box<str>),
    Query(Box<str>),
    SourceAddress,
    SourcePort,
    DestinationAddress,
    DestinationPort,
}

/// The type of the field called `name`; nothing if there is none. Path segments are not looked at closely.
pub(crate) fn type_of(name: &str, http: bool) -> Option<FieldType> {
    match name {
        "net.protocol" | "tls.sni" => Some(FieldType::Text),
        "net.src.ip" | "net.dst.ip" => Some(FieldType::Address),
        "net.src.port" | "net.dst.port" => Some(FieldType::Number),
        _ if !http => None,
        "http.method" | "http.host" | "http.path" => Some(FieldType::Text),
        "http.path.segments.len" => Some(FieldType::Number),
        _ => match name.rsplit_once('.') {
            Some(("http.headers" | "http.queries" | "http.path.segments", _)) => Some(FieldType::Text),
            _ => None,
        },
    }
}

/// Whether a field of path segments is well-formed; true for all others.
pub(crate) fn has_valid_segments(name: &str) -> bool {
    match name.strip_prefix("http.path.segments.") {
        None | Some("len") => true,
        Some(range) => segments(range).is_some(),
    }
}

fn segments(range: &str) -> Option<(usize, usize)> {
    let index = |text: &str| {
        let is_canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
        if is_canonical { text.parse::<usize>().ok() } else { None }
    };
    match range.split_once('_') {
        None => index(range).map(|only| (only, only)),
        Some((first, last)) => Some((index(first)?, index(last)?)).filter(|(first, last)| first < last),
    }
}

impl Field {
    /// The field called `name`.
    pub(crate) fn new(name: &str) -> Option<Self> {
        Some(match name {
            "net.protocol" => Field::Protocol,
            "tls.sni" => Field::Sni,
            "http.method" => Field::Method,
            "http.host" => Field::Host,
            "http.path" => Field::Path,
            "http.path.segments.len" => Field::SegmentCount,
            "net.src.ip" => Field::SourceAddress,
            "net.src.port" => Field::SourcePort,
            "net.dst.ip" => Field::DestinationAddress,
            "net.dst.port" => Field::DestinationPort,
            _ => match name.rsplit_once('.')? {
                ("http.headers", header) => Field::Header(
                    header
                        .bytes()
                        .map(|byte| char::from(canonical_name_byte(byte)))
                        .collect::<String>()
                        .into(),
                ),
                ("http.queries", query) => Field::Query(query.into()),
                ("http.path.segments", range) => {
                    let (first, last) = segments(range)?;
                    Field::Segments(first, last)
                }
                _ => return None,
            },
        })
    }
}
