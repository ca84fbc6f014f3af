//! Rules about single entities, registered from outside so that the operations themselves name no entity.

use kong_schema::errors::ErrorObject;
use kong_schema::{Object, Operation};

use super::Dao;
use crate::{BoxFuture, Row};

/// A rule about one entity that a schema cannot state, because it looks at other rows.
pub trait EntityRule: Send + Sync {
    /// Schema name of the entity.
    fn entity(&self) -> &str;

    /// Before the body is validated, after its references were resolved. May change the body.
    fn before_write<'a>(&'a self, _dao: &'a Dao, _proposal: Proposal<'a>) -> BoxFuture<'a, Result<(), ErrorObject>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Before an existing row is deleted.
    fn before_delete<'a>(&'a self, _dao: &'a Dao, _row: &'a Row) -> BoxFuture<'a, Result<(), ErrorObject>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A write that was asked for.
pub struct Proposal<'a> {
    /// Kind of write.
    pub op: Operation,
    /// The body, foreign fields resolved to `{id}` where they could be.
    pub input: &'a mut Object,
    /// The row as it is, on updates.
    pub stored: Option<&'a Row>,
}
