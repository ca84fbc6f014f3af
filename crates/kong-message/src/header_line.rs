//! One header line: where its name and value are in the block's buffer, and a hash of the lower-case name.

/// Offsets into the block's buffer. `u32` is ample: heads are limited to kilobytes, and an edit that would pass the
/// limit is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) hash: u32,
    pub(crate) name_at: u32,
    pub(crate) name_len: u32,
    pub(crate) value_at: u32,
    pub(crate) value_len: u32,
    /// The bytes at `name_at` are exactly `Name: value\r\n`, so that they can be sent as they are.
    pub(crate) canonical: bool,
}

impl Line {
    pub(crate) fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        slice(bytes, self.name_at, self.name_len)
    }

    pub(crate) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        slice(bytes, self.value_at, self.value_len)
    }

    /// First byte after the line, for a canonical one.
    pub(crate) fn end(&self) -> u32 {
        self.value_at + self.value_len + 2
    }

    #[inline]
    pub(crate) fn is_named(&self, bytes: &[u8], hash: u32, name: &[u8]) -> bool {
        self.hash == hash && self.name(bytes).eq_ignore_ascii_case(name)
    }
}

#[inline]
fn slice(bytes: &[u8], at: u32, len: u32) -> &[u8] {
    bytes.get(at as usize..at as usize + len as usize).unwrap_or_default()
}

/// Hash of a name without regard to case: its length and its first and last eight bytes. Names that share these
/// (rare) are told apart by comparison; it need not withstand an attacker, since blocks are scanned line by line.
#[inline]
pub(crate) const fn name_hash(name: &[u8]) -> u32 {
    let len = name.len();
    let (first, last) = if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64)
    } else {
        let (mut word, mut rest) = (0u64, name);
        while let [byte, tail @ ..] = rest {
            word = word << 8 | *byte as u64;
            rest = tail;
        }
        (word, 0)
    };
    const LOWER: u64 = 0x2020_2020_2020_2020;
    let mixed = (first | LOWER).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (last | LOWER).rotate_left(29) ^ (len as u64);
    (mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32) as u32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::name_hash;

    #[test]
    fn case_does_not_change_the_hash() {
        for name in [
            "a",
            "te",
            "via",
            "Host",
            "Accept",
            "Connection",
            "X-Forwarded-Prefix",
            "",
        ] {
            assert_eq!(
                name_hash(name.as_bytes()),
                name_hash(name.to_ascii_uppercase().as_bytes())
            );
            assert_eq!(
                name_hash(name.as_bytes()),
                name_hash(name.to_ascii_lowercase().as_bytes())
            );
        }
    }
}
