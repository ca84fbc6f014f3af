//! JSON Web Keys (RFC 7517) in `keys.jwk`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use serde_json::{Map, Value};
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

const TEXTS: [&str; 23] = [
    "issuer", "kty", "use", "alg", "kid", "x5u", "x5t", "x5t#S256", "k", "x", "y", "crv", "n", "e", "d", "p", "q",
    "dp", "dq", "qi", "oth", "r", "t",
];
const LISTS: [&str; 2] = ["key_ops", "x5c"];

/// Checks the text of a JWK; `kid` is that of the entity.
pub(crate) fn check(text: &str, kid: &str) -> Result<(), String> {
    let Ok(Value::Object(jwk)) = serde_json::from_str(text) else {
        return Err("could not json decode jwk string".into());
    };
    if jwk.get("kid").and_then(Value::as_str) != Some(kid) {
        return Err("kid in jwk.kid must be equal to keys.kid".into());
    }
    if !loads(&jwk) {
        return Err("could not load JWK, likely not a valid key".into());
    }
    let shape = shape_errors(&jwk);
    if shape.is_empty() {
        Ok(())
    } else {
        Err(format!("Validation error: {}", shape.join("; ")))
    }
}

fn shape_errors(jwk: &Map<String, Value>) -> Vec<String> {
    let mut errors = Vec::new();
    if jwk.get("kid").is_none_or(Value::is_null) {
        errors.push("kid: required field missing".to_owned());
    }
    for (name, value) in jwk.iter().filter(|(_, value)| !value.is_null()) {
        let error = if TEXTS.contains(&name.as_str()) {
            if value.is_string() {
                continue;
            } else {
                "expected a string"
            }
        } else if LISTS.contains(&name.as_str()) {
            let texts = value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
            if texts { continue } else { "expected an array" }
        } else {
            "unknown field"
        };
        errors.push(format!("{name}: {error}"));
    }
    errors.sort();
    errors
}

/// Whether the members make a key.
fn loads(jwk: &Map<String, Value>) -> bool {
    let bytes = |name: &str| {
        let text = jwk.get(name)?.as_str()?;
        URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .ok()
            .filter(|bytes| !bytes.is_empty())
    };
    match jwk.get("kty").and_then(Value::as_str) {
        Some("RSA") => bytes("n").is_some() && bytes("e").is_some(),
        Some("EC") => {
            let (Some(x), Some(y)) = (bytes("x"), bytes("y")) else {
                return false;
            };
            let Some(curve) = jwk.get("crv").and_then(Value::as_str).and_then(Curve::named) else {
                return false;
            };
            x.len() == curve.size && y.len() == curve.size && curve.has_point(&x, &y)
        }
        Some("OKP") => match jwk.get("crv").and_then(Value::as_str) {
            Some("Ed25519" | "X25519") => bytes("x").is_some_and(|x| x.len() == 32),
            Some("Ed448") => bytes("x").is_some_and(|x| x.len() == 57),
            Some("X448") => bytes("x").is_some_and(|x| x.len() == 56),
            _ => false,
        },
        Some("oct") => bytes("k").is_some(),
        _ => false,
    }
}

struct Curve {
    size: usize,
    /// DER of the curve's object identifier.
    oid: &'static [u8],
}

impl Curve {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "P-256" => Self {
                size: 32,
                oid: &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            },
            "P-384" => Self {
                size: 48,
                oid: &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
            },
            "P-521" => Self {
                size: 66,
                oid: &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23],
            },
            _ => return None,
        })
    }

    /// Whether the coordinates are those of a public key in DER.
    fn has_point(&self, x: &[u8], y: &[u8]) -> bool {
        const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
        let algorithm = sequence(&[EC_PUBLIC_KEY, self.oid].concat());
        let point = element(0x03, &[&[0x00, 0x04], x, y].concat());
        let der = SubjectPublicKeyInfoDer::from(sequence(&[algorithm, point].concat()));
        SubjectPublicKeyInfo::from_der(&der).is_ok_and(|(_, info)| info.parsed().is_ok())
    }
}

fn sequence(content: &[u8]) -> Vec<u8> {
    element(0x30, content)
}

/// A DER element of at most 255 bytes.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    #[allow(clippy::cast_possible_truncation, reason = "points of the curves above are shorter")]
    let len = content.len() as u8;
    let head: &[u8] = if len < 0x80 { &[tag, len] } else { &[tag, 0x81, len] };
    [head, content].concat()
}
