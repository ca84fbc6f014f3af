//! Base64 as the original reads it: padding may be missing, and what follows it is not looked at.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of a text; `None`: it has other characters than those of the standard alphabet.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text.split('=').next().unwrap_or_default()).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn padding_does_not_matter() {
        for text in ["YWJjZA==", "YWJjZA", "YWJjZA=", "YWJjZA=AAAA"] {
            assert_eq!(decode(text).as_deref(), Some(&b"abcd"[..]), "{text}");
        }
        assert_eq!(decode("YW_-"), None);
    }
}
