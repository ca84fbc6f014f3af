//! A plugin's protocols must overlap with those of what it is bound to (entities.md §4.4).

use kong_datastore::dao::{Dao, EntityKey, EntityRule, MAX_PAGE_SIZE, Proposal, store_failure};
use kong_datastore::{BoxFuture, PageQuery, Row};
use kong_schema::errors::ErrorObject;
use kong_schema::{Object, Operation};
use serde_json::Value;

const FIELD: &str = "protocols";
const ROUTE_REFUSAL: &str = "must match the associated route's protocols";
const SERVICE_REFUSAL: &str = "must match the protocols of at least one route pointing to this Plugin's service";

/// See the module.
pub(super) struct MatchingProtocols;

impl EntityRule for MatchingProtocols {
    fn entity(&self) -> &str {
        "plugins"
    }

    fn before_write<'a>(&'a self, dao: &'a Dao, proposal: Proposal<'a>) -> BoxFuture<'a, Result<(), ErrorObject>> {
        Box::pin(async move { check(dao, proposal.op, proposal.input, proposal.stored).await })
    }
}

async fn check(dao: &Dao, op: Operation, input: &Object, stored: Option<&Row>) -> Result<(), ErrorObject> {
    let touched: &[&str] = if op == Operation::Update {
        &[FIELD, "service", "route"]
    } else {
        &[FIELD]
    };
    if !touched.iter().any(|field| input.contains_key(*field)) {
        return Ok(());
    }
    let member = |field: &str| input.get(field).or_else(|| stored.and_then(|row| row.get(field)));
    let id = |field: &str| Some(member(field)?.get("id")?.as_str()?.to_owned());
    // Anything but a list is for validation to refuse.
    let Some(protocols) = member(FIELD).and_then(Value::as_array) else {
        return Ok(());
    };
    if let Some(route) = id("route") {
        let Some(schema) = dao.schema("routes") else {
            return Ok(());
        };
        return match dao.select(schema, &EntityKey::Id(route)).await? {
            Some(route) if !overlaps(&route, protocols) => Err(ErrorObject::field_violation(FIELD, ROUTE_REFUSAL)),
            _ => Ok(()),
        };
    }
    match id("service") {
        Some(service) => check_service(dao, service, protocols).await,
        None => Ok(()),
    }
}

/// A service without routes matches any protocol.
async fn check_service(dao: &Dao, service: String, protocols: &[Value]) -> Result<(), ErrorObject> {
    let Some(schema) = dao.schema("routes") else {
        return Ok(());
    };
    let mut query = PageQuery::all(schema, dao.store().default_workspace(), MAX_PAGE_SIZE);
    query.by_foreign = Some(("service".to_owned(), service));
    let mut any = false;
    loop {
        let page = dao.store().page(&query).await.map_err(|err| store_failure(&err))?;
        if page.rows.iter().any(|route| overlaps(route, protocols)) {
            return Ok(());
        }
        any |= !page.rows.is_empty();
        match page.next {
            Some(next) => query.after = Some(next),
            None if any => return Err(ErrorObject::field_violation(FIELD, SERVICE_REFUSAL)),
            None => return Ok(()),
        }
    }
}

fn overlaps(route: &Row, protocols: &[Value]) -> bool {
    let of_route = route.get(FIELD).and_then(Value::as_array);
    of_route
        .into_iter()
        .flatten()
        .any(|protocol| protocols.contains(protocol))
}
