//! Paths of format versions 1.1 and 2.1, where regular expressions were not marked (admin-api.md §9.6).

use serde_json::{Map, Value};

/// Characters whose encoded form stays encoded.
const RESERVED: &[u8] = b"!#$%&'()*+,/:;=?@[]";

/// Converts the paths of all routes of a document.
pub(super) fn migrate(document: &mut Map<String, Value>) {
    if let Some(Value::Array(routes)) = document.get_mut("routes") {
        routes.iter_mut().for_each(migrate_route);
    }
    if let Some(Value::Array(services)) = document.get_mut("services") {
        for service in services {
            if let Some(Value::Array(routes)) = service.get_mut("routes") {
                routes.iter_mut().for_each(migrate_route);
            }
        }
    }
}

fn migrate_route(route: &mut Value) {
    if let Some(Value::Array(paths)) = route.get_mut("paths") {
        for path in paths {
            if let Value::String(text) = path {
                *text = migrate_path(text);
            }
        }
    }
}

pub(super) fn migrate_path(path: &str) -> String {
    let is_plain = path
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b".-_~/%".contains(&b));
    if is_plain {
        let decoded = decode(path, false);
        return remove_dots(&decoded);
    }
    format!("~{}", decode(path, true))
}

/// Decodes `%XX` unless it stands for a reserved character.
fn decode(path: &str, escape: bool) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len() + 1);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let triplet = (byte == b'%').then(|| path.get(at + 1..at + 3)).flatten();
        match triplet.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) if RESERVED.contains(&decoded) => {
                out.extend_from_slice(format!("%{decoded:02X}").as_bytes());
                at += 3;
            }
            Some(decoded) => {
                if escape && br".^-{}\|".contains(&decoded) {
                    out.push(b'\\');
                }
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| path.to_owned())
}

/// Removes dot segments and empty segments.
fn remove_dots(path: &str) -> String {
    if !path.contains('.') && !path.contains("//") {
        return path.to_owned();
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_with_slash = path.ends_with('/');
    for segment in path.split('/') {
        ends_with_slash = segment.is_empty() || matches!(segment, "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let mut out = String::from("/");
    out.push_str(&kept.join("/"));
    if ends_with_slash && !kept.is_empty() {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_or_marked() {
        let rows = [
            ("/plain", "/plain"),
            ("/pct%20space", "/pct space"),
            ("/pct%41", "/pctA"),
            ("/a%2fb", "/a%2Fb"),
            ("/users/\\d+", "~/users/\\d+"),
            ("/a b", "~/a b"),
            ("/trailing/", "/trailing/"),
            ("/a/../b", "/b"),
            ("/a//b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/x+%2e", "~/x+\\."),
        ];
        for (path, expected) in rows {
            assert_eq!(migrate_path(path), expected, "{path}");
        }
    }
}
