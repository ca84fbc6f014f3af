//! Numbers as header values, without formatting machinery for the common ones.

use std::sync::LazyLock;

use bytes::Bytes;

const KNOWN: u32 = 10_000;

/// The decimal digits of 0 … 9,999 one after the other, made once.
static DIGITS: LazyLock<(&'static [u8], Vec<u32>)> = LazyLock::new(|| {
    let mut text = String::new();
    let mut starts = Vec::with_capacity(KNOWN as usize + 1);
    for number in 0..KNOWN {
        starts.push(text.len() as u32);
        text.push_str(&number.to_string());
    }
    starts.push(text.len() as u32);
    (text.leak().as_bytes(), starts)
});

/// A whole number; one below 10,000 costs no allocation.
pub(super) fn whole(number: u64) -> Bytes {
    if number < u64::from(KNOWN) {
        let (digits, starts) = &*DIGITS;
        let index = number as usize;
        if let (Some(from), Some(to)) = (starts.get(index), starts.get(index + 1))
            && let Some(text) = digits.get(*from as usize..*to as usize)
        {
            return Bytes::from_static(text);
        }
    }
    Bytes::from(number.to_string())
}

/// A number, without decimals when it is whole.
pub(super) fn any(number: f64) -> Bytes {
    if number >= 0.0 && number.fract() == 0.0 && number < u64::MAX as f64 {
        whole(number as u64)
    } else {
        Bytes::from(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_no_decimals() {
        for (number, text) in [
            (0.0, "0"),
            (9.0, "9"),
            (9_999.0, "9999"),
            (10_000.0, "10000"),
            (2.5, "2.5"),
        ] {
            assert_eq!(any(number), text);
        }
        assert!((0..20_000).all(|n| whole(n) == n.to_string()));
    }
}
