//! Paths of routes: prefixes in normal form, or regular expressions.

use std::borrow::Cow;

use kong_schema::{regex, types};
use serde_json::Value;

/// Checks an element of `paths` that begins as it should and has no empty segment.
pub(crate) fn check(value: &Value) -> Result<(), Value> {
    let text = value.as_str().unwrap_or_default();
    // With other characters the text is a regular expression, or never meant as a URL.
    if text.bytes().all(types::is_path_byte) {
        types::check_percent_encoding(text)?;
    }
    let Some(pattern) = text.strip_prefix('~') else {
        let normal = normalise(text);
        if normal != text {
            return Err(format!("non-normalized path, consider use '{normal}' instead").into());
        }
        return Ok(());
    };
    regex::compile(pattern).map_err(|error| {
        let rest = pattern.get(error.offset..).filter(|rest| !rest.is_empty());
        let place = rest.map(|rest| format!(" at \"{rest}\"")).unwrap_or_default();
        let text = format!("pcre2_compile() failed: {} in \"{pattern}\"{place}", error.reason);
        format!("invalid regex: '{pattern}' (PCRE returned: {text})").into()
    })
}

/// Characters whose escapes keep their meaning only as escapes.
const RESERVED: &[u8] = b"!*'();:@&=+$,/?%#[]";

/// The form in which a request's path is matched: unreserved escapes decoded, the others in upper case, dot segments
/// and repeated slashes removed.
pub(crate) fn normalise(path: &str) -> Cow<'_, str> {
    let is_normal = !path.contains('%') && !path.contains("//") && !path.split('/').any(|s| s == "." || s == "..");
    if is_normal {
        return Cow::Borrowed(path);
    }
    let decoded = decode(path.as_bytes());
    let mut out: Vec<u8> = Vec::with_capacity(decoded.len());
    let segments: Vec<&[u8]> = decoded.split(|b| *b == b'/').collect();
    let last = segments.len() - 1;
    for (i, segment) in segments.iter().enumerate().skip(1) {
        match *segment {
            // A path that ends in a slash or a dot segment names a directory.
            b"" | b"." if i == last => out.push(b'/'),
            b"" | b"." => {}
            b".." => {
                let parent = out.iter().rposition(|b| *b == b'/').unwrap_or(0);
                out.truncate(parent);
                if i == last {
                    out.push(b'/');
                }
            }
            segment => {
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn decode(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        let escape = path.get(at + 1..at + 3).filter(|_| path[at] == b'%');
        let byte = escape
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|d| !d.starts_with('+'));
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if RESERVED.contains(&byte) => {
                out.push(b'%');
                out.extend(path[at + 1..at + 3].to_ascii_uppercase());
                at += 3;
            }
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(path[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised() {
        let rows = [
            ("/", "/"),
            ("/a b", "/a b"),
            ("/%41", "/A"),
            ("/a/../b", "/b"),
            ("/a/./b", "/a/b"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/", "/a/"),
            ("/../a", "/a"),
            ("/a%20b", "/a b"),
            ("/a%2fb", "/a%2Fb"),
            ("/%7euser", "/~user"),
            ("/%25", "/%25"),
            ("/a%", "/a%"),
            ("/%2e%2E/a", "/a"),
            ("/a//b", "/a/b"),
            ("/é", "/é"),
        ];
        for (path, normal) in rows {
            assert_eq!(normalise(path), normal, "{path}");
        }
    }

    #[test]
    fn regular_expressions_are_compiled_as_in_the_original() {
        let error = |path: &str| check(&path.into()).map_err(|e| e.as_str().map(str::to_owned));
        assert_eq!(
            error("~/("),
            Err(Some(
                "invalid regex: '/(' (PCRE returned: pcre2_compile() failed: missing closing parenthesis in \"/(\")"
                    .into()
            ))
        );
        assert_eq!(error("~/(?=a)b"), Ok(()));
        assert_eq!(error("~/(?<id>\\d+)$"), Ok(()));
    }
}
