//! How an entity becomes a table (node.md §10): a foreign field `x` is the column `x_id`, records, maps and lists are
//! JSON text, a composite cache key is one column. Everything is derived from the schema.

use std::sync::Arc;

use kong_datastore::UniqueKey;
use kong_schema::{FieldDef, Kind, OnDelete, Schema};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text as it is.
    Text,
    /// Whole number.
    Integer,
    /// Number, whole where it has no fraction.
    Number,
    /// 0 or 1.
    Boolean,
    /// Id of another row; `{"id": …}` in the entity.
    Foreign,
    /// JSON text.
    Json,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Member of the entity; `None` for the composite cache key, which is only written.
    pub(crate) field: Option<String>,
    pub(crate) form: Form,
    /// Table and deletion rule of a foreign column.
    references: Option<(String, OnDelete)>,
}

/// A table and the statements over it.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) schema: Arc<Schema>,
    pub(crate) table: String,
    pub(crate) columns: Vec<Column>,
    /// Primary key columns, quoted.
    pub(crate) primary: Vec<String>,
    pub(crate) has_tags: bool,
    /// `t."a", t."b", …` in the order of `columns`.
    pub(crate) selection: String,
    pub(crate) insert: String,
    pub(crate) update: String,
    pub(crate) delete: String,
    pub(crate) by_primary: String,
}

/// A quoted name.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn form(def: &FieldDef) -> Form {
    match def.kind {
        Kind::String => Form::Text,
        Kind::Integer => Form::Integer,
        Kind::Number => Form::Number,
        Kind::Boolean => Form::Boolean,
        Kind::Foreign(_) => Form::Foreign,
        _ => Form::Json,
    }
}

impl Column {
    pub(crate) fn sql_type(&self) -> &'static str {
        match self.form {
            Form::Text | Form::Foreign | Form::Json => "TEXT",
            Form::Integer | Form::Boolean => "INTEGER",
            Form::Number => "REAL",
        }
    }

    /// `"name" TYPE …` as in `CREATE TABLE` and `ADD COLUMN`.
    pub(crate) fn definition(&self) -> String {
        let mut text = format!("{} {}", quote(&self.name), self.sql_type());
        if let Some((table, on_delete)) = &self.references {
            let action = match on_delete {
                OnDelete::Restrict => "RESTRICT",
                OnDelete::Cascade => "CASCADE",
                OnDelete::Null => "SET NULL",
            };
            text.push_str(&format!(" REFERENCES {} (\"id\") ON DELETE {action}", quote(table)));
        }
        text
    }
}

/// Column of a field.
pub(crate) fn column_name(schema: &Schema, field: &str) -> String {
    match schema.field(field).map(form) {
        Some(Form::Foreign) => format!("{field}_id"),
        _ => field.to_owned(),
    }
}

impl Layout {
    /// Derives the table. `table_of` names the table of a referenced entity.
    pub(crate) fn new(schema: &Arc<Schema>, table_of: impl Fn(&str) -> String) -> Self {
        let mut columns = Vec::new();
        for field in schema.fields.iter().filter(|f| !f.def.transient && f.name != "ttl") {
            let references = match &field.def.kind {
                Kind::Foreign(foreign) => Some((table_of(&foreign.reference), foreign.on_delete)),
                _ => None,
            };
            let name = column_name(schema, &field.name);
            columns.push(Column {
                name,
                field: Some(field.name.clone()),
                form: form(&field.def),
                references,
            });
        }
        let mut own = |name: &str, field: Option<&str>, form| {
            columns.push(Column {
                name: name.into(),
                field: field.map(str::to_owned),
                form,
                references: None,
            });
        };
        if UniqueKey::of(schema).contains(&UniqueKey::Composite) {
            own("cache_key", None, Form::Text);
        }
        if schema.storage.ttl || schema.field("ttl").is_some() {
            own("ttl", Some("ttl"), Form::Number);
        }
        if schema.storage.workspaceable {
            own("ws_id", Some("ws_id"), Form::Text);
        }
        let table = quote(schema.table());
        let primary: Vec<String> = schema
            .storage
            .primary_key
            .iter()
            .map(|f| quote(&column_name(schema, f)))
            .collect();
        let names: Vec<String> = columns.iter().map(|c| quote(&c.name)).collect();
        let selection = names.iter().map(|n| format!("t.{n}")).collect::<Vec<_>>().join(", ");
        let numbered = |from: usize, n: usize| (from..from + n).map(|i| format!("?{i}")).collect::<Vec<_>>();
        let values = numbered(1, names.len());
        let sets: Vec<String> = names.iter().zip(&values).map(|(n, v)| format!("{n} = {v}")).collect();
        let matches = |from: usize| {
            let values = numbered(from, primary.len());
            primary
                .iter()
                .zip(values)
                .map(|(p, v)| format!("{p} = {v}"))
                .collect::<Vec<_>>()
                .join(" AND ")
        };
        Self {
            has_tags: schema.field("tags").is_some() && schema.storage.primary_key == ["id"],
            insert: format!(
                "INSERT INTO {table} ({}) VALUES ({})",
                names.join(", "),
                values.join(", ")
            ),
            update: format!(
                "UPDATE {table} SET {} WHERE {}",
                sets.join(", "),
                matches(names.len() + 1)
            ),
            delete: format!("DELETE FROM {table} WHERE {}", matches(1)),
            by_primary: format!("SELECT {selection} FROM {table} t WHERE {}", matches(1)),
            schema: schema.clone(),
            table,
            columns,
            primary,
            selection,
        }
    }

