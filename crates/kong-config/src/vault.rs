//! References of the form `{vault://env/…}` in configuration values.
//!
//! Only the `env` vault works here: vault entities live in the datastore, which is opened later.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// Whether the text is a reference.
pub fn is_reference(text: &str) -> bool {
    text.starts_with("{vault://") && text.ends_with('}')
}

/// The parts of a reference.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'a> {
    vault: &'a str,
    resource: String,
    key: Option<String>,
    options: BTreeMap<String, String>,
    version: Option<u32>,
}

/// Looks a reference up in the environment. `prefix` is the vault's configured prefix.
pub fn dereference(
    reference: &str,
    environment: &BTreeMap<String, String>,
    prefix: Option<&str>,
) -> Result<String, String> {
    let parsed = parse(reference)?;
    if parsed.vault != "env" {
        return Err(format!("could not find vault ({})", parsed.vault));
    }
    let prefix = parsed
        .options
        .get("prefix")
        .map(String::as_str)
        .or(prefix)
        .unwrap_or_default();
    let mut name = format!("{prefix}{}", parsed.resource).replace('-', "_").to_uppercase();
    if parsed.version == Some(2) {
        name.push_str("_PREVIOUS");
    }
    let value = environment
        .get(&name)
        .ok_or_else(|| "could not get value from external vault (no value found)".to_owned())?;
    match parsed.key {
        None => Ok(value.clone()),
        Some(key) => subfield(value, &key).map_err(|reason| format!("could not get subfield value: {reason}")),
    }
}

fn subfield(value: &str, key: &str) -> Result<String, String> {
    let secret: BTreeMap<String, String> =
        serde_json::from_str(value).map_err(|error| format!("unable to json decode value ({error})"))?;
    secret
        .get(key)
        .cloned()
        .ok_or_else(|| format!("subfield {key} not found in JSON secret"))
}

fn parse(reference: &str) -> Result<Reference<'_>, String> {
    let fail = |what: &str| format!("{what} [{reference}]");
    let inner = reference
        .strip_prefix("{vault://")
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or_else(|| fail("not a reference"))?;
    let (inner, version) = match inner.split_once('#') {
        Some((inner, version)) => (
            inner,
            Some(version.parse().map_err(|_| fail("reference url has invalid version"))?),
        ),
        None => (inner, None),
    };
    let (inner, query) = inner.split_once('?').unwrap_or((inner, ""));
    let (vault, path) = inner
        .split_once('/')
        .ok_or_else(|| fail("reference url is missing path"))?;
    if path.is_empty() || path == "/" {
        return Err(fail("reference url has empty path"));
    }
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    // A trailing slash makes the whole path the resource; otherwise the last of several parts is the key.
    let (resource, key) = match path.strip_suffix('/') {
        Some(resource) => (decode(resource), None),
        None => match path.rsplit_once('/') {
            Some((resource, key)) => (decode(resource), Some(decode(key))),
            None => (decode(path), None),
        },
    };
    let options = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(k, v)| (decode(k), decode(v)));
    Ok(Reference {
        vault,
        resource,
        key,
        options: options.collect(),
        version,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn environment() -> BTreeMap<String, String> {
        [
            ("PG_PASS", "s3cret"),
            ("PG_PASS_PREVIOUS", "old"),
            ("DB", r#"{"user":"kong","pass":"p"}"#),
            ("MY_DB", "prefixed"),
            ("NUMBERS", r#"{"a":1}"#),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
    }

    #[test]
    fn references_are_looked_up_in_the_environment() {
        let rows = [
            ("{vault://env/pg-pass}", Ok("s3cret")),
            ("{vault://env/PG_PASS}", Ok("s3cret")),
            ("{vault://env/pg%2Dpass}", Ok("s3cret")),
            ("{vault://env/pg-pass#2}", Ok("old")),
            ("{vault://env/db/user}", Ok("kong")),
            ("{vault://env/db/}", Ok(r#"{"user":"kong","pass":"p"}"#)),
            ("{vault://env/db?prefix=my-}", Ok("prefixed")),
            (
                "{vault://env/none}",
                Err("could not get value from external vault (no value found)"),
            ),
            (
                "{vault://env/db/none}",
                Err("could not get subfield value: subfield none not found in JSON secret"),
            ),
            ("{vault://aws/x}", Err("could not find vault (aws)")),
            ("{vault://env}", Err("reference url is missing path [{vault://env}]")),
            ("{vault://env/}", Err("reference url has empty path [{vault://env/}]")),
            (
                "{vault://env/x#y}",
                Err("reference url has invalid version [{vault://env/x#y}]"),
            ),
            ("plain", Err("not a reference [plain]")),
        ];
        for (reference, expected) in rows {
            let got = dereference(reference, &environment(), None);
            assert_eq!(got, expected.map(str::to_owned).map_err(str::to_owned), "{reference}");
        }
        assert_eq!(
            dereference("{vault://env/db}", &environment(), Some("my_")).unwrap(),
            "prefixed"
        );
        let error = dereference("{vault://env/numbers/a}", &environment(), None).unwrap_err();
        assert!(
            error.starts_with("could not get subfield value: unable to json decode value ("),
            "{error}"
        );
    }
}
