//! The migration files against the schemas.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use kong_model::{RegistryBuilder, RouterFlavor};
use kong_schema::{Field, FieldDef, Schema};

use super::*;
use crate::layout::{Column, Layout};

const FLAVORS: [RouterFlavor; 3] = [
    RouterFlavor::Traditional,
    RouterFlavor::TraditionalCompatible,
    RouterFlavor::Expressions,
];

fn core(flavor: RouterFlavor) -> Vec<Arc<Schema>> {
    // The `tags` view is a table of the store's own form.
    RegistryBuilder::new(flavor)
        .build()
        .unwrap()
        .schemas()
        .iter()
        .filter(|s| s.name != "tags")
        .cloned()
        .collect()
}

fn catalog(schemas: &[Arc<Schema>]) -> Catalog {
    Catalog::default().with(schemas).unwrap()
}

fn migrated() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    assert_eq!(migrate(&connection).unwrap().len(), MIGRATIONS.len());
    connection
}

/// Differences between a table and its layout, in words.
fn differences(connection: &Connection, layout: &Layout) -> rusqlite::Result<Vec<String>> {
    let found = columns(connection, layout.schema.table())?;
    let missing = |c: &Column| match found.get(&c.name) {
        None => Some(format!("{}.{} is missing", layout.table, c.name)),
        Some(sql_type) if sql_type != c.sql_type() => Some(format!(
            "{}.{} is {sql_type} instead of {}",
            layout.table,
            c.name,
            c.sql_type()
        )),
        Some(_) => None,
    };
    Ok(layout.columns.iter().filter_map(missing).collect())
}

fn indices(connection: &Connection) -> Vec<String> {
    let mut statement = connection
        .prepare("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY sql")
        .unwrap();
    let plain = |sql: String| sql.replace('"', "").replace(" IF NOT EXISTS", "");
    statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(|sql| plain(sql.unwrap()))
        .collect()
}

#[test]
fn migrated_tables_have_the_columns_and_indices_of_the_core_schemas() {
    for flavor in FLAVORS {
        let schemas = core(flavor);
        let catalog = catalog(&schemas);
        let connection = migrated();
        let mut wrong = Vec::new();
        for schema in &schemas {
            let layout = catalog.layout(schema).unwrap();
            let found = differences(&connection, layout).unwrap();
            if !found.is_empty() {
                wrong.push(format!(
                    "{}; the schema says:\n{}",
                    found.join(", "),
                    layout.create_table()
                ));
            }
        }
        assert!(
            wrong.is_empty(),
            "{flavor:?}: write a migration for\n{}",
            wrong.join("\n")
        );
        let before = indices(&connection);
        generate(&connection, &catalog, Path::new("test")).unwrap();
        let new: Vec<_> = indices(&connection)
            .into_iter()
            .filter(|i| !before.contains(i))
            .collect();
        assert!(new.is_empty(), "{flavor:?}: write a migration for\n{}", new.join(";\n"));
    }
}

#[test]
fn foreign_columns_of_migrated_tables_follow_the_delete_rules_of_the_schemas() {
    let schemas = core(RouterFlavor::TraditionalCompatible);
    let catalog = catalog(&schemas);
    let (migrated, generated) = (migrated(), Connection::open_in_memory().unwrap());
    for schema in &schemas {
        generated
            .execute_batch(&catalog.layout(schema).unwrap().create_table())
            .unwrap();
    }
    let rules = |connection: &Connection, table: &str| -> Vec<String> {
        let sql =
            "SELECT \"from\" || ' → ' || \"table\" || ' ' || on_delete FROM pragma_foreign_key_list(?1) ORDER BY 1";
        let mut statement = connection.prepare(sql).unwrap();
        statement
            .query_map([table], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    for schema in &schemas {
        assert_eq!(
            rules(&migrated, schema.table()),
            rules(&generated, schema.table()),
            "{}",
            schema.name
        );
    }
}

#[test]
fn a_schema_that_grew_without_a_migration_is_noticed() {
    let connection = migrated();
    let mut schemas = core(RouterFlavor::TraditionalCompatible);
    let mut grown = (*schemas[3]).clone();
    grown.fields.push(Field {
        name: "fresh".into(),
        def: FieldDef::default(),
    });
    schemas[3] = Arc::new(grown);
    let catalog = catalog(&schemas);
    assert_eq!(
        differences(&connection, catalog.layout(&schemas[3]).unwrap())
            .unwrap()
            .len(),
        1
    );
    let error = generate(&connection, &catalog, Path::new("test")).unwrap_err();
    assert!(
        matches!(&error, StoreError::NeedsMigration(text) if text.contains("fresh")),
        "{error}"
    );
}

#[test]
fn migrating_twice_changes_nothing() {
    let connection = migrated();
    let workspace = |c: &Connection| {
        c.query_row("SELECT id FROM workspaces", [], |row| row.get::<_, String>(0))
            .unwrap()
    };
    let before = workspace(&connection);
    assert!(migrate(&connection).unwrap().is_empty());
    assert_eq!(workspace(&connection), before);
    let state = status(&connection).unwrap();
    assert_eq!(
        (state.needs_bootstrap, state.new.len(), state.executed.len()),
        (false, 0, MIGRATIONS.len())
    );
}

#[test]
fn migrations_of_a_newer_version_are_reported() {
    let connection = migrated();
    connection
        .execute(
            "UPDATE schema_meta SET executed = '[\"0001_base\", \"9999_future\"]'",
            [],
        )
        .unwrap();
    assert_eq!(status(&connection).unwrap().missing, ["9999_future"]);
}

#[test]
fn an_empty_file_needs_bootstrapping() {
    let state = status(&Connection::open_in_memory().unwrap()).unwrap();
    assert!(state.needs_bootstrap && state.executed.is_empty() && !state.new.is_empty());
}

#[test]
fn every_file_of_the_folder_is_embedded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/sqlite");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut known: Vec<String> = Vec::new();
    for migration in MIGRATIONS {
        known.extend(migration.finish.map(|_| format!("{}.finish.sql", migration.name)));
        known.push(format!("{}.up.sql", migration.name));
    }
    assert_eq!(files, known);
}
