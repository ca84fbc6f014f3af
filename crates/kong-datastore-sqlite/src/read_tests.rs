//! Every kind of page reads an index in order, from the token on, and sorts nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use kong_datastore::testkit::TestSchemas;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::catalog::Catalog;

#[test]
fn pages_sort_nothing_and_scan_nothing() {
    let schemas = TestSchemas::new();
    let catalog = Catalog::default().with(&schemas.all()).unwrap();
    let connection = Connection::open_in_memory().unwrap();
    crate::migrate::migrate(&connection).unwrap();
    crate::migrate::generate(&connection, &catalog, std::path::Path::new("test")).unwrap();
    let tags = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let all = |schema| PageQuery::all(schema, Uuid::nil(), 100);
    let after = Some(vec![json!("00000000-0000-4000-8000-000000000000")]);
    let below = Some(("parent".to_owned(), "x".to_owned()));
    let queries = [
        all(&schemas.parents),
        PageQuery {
            after: after.clone(),
            ..all(&schemas.parents)
        },
        PageQuery {
            after: after.clone(),
            ..all(&schemas.children)
        },
        PageQuery {
            after: after.clone(),
            by_foreign: below.clone(),
            ..all(&schemas.children)
        },
        PageQuery {
            by_foreign: below,
            ..all(&schemas.guards)
        },
        PageQuery {
            after: after.clone(),
            tags: Some(TagFilter::All(tags(&["a"]))),
            ..all(&schemas.parents)
        },
        PageQuery {
            after: after.clone(),
            tags: Some(TagFilter::All(tags(&["a", "b"]))),
            ..all(&schemas.children)
        },
        PageQuery {
            after,
            tags: Some(TagFilter::Any(tags(&["a", "b"]))),
            ..all(&schemas.parents)
        },
    ];
    for query in queries {
        let layout = catalog.layout(&query.schema).unwrap();
        let (sql, parameters) = page_query(layout, &query, 101).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan: Vec<String> = statement
            .query_map(params_from_iter(parameters), |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let is_any = matches!(query.tags, Some(TagFilter::Any(_)));
        for step in &plan {
            let sorts = step.contains("TEMP B-TREE") && !is_any;
            // Without a token the scan starts at the beginning of the index, which is where the page is.
            let scans = step.starts_with("SCAN t") && !step.contains("USING INDEX");
            assert!(!sorts && !scans, "{step}\nin {plan:#?}\nof {sql}");
        }
    }
}
