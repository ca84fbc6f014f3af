//! Tokens: where they are, what is in them, who signed them.

use aws_lc_rs::{hmac, signature};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Bytes of a base64url text, padded or not.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL.decode(text).ok()
}

const ALGORITHMS: [&str; 13] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA",
];

/// A token taken apart.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    pub(super) algorithm: String,
    /// What was signed.
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Takes a token apart; `Err` says what is wrong with it.
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        const NO_JSON: &str = "invalid JSON";
        let mut parts = text.splitn(3, '.');
        let (Some(header), Some(claims), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NO_JSON);
        };
        let json = |text: &str| serde_json::from_slice::<Value>(&decode(text)?).ok();
        let (Some(header_value), Some(claims_value)) = (json(header), json(claims)) else {
            return Err(NO_JSON);
        };
        let Value::Object(header_value) = header_value else {
            return Err("invalid alg");
        };
        let algorithm = header_value
            .get("alg")
            .and_then(Value::as_str)
            .filter(|alg| ALGORITHMS.contains(alg));
        let Some(algorithm) = algorithm.map(str::to_owned) else {
            return Err("invalid alg");
        };
        let Value::Object(claims_value) = claims_value else {
            return Err("invalid claims");
        };
        let Some(bytes) = decode(signature) else {
            return Err("invalid signature");
        };
        let signed = text.get(..header.len() + 1 + claims.len()).unwrap_or_default();
        Ok(Token {
            header: header_value,
            claims: claims_value,
            algorithm,
            signed,
            signature: bytes,
        })
    }

    /// Whether the signature is right under this secret.
    pub(super) fn is_signed_with(&self, secret: &[u8]) -> bool {
        let algorithm = match self.algorithm.as_str() {
            "HS256" => hmac::HMAC_SHA256,
            "HS384" => hmac::HMAC_SHA384,
            _ => hmac::HMAC_SHA512,
        };
        hmac::verify(
            &hmac::Key::new(algorithm, secret),
            self.signed.as_bytes(),
            &self.signature,
        )
        .is_ok()
    }

    /// Whether the signature is right under this public key, in DER.
    pub(super) fn is_signed_by(&self, public_key: &[u8]) -> bool {
        // The probabilistic scheme is known for 2048-bit keys only.
        if self.algorithm.starts_with("PS") && self.signature.len() != 256 {
            return false;
        }
        let algorithm: &dyn signature::VerificationAlgorithm = match self.algorithm.as_str() {
            "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
            "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
            "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
            "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
            "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
            "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
            "ES256" => &signature::ECDSA_P256_SHA256_FIXED,
            "ES384" => &signature::ECDSA_P384_SHA384_FIXED,
            "ES512" => &signature::ECDSA_P521_SHA512_FIXED,
            "EdDSA" => &signature::ED25519,
            _ => return false,
        };
        let key = signature::UnparsedPublicKey::new(algorithm, public_key);
        key.verify(self.signed.as_bytes(), &self.signature).is_ok()
    }
}

/// DER of a public key in PEM.
pub(super) fn der(pem: &str) -> Option<Vec<u8>> {
    let body: String = pem
        .lines()
        .filter(|line| !line.trim_start().starts_with("-----"))
        .collect();
    super::super::lenient_base64::decode(body.split_ascii_whitespace().collect::<String>().as_str())
        .filter(|der| !der.is_empty())
}

/// Token in the value of a header.
pub(super) fn bearer(value: &str) -> Option<&str> {
    ["Bearer", "bearer"].into_iter().find_map(|scheme| {
        let rest = value.split_once(scheme)?.1;
        let token = rest.trim_start();
        (token.len() < rest.len() && !token.is_empty()).then(|| token.trim_end())
    })
}
