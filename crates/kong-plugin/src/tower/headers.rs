//! Copying back what a layer did to headers.

use http::HeaderMap;
use kong_message::HeaderBlock;

/// Applies the difference between two maps to the block that the first was made of: lines that did not change keep
/// their place and their case.
pub(super) fn apply_difference(block: &mut HeaderBlock, before: &HeaderMap, after: &HeaderMap) {
    for name in before.keys() {
        if !after.contains_key(name) {
            block.remove(name.as_str());
        }
    }
    for name in after.keys() {
        if before.get_all(name).iter().eq(after.get_all(name).iter()) {
            continue;
        }
        let mut values = after.get_all(name).iter();
        if let Some(first) = values.next() {
            block.set(name.as_str(), first.as_bytes());
        }
        for value in values {
            block.append(name.as_str(), value.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn untouched_lines_keep_their_case_and_place() {
        let mut block = HeaderBlock::new();
        for (name, value) in [("X-One", "1"), ("X-TWO", "2"), ("X-Two", "3"), ("X-Three", "3")] {
            block.append(name, value);
        }
        let before = block.to_http();
        let mut after = before.clone();
        after.remove("x-three");
        after.insert("x-one", HeaderValue::from_static("new"));
        after.append("x-four", HeaderValue::from_static("4"));
        after.append("x-four", HeaderValue::from_static("5"));
        apply_difference(&mut block, &before, &after);
        let lines: Vec<String> = block
            .iter()
            .map(|(n, v)| format!("{}: {}", String::from_utf8_lossy(n), String::from_utf8_lossy(v)))
            .collect();
        assert_eq!(lines, ["x-one: new", "X-TWO: 2", "X-Two: 3", "x-four: 4", "x-four: 5"]);
    }
}