    /// `CREATE TABLE` of the whole table.
    pub(crate) fn create_table(&self) -> String {
        let single = match self.schema.storage.primary_key.as_slice() {
            [one] => Some(column_name(&self.schema, one)),
            _ => None,
        };
        let mut parts: Vec<String> = self
            .columns
            .iter()
            .map(|c| match &single {
                Some(key) if *key == c.name => format!("{} PRIMARY KEY NOT NULL", c.definition()),
                _ => c.definition(),
            })
            .collect();
        if single.is_none() {
            parts.push(format!("PRIMARY KEY ({})", self.primary.join(", ")));
        }
        format!("CREATE TABLE {} (\n    {}\n);", self.table, parts.join(",\n    "))
    }

    /// `CREATE INDEX` of every unique key, foreign key and of the expiry. All say `IF NOT EXISTS`.
    pub(crate) fn create_indices(&self) -> Vec<String> {
        let name = |suffix: &str| quote(&format!("{}_{suffix}", self.schema.table()));
        let mut statements = Vec::new();
        for unique in UniqueKey::of(&self.schema) {
            let (suffix, columns) = match &unique {
                UniqueKey::Composite => ("cache_key".to_owned(), "\"cache_key\"".to_owned()),
                UniqueKey::Field { name: field, global } => {
                    let column = quote(&column_name(&self.schema, field));
                    let columns = if *global {
                        column
                    } else {
                        format!("{column}, \"ws_id\"")
                    };
                    (field.clone(), columns)
                }
            };
            let index = name(&format!("{suffix}_unique"));
            statements.push(format!(
                "CREATE UNIQUE INDEX IF NOT EXISTS {index} ON {} ({columns});",
                self.table
            ));
        }
        for column in self.columns.iter().filter(|c| c.form == Form::Foreign) {
            // The primary key follows, so that a page below a parent is read in order.
            let index = name(&format!("{}_idx", column.name));
            let columns = [quote(&column.name)]
                .into_iter()
                .chain(self.primary.clone())
                .collect::<Vec<_>>()
                .join(", ");
            statements.push(format!(
                "CREATE INDEX IF NOT EXISTS {index} ON {} ({columns});",
                self.table
            ));
        }
        if self.schema.storage.ttl {
            let index = name("ttl_idx");
            statements.push(format!(
                "CREATE INDEX IF NOT EXISTS {index} ON {} (\"ttl\") WHERE \"ttl\" IS NOT NULL;",
                self.table
            ));
        }
        statements
    }

    /// Condition that finds the holder of a unique value: the SQL and whether `ws_id` is its second parameter.
    pub(crate) fn unique_condition(&self, unique: &UniqueKey) -> (String, bool) {
        match unique {
            UniqueKey::Composite => ("t.\"cache_key\" = ?1".into(), false),
            UniqueKey::Field { name, global } => {
                let column = quote(&column_name(&self.schema, name));
                if *global {
                    (format!("t.{column} = ?1"), false)
                } else {
                    (format!("t.{column} = ?1 AND t.\"ws_id\" = ?2"), true)
                }
            }
        }
    }
}
