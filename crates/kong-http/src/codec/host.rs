//! Which `Host` values are refused.

/// Whether a request with this host is served: it must not be empty (before the port, without a trailing dot) and must
/// not contain `/`, white space, control bytes or two dots in a row. Everything else passes and simply matches no route.
pub(crate) fn is_acceptable_host(host: &[u8]) -> bool {
    enum State {
        Name,
        Literal,
        Rest,
    }
    let mut state = State::Name;
    let mut name_end = host.len();
    let mut previous = 0;
    for (at, byte) in host.iter().enumerate() {
        match (*byte, &state) {
            (b'.', _) if previous == b'.' => return false,
            (b'/', _) | (0..=b' ' | 0x7f, _) => return false,
            (b'[', _) if at == 0 => state = State::Literal,
            (b']', State::Literal) => {
                name_end = at + 1;
                state = State::Rest;
            }
            (b':', State::Name) => {
                name_end = at;
                state = State::Rest;
            }
            _ => {}
        }
        previous = *byte;
    }
    match host.get(..name_end) {
        Some([]) | Some(b".") | None => false,
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::is_acceptable_host;

    #[test]
    fn hosts_are_judged_as_the_reference_says() {
        for host in [
            "a", "a_b", "-a-", "a.", "a:", "a:b", "[::1", "[::1]:80", "user@a", "a,b", "a;b", "a%41", ".a", "\u{fc}",
        ] {
            assert!(is_acceptable_host(host.as_bytes()), "{host:?}");
        }
        for host in [
            "", ".", "..", "a..b", "a/b", "a b", "a\tb", "a\x01", ":80", ".:80", "a\x7f",
        ] {
            assert!(!is_acceptable_host(host.as_bytes()), "{host:?}");
        }
    }
}
