//! JSON values to columns and back.

use kong_datastore::{Row, cache_key};
use kong_schema::Object;
use rusqlite::types::{Value as Sql, ValueRef};
use serde_json::{Number, Value};

use crate::layout::{Form, Layout};

/// Largest integer that a double holds exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A JSON value as a column of that form stores it. A value of another kind than declared is stored as well as the
/// column can; the schema has refused it long before.
pub(crate) fn to_sql(form: Form, value: &Value) -> Sql {
    match (form, value) {
        (_, Value::Null) => Sql::Null,
        (Form::Json, value) => Sql::Text(value.to_string()),
        (Form::Foreign, Value::Object(o)) => o.get("id").map_or(Sql::Null, |id| to_sql(Form::Text, id)),
        (_, Value::String(text)) => Sql::Text(text.clone()),
        (_, Value::Bool(flag)) => Sql::Integer(i64::from(*flag)),
        (Form::Number, Value::Number(n)) => n.as_f64().map_or(Sql::Null, Sql::Real),
        (Form::Text | Form::Foreign, Value::Number(n)) => Sql::Text(n.to_string()),
        (_, Value::Number(n)) => n
            .as_i64()
            .map(Sql::Integer)
            .or(n.as_f64().map(Sql::Real))
            .unwrap_or(Sql::Null),
        (_, other) => Sql::Text(other.to_string()),
    }
}

/// The columns of a row, in the layout's order.
pub(crate) fn row_to_sql(layout: &Layout, row: &Row) -> Vec<Sql> {
    let column = |column: &crate::layout::Column| match &column.field {
        Some(field) => row.get(field).map_or(Sql::Null, |value| to_sql(column.form, value)),
        None => composite(layout, row),
    };
    layout.columns.iter().map(column).collect()
}

/// The composite cache key, null when all its parts are.
pub(crate) fn composite(layout: &Layout, row: &Row) -> Sql {
    kong_datastore::UniqueKey::Composite
        .value(&layout.schema, row)
        .map_or(Sql::Null, |_| Sql::Text(cache_key(&layout.schema, row)))
}

/// A column's value as JSON.
pub(crate) fn from_sql(form: Form, value: ValueRef<'_>) -> Value {
    match (form, value) {
        (_, ValueRef::Null) => Value::Null,
        (Form::Boolean, ValueRef::Integer(n)) => Value::Bool(n != 0),
        (_, ValueRef::Integer(n)) => Value::Number(n.into()),
        (Form::Integer | Form::Number, ValueRef::Real(n)) if n.fract() == 0.0 && n.abs() <= MAX_EXACT => {
            Value::Number((n as i64).into())
        }
        (_, ValueRef::Real(n)) => Number::from_f64(n).map_or(Value::Null, Value::Number),
        (Form::Json, ValueRef::Text(text)) => serde_json::from_slice(text).unwrap_or(Value::Null),
        (Form::Foreign, ValueRef::Text(text)) => {
            let id = Value::String(String::from_utf8_lossy(text).into_owned());
            Value::Object(Object::from_iter([("id".to_owned(), id)]))
        }
        (_, ValueRef::Text(text)) => Value::String(String::from_utf8_lossy(text).into_owned()),
        (_, ValueRef::Blob(_)) => Value::Null,
    }
}

/// A row that was selected with the layout's `selection` first.
pub(crate) fn row_from_sql(layout: &Layout, sql: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let mut row = Row::new();
    for (index, column) in layout.columns.iter().enumerate() {
        if let Some(field) = &column.field {
            row.insert(field.clone(), from_sql(column.form, sql.get_ref(index)?));
        }
    }
    Ok(row)
}
