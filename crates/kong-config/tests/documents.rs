//! The committed sample file and documentation are what the program writes.
//! After a change of the declarations: `KONG_CONFIG_WRITE=1 cargo test -p kong-config --test documents`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use kong_config::{Config, LoadOptions, document, properties, property};

const BEGIN: &str = "<!-- The tables below are written by the program; do not edit them. -->\n";

fn at_root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn compare(path: &str, expected: &str) {
    let path = at_root(path);
    if std::env::var_os("KONG_CONFIG_WRITE").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} differs from what the program writes: see the head of this test",
        path.display()
    );
}

#[test]
fn the_sample_file_is_the_program_s() {
    compare("kong.conf.default", &document::sample_file());
}

#[test]
fn the_documented_tables_are_the_program_s() {
    let path = "docs/configuration.md";
    let found = std::fs::read_to_string(at_root(path)).unwrap();
    let (introduction, _) = found.split_once(BEGIN).expect("the line that begins the tables");
    compare(path, &format!("{introduction}{BEGIN}{}", document::tables()));
}

#[test]
fn the_sample_file_changes_nothing_and_holds_every_property() {
    let text = document::sample_file();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kong.conf");
    std::fs::write(&file, &text).unwrap();
    let options = LoadOptions {
        prefix: Some("/tmp/kong-test".into()),
        ..LoadOptions::new([])
    };
    let plain = Config::load(&options).unwrap();
    let sampled = Config::load(&LoadOptions {
        file: Some(file.clone()),
        ..options.clone()
    })
    .unwrap();
    assert_eq!(sampled.effective(), plain.effective());
    // Uncommented, every default is accepted as it stands.
    let names: BTreeSet<_> = properties().map(|property| property.name).collect();
    let uncommented = text.lines().filter_map(|line| line.strip_prefix('#')).filter(|line| {
        line.split_once(" = ")
            .is_some_and(|(name, value)| names.contains(name) && !value.is_empty() && name != "prefix")
    });
    std::fs::write(&file, uncommented.collect::<Vec<_>>().join("\n")).unwrap();
    let database = [("KONG_DATABASE".to_owned(), "sqlite".to_owned())];
    let options = LoadOptions {
        file: Some(file),
        environment: database.into(),
        ..options
    };
    let uncommented = Config::load(&options).unwrap();
    assert_eq!(uncommented.effective(), plain.effective());
    for name in names {
        assert!(text.contains(&format!("\n#{name} =")), "{name}");
    }
}

#[test]
fn names_and_aliases_are_unique() {
    let mut seen = BTreeSet::new();
    for property in properties() {
        assert!(seen.insert(property.name), "{}", property.name);
        assert!(
            property.doc.ends_with('.') && !property.doc.contains("  "),
            "{}: {}",
            property.name,
            property.doc
        );
    }
    for alias in properties().flat_map(|property| property.aliases) {
        assert!(property(alias).is_none(), "{alias} is a property and an alias");
    }
}
