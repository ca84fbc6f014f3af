//! A new target's address is stored in its normal form (entities.md §4.9).

use kong_datastore::BoxFuture;
use kong_datastore::dao::{Dao, EntityRule, Proposal};
use kong_schema::errors::ErrorObject;
use kong_schema::{Object, Operation};
use serde_json::Value;

const FIELD: &str = "target";
const REFUSAL: &str = "Invalid target; not a valid hostname or ip address";

/// See the module.
pub(super) struct NormalAddress;

impl EntityRule for NormalAddress {
    fn entity(&self) -> &str {
        "targets"
    }

    fn before_write<'a>(&'a self, dao: &'a Dao, proposal: Proposal<'a>) -> BoxFuture<'a, Result<(), ErrorObject>> {
        Box::pin(std::future::ready(normalise(dao, proposal)))
    }
}

/// The schema validates the address and normalises it on every read; here the normal form is stored. Changes store the
/// address as sent.
fn normalise(dao: &Dao, proposal: Proposal<'_>) -> Result<(), ErrorObject> {
    if proposal.op != Operation::Insert {
        return Ok(());
    }
    let Some(schema) = dao.schema("targets") else {
        return Ok(());
    };
    let Some(value @ Value::String(_)) = proposal.input.get(FIELD) else {
        return Ok(());
    };
    if schema.validate_unique(FIELD, value).is_err() {
        return Err(ErrorObject::field_violation(FIELD, REFUSAL));
    }
    let mut row = Object::from_iter([(FIELD.to_owned(), value.clone())]);
    if let Some(hook) = &schema.on_read {
        (hook.apply)(&mut row);
    }
    proposal.input.append(&mut row);
    Ok(())
}
