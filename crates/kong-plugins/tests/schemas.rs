//! The schema documents of the bundled plugins are those that were recorded.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use serde_json::Value;

fn recorded(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/conformance/schemas")
        .join(name);
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

/// Without what the recording left out, and what the original shows only now and then.
fn normalised(mut value: Value) -> Value {
    fn strip(value: &mut Value, is_element: bool) {
        match value {
            Value::Object(object) => {
                if object.get("type").is_some_and(Value::is_string) {
                    object.remove("description");
                    if object.get("len_min") == Some(&Value::from(1)) && object["type"] == "string" {
                        object.remove("len_min");
                    }
                    if is_element {
                        object.remove("required");
                    }
                }
                for (name, member) in object.iter_mut() {
                    strip(member, matches!(name.as_str(), "elements" | "keys" | "values"));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| strip(item, false)),
            _ => {}
        }
    }
    strip(&mut value, false);
    value
}

#[test]
fn documents_equal_the_recorded_ones() {
    let mut wrong = Vec::new();
    for kind in kong_plugins::bundled() {
        let descriptor = kind.descriptor();
        let mut documents = vec![(
            format!("plugins/{}.json", descriptor.name),
            descriptor.schema.document(),
        )];
        documents.extend(
            descriptor
                .entities
                .iter()
                .map(|e| (format!("{}.json", e.name), e.document())),
        );
        for (name, document) in documents {
            let (ours, theirs) = (normalised(document), normalised(recorded(&name)));
            if ours != theirs {
                wrong.push(format!("{name}\n  ours:     {ours}\n  recorded: {theirs}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn priorities_and_phases_are_those_of_the_reference() {
    // Name, priority.
    let rows = [
        ("correlation-id", 100_001),
        ("bot-detection", 2500),
        ("cors", 2000),
        ("jwt", 1450),
        ("key-auth", 1250),
        ("basic-auth", 1100),
        ("hmac-auth", 1030),
        ("ip-restriction", 990),
        ("request-size-limiting", 951),
        ("acl", 950),
        ("rate-limiting", 910),
        ("request-transformer", 801),
        ("response-transformer", 800),
        ("redirect", 779),
        ("proxy-cache", 100),
        ("prometheus", 13),
        ("file-log", 9),
        ("request-termination", 2),
    ];
    for kind in kong_plugins::bundled() {
        let descriptor = kind.descriptor();
        let row = rows.iter().find(|(name, _)| *name == descriptor.name);
        assert_eq!(row, Some(&(descriptor.name.as_str(), descriptor.priority)));
        assert_eq!(descriptor.version, "3.9.3");
    }
}
