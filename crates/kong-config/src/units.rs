//! Sizes (`8k`, `10m`) and times (`60s`, `1h 30m`, `500ms`) as nginx writes them.

use std::time::Duration;

/// Bytes: digits, then nothing, k, m or g.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let factor: u64 = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// A time: numbers each with a unit (ms, s, m, h, d, w, M = 30 days, y), a bare number is seconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let seconds: u64 = match unit {
            "ms" => 0,
            "" | "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            "M" => 30 * 86_400,
            "y" => 365 * 86_400,
            _ => return None,
        };
        let part = match unit {
            "ms" => Duration::from_millis(number),
            _ => Duration::from_secs(number.checked_mul(seconds)?),
        };
        total = total.checked_add(part)?;
        rest = after.trim_start();
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("8k", Some(8192)),
            ("10M", Some(10 << 20)),
            ("1g", Some(1 << 30)),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
        for text in [
            "",
            "k",
            "8kb",
            "-1",
            "1.5m",
            "99999999999999999999",
            "18446744073709551615g",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in [
            ("60", 60_000),
            ("75s", 75_000),
            ("500ms", 500),
            ("1h 30m", 5_400_000),
            ("1d", 86_400_000),
            ("1m30s", 90_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "5x", "-1", "1.5s", "18446744073709551615y"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
