//! Which paths are refused before routing.

/// Whether a request for this raw path is served: every `%` begins an escape of two hex digits, none of them is
/// `%00`, and `..` segments (written out or escaped, with slashes written out or escaped) never climb above the root.
pub(crate) fn is_acceptable_path(path: &[u8]) -> bool {
    // What the current segment is so far.
    enum Segment {
        Empty,
        Dot,
        DotDot,
        Name,
    }
    let mut segment = Segment::Empty;
    let mut depth = 0usize;
    let mut rest = path.iter();
    while let Some(&byte) = rest.next() {
        let byte = match byte {
            b'#' => break,
            b'%' => {
                let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return false;
                };
                let byte = (high * 16 + low) as u8;
                if byte == 0 {
                    return false;
                }
                byte
            }
            byte => byte,
        };
        segment = match (byte, segment) {
            (b'/', Segment::DotDot) if depth == 0 => return false,
            (b'/', segment) => {
                match segment {
                    Segment::DotDot => depth -= 1,
                    Segment::Name => depth += 1,
                    Segment::Empty | Segment::Dot => {}
                }
                Segment::Empty
            }
            (b'.', Segment::Empty) => Segment::Dot,
            (b'.', Segment::Dot) => Segment::DotDot,
            // An escaped `%`, `#` or `?` is text, whatever it would mean written out.
            _ => Segment::Name,
        };
    }
    !(depth == 0 && matches!(segment, Segment::DotDot))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::is_acceptable_path;

    #[test]
    fn paths_are_judged_as_the_reference_says() {
        let good = [
            "/",
            "",
            "/a",
            "/a/..",
            "/a/../",
            "/a/./b",
            "/.",
            "/./",
            "/...",
            "/a..",
            "/..a",
            "/%2e",
            "/a%20b",
            "/a/%2e%2E/b",
            "/a%2f..",
            "/a%25",
            "/a%23/..",
            "/%3f/..",
            "//a/..",
            "/a/b/../..",
            "/a#/../..",
        ];
        for path in good {
            assert!(is_acceptable_path(path.as_bytes()), "{path}");
        }
        let bad = [
            "/..",
            "/../",
            "/a/../..",
            "/a/../../b",
            "/%2e%2e/b",
            "/..%2fb",
            "/.%2e",
            "/./..",
            "//..",
            "/a%",
            "/a%2",
            "/a%zz",
            "/%%41",
            "/a%00b",
            "/%0",
            "/a//../../..",
        ];
        for path in bad {
            assert!(!is_acceptable_path(path.as_bytes()), "{path}");
        }
    }
}
