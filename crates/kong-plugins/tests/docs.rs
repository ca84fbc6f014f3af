//! Every plugin has a page, and its table of settings is that of the schema.
//!
//! `UPDATE_DOCS=1 cargo test -p kong-plugins --test docs` writes the tables anew.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write;
use std::path::PathBuf;

use kong_schema::{FieldDef, Kind, Record, Schema, Validator};
use serde_json::Value;

const START: &str = "<!-- settings -->\n";
const END: &str = "<!-- /settings -->\n";

fn type_name(def: &FieldDef) -> String {
    match &def.kind {
        Kind::String => "string".into(),
        Kind::Number => "number".into(),
        Kind::Integer => "integer".into(),
        Kind::Boolean => "boolean".into(),
        Kind::Array(element) => format!("list of {}", type_name(element)),
        Kind::Set(element) => format!("set of {}", type_name(element)),
        Kind::Map { keys, values } => format!("map of {} to {}", type_name(keys), type_name(values)),
        Kind::Record(_) => "object".into(),
        other => format!("{other:?}"),
    }
}

fn limits(def: &FieldDef) -> String {
    let mut parts: Vec<String> = Vec::new();
    let show = |values: &[Value]| {
        let shown: Vec<String> = values
            .iter()
            .map(|v| format!("`{}`", v.as_str().map_or_else(|| v.to_string(), str::to_owned)))
            .collect();
        shown.join(", ")
    };
    for validator in &def.validators {
        match validator {
            Validator::OneOf(values) => parts.push(format!("one of {}", show(values))),
            Validator::Between(low, high) => parts.push(format!("{low} to {high}")),
            Validator::Gt(bound) => parts.push(format!("greater than {bound}")),
            Validator::LenMin(1) => parts.push("not empty".into()),
            _ => {}
        }
    }
    if let Kind::Array(element) | Kind::Set(element) = &def.kind {
        let inner = limits(element);
        if !inner.is_empty() {
            parts.push(format!("each {inner}"));
        }
    }
    parts.join("; ")
}

fn rows(out: &mut String, prefix: &str, record: &Record) {
    for field in &record.fields {
        let (name, def) = (format!("{prefix}{}", field.name), &field.def);
        if let Kind::Record(inner) = &def.kind {
            rows(out, &format!("{name}."), inner);
            continue;
        }
        let default = match &def.default {
            Some(Value::Null) | None if def.required => "required".into(),
            Some(Value::Null) | None => "".into(),
            // It is another one in every process.
            Some(Value::String(_)) if def.encrypted && name == "secret" => "random".into(),
            Some(value) => format!("`{value}`"),
        };
        let mut text = def
            .description
            .clone()
            .unwrap_or_default()
            .replace('\n', " ")
            .replace('|', "\\|");
        let limits = limits(def);
        if !limits.is_empty() {
            let _ = write!(text, " ({limits})");
        }
        let _ = writeln!(out, "| `{name}` | {} | {default} | {} |", type_name(def), text.trim());
    }
}

fn table(schema: &Schema) -> String {
    let mut out = String::from("| Setting | Type | Default | Meaning |\n|---|---|---|---|\n");
    let Some(Kind::Record(config)) = schema.field("config").map(|def| &def.kind) else {
        panic!("no config")
    };
    rows(&mut out, "", config);
    out
}

#[test]
fn pages_show_the_settings_of_the_schema() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/plugins");
    let mut wrong = Vec::new();
    let built = kong_plugins::built();
    for kind in kong_plugins::bundled() {
        let descriptor = kind.descriptor();
        let path = folder.join(format!("{}.md", descriptor.name));
        let Ok(page) = std::fs::read_to_string(&path) else {
            wrong.push(format!("{} is missing", path.display()));
            continue;
        };
        let (Some(start), Some(end)) = (page.find(START), page.find(END)) else {
            wrong.push(format!("{} has no {START}…{END}", path.display()));
            continue;
        };
        let expected = table(&descriptor.schema);
        if page[start + START.len()..end] != expected {
            if std::env::var_os("UPDATE_DOCS").is_some() {
                let page = format!("{}{expected}{}", &page[..start + START.len()], &page[end..]);
                std::fs::write(&path, page).unwrap();
            } else {
                wrong.push(format!(
                    "the table of {} is not that of the schema (UPDATE_DOCS=1 writes it)",
                    descriptor.name
                ));
            }
        }
        assert!(page.starts_with(&format!("# {}\n", descriptor.name)));
        if !built.iter().any(|kind| kind.descriptor().name == descriptor.name) {
            continue;
        }
        assert!(page.contains("curl "), "{} has no example", path.display());
        assert!(!page.contains("not built yet"), "{}", path.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_setting_says_what_it_means() {
    for kind in kong_plugins::built() {
        for line in table(&kind.descriptor().schema).lines().skip(2) {
            assert!(!line.ends_with("|  |"), "{}: {line}", kind.descriptor().name);
        }
    }
}
