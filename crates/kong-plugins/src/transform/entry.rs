//! Entries of the transformers' lists: `name:value`.

use serde_json::Value;

/// Name and value of an entry: colons that follow the name directly are skipped, later ones belong to the value.
pub(super) fn split(entry: &str) -> (&str, Option<&str>) {
    match entry.split_once(':') {
        Some((name, rest)) => (
            name,
            Some(rest.trim_start_matches(':')).filter(|value| !value.is_empty()),
        ),
        None => (entry, None),
    }
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn check_name(name: &str) -> Result<(), Value> {
    match is_header_name(name) {
        true => Ok(()),
        false => Err(format!("'{name}' is not a valid header").into()),
    }
}

/// Validator: the name is one of a header.
pub(super) fn check_header(value: &Value) -> Result<(), Value> {
    check_name(split(value.as_str().unwrap_or_default()).0)
}

/// Validator: both names are of headers.
pub(super) fn check_header_pair(value: &Value) -> Result<(), Value> {
    let (old, new) = split(value.as_str().unwrap_or_default());
    check_name(old)?;
    check_name(new.unwrap_or_default())
}

/// Entries of a list, split; those without a value are left out (where the schema accepts them).
pub(super) fn pairs(entries: &[String]) -> Vec<(String, String)> {
    entries
        .iter()
        .filter_map(|entry| {
            let (name, value) = split(entry);
            Some((name.to_owned(), value?.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_after_the_name_are_skipped() {
        for (entry, expected) in [
            ("h:v", ("h", Some("v"))),
            ("h2:value:2", ("h2", Some("value:2"))),
            ("X-Many::::v:w", ("X-Many", Some("v:w"))),
            ("h", ("h", None)),
            ("h:", ("h", None)),
        ] {
            assert_eq!(split(entry), expected);
        }
    }
}
